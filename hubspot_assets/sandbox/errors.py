"""HubSpot's error answers."""

import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from hubspot_assets.sandbox.facts import ObjectType


class ApiError(Exception):
    """An error answer: a status and the members of the JSON envelope besides status and
    correlationId."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,  # noqa: ANN401 - JSON values
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.members = {"message": message, **members}

    def body(self, correlation_id: str) -> bytes:
        """The envelope as JSON."""
        return orjson.dumps({"status": "error", **self.members, "correlationId": correlation_id})


def correlation_id() -> str:
    """A UUID of version 7."""
    bits = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=bits))


def invalid(message: str, **members: Any) -> ApiError:  # noqa: ANN401 - JSON values
    """400 VALIDATION_ERROR."""
    return ApiError(400, message, category="VALIDATION_ERROR", **members)


def not_found() -> ApiError:
    """404 of a record, a pipeline, a path."""
    return ApiError(404, "resource not found")


def object_not_found(what: str) -> ApiError:
    """404 of the properties and schemas APIs."""
    return ApiError(404, f"{what} does not exist", category="OBJECT_NOT_FOUND")


def missing_records(kind: ObjectType, ids: list[str]) -> dict[str, Any]:
    """The one entry among a batch's errors for all records that could not be found."""
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"Could not get some {kind.name.upper()} objects, they may be deleted or not "
        "exist. Check that ids are valid.",
        "context": {"ids": ids},
    }


def unknown_type(alias: str) -> ApiError:
    """400 for an object type that the portal has not; ids and names differ in wording."""
    if alias[:1].isdigit():
        return ApiError(400, f"Invalid object or event type id: {alias}")
    return ApiError(400, f"Unable to infer object type from: {alias}")


def not_enabled(object_type_id: str, portal_id: int) -> ApiError:
    """400 for a type that exists, but is not switched on in the portal."""
    return invalid(f"Object type {object_type_id} is not enabled for portal {portal_id}")


def missing_scopes(scopes: Iterable[str]) -> ApiError:
    """403 that names the scopes of which one is needed."""
    address = "https://developers.hubspot.com/scopes"
    return ApiError(
        403,
        "This app hasn't been granted all required scopes to make this call. "
        f"Read more about required scopes here: {address}.",
        category="MISSING_SCOPES",
        errors=[
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": list(scopes)},
            }
        ],
        links={"scopes": address},
    )


def no_credentials() -> ApiError:
    """401 without a token, or with one that nobody issued."""
    return ApiError(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you "
        "can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        category="INVALID_AUTHENTICATION",
    )


def expired(seconds: int, at: str) -> ApiError:
    """401 for an access token that has run out."""
    return ApiError(
        401,
        f"The OAuth token used to make this call expired {seconds} second(s) ago.",
        category="EXPIRED_AUTHENTICATION",
        context={"expire time": [at]},
    )


def rate_limited(policy: str, portal_id: int) -> ApiError:
    """429. `policy` is TEN_SECONDLY_ROLLING, SECONDLY or DAILY."""
    return ApiError(
        429,
        f"You have reached your {policy.lower()} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
        groupName=f"publicapi:private-apps-api-calls:{portal_id}",
    )


def html(status: int, title: str) -> bytes:
    """The page an edge server answers with."""
    return (
        f"<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{status} {title}</h1></center>\r\n<hr><center>nginx</center>\r\n"
        "</body>\r\n</html>\r\n"
    ).encode()
