"""Who is calling: the private token, and access tokens issued by the OAuth endpoint."""

import re
from dataclasses import dataclass

from hubspot_assets.sandbox.config import Clock, PortalConfig
from hubspot_assets.sandbox.errors import ApiError, expired, no_credentials
from hubspot_assets.sandbox.stamps import iso

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


@dataclass(frozen=True, slots=True)
class _Issued:
    until: float
    until_ms: int


class Tokens:
    """The tokens that open the portal."""

    def __init__(self, config: PortalConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._issued: dict[str, _Issued] = {}

    def app_of(self, authorization: str | None) -> str:
        """`private` or `oauth`, for the Authorization header of a request.

        Raises ApiError: 401 for no, an unknown or an expired token, and 530, which the edge
        answers to a token that is not even shaped like one.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise no_credentials()
        if not _TOKEN.fullmatch(token):
            raise ApiError(530, "malformed token")
        if token == self._config.token:
            return "private"
        issued = self._issued.get(token)
        if issued is None:
            raise no_credentials()
        late = self._clock.monotonic() - issued.until
        if late >= 0:
            raise expired(int(late), iso(issued.until_ms))
        return "oauth"

    def refresh(self, form: dict[str, str]) -> dict[str, object]:
        """Answer of the token endpoint to a refresh_token grant."""
        config = self._config
        if form.get("grant_type") != "refresh_token":
            raise ApiError(400, "missing or invalid grant_type", category="VALIDATION_ERROR")
        if form.get("client_id") != config.client_id:
            raise ApiError(400, "missing or unknown client id", error="invalid_client")
        if form.get("client_secret") != config.client_secret:
            raise ApiError(400, "missing or invalid client secret", error="invalid_client")
        if form.get("refresh_token") != config.refresh_token:
            raise ApiError(
                400, "missing or invalid refresh token", error="invalid_grant",
                error_description="missing or invalid refresh token",
            )  # fmt: skip
        seconds = config.access_token_seconds
        token = f"CKsandbox{config.seed:04d}{len(self._issued) + 1:06d}"
        self._issued[token] = _Issued(
            self._clock.monotonic() + seconds, self._clock.now() + int(seconds * 1000)
        )
        return {
            "access_token": token,
            "refresh_token": config.refresh_token,
            "expires_in": int(seconds),
            "token_type": "bearer",
            "token_use": "access_token",
            "hub_id": config.portal_id,
            "user_id": 9586504,
        }
