"""Settings, from the environment or a `.env` file, checked as they are read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Names = Annotated[tuple[str, ...], NoDecode]


class SettingsError(Exception):
    """A setting that is missing or wrong: which, what was found, what is expected."""


class Settings(BaseSettings):
    """All settings; the name of each in upper case is its environment variable.

    Credentials for S3 are not among them: boto3 finds those as it always does
    (AWS_ACCESS_KEY_ID, AWS_PROFILE, instance roles, ...). With EXPORT_ROLE_ARN they are
    what assumes the role.
    """

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    hubspot_access_token: SecretStr | None = Field(
        None, description="a service key or the token of a private app"
    )
    hubspot_client_id: str | None = Field(None, description="client id of an OAuth app")
    hubspot_client_secret: SecretStr | None = Field(None, description="its client secret")
    hubspot_refresh_token: SecretStr | None = Field(None, description="an OAuth refresh token")
    hubspot_base_url: str = Field("https://api.hubapi.com", description="an http(s) address")
    hubspot_api_versions: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict, description="api=version pairs, as owners=v3,objects=2026-03"
    )
    hubspot_workers: int = Field(8, ge=1, le=64, description="requests in flight, 1 to 64")
    export_url: str = Field("./export", description="s3://bucket/prefix or a folder")
    state_url: str | None = Field(None, description="s3://bucket/prefix or a folder")
    catalog_file: Path | None = Field(None, description="a file")
    export_timezone: str = Field("UTC", description="a time zone, as Europe/Warsaw")
    export_start: date = Field(date(2024, 1, 1), description="a day, as 2026-01-31")
    object_types: Names = Field((), description="names or ids, as contacts,deals,2-123")
    exclude_object_types: Names = Field((), description="names or ids, as notes,0-27")
    event_types: Names = Field((), description="names or ids, as visited_page,4-666440")
    exclude_event_types: Names = Field((), description="names or ids, as visited_page,4-666440")
    export_history: Literal["share", "all"] = Field("share", description="share or all")
    export_executor: Literal["in_process", "multiprocess"] = Field(
        "in_process", description="in_process or multiprocess"
    )
    s3_endpoint_url: str | None = Field(None, description="an http(s) address")
    s3_region: str | None = Field(None, description="a region, as eu-central-1")
    s3_addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="auto (path where S3_ENDPOINT_URL is set), path or virtual"
    )
    s3_sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="AES256, aws:kms or aws:kms:dsse"
    )
    s3_sse_kms_key_id: str | None = Field(None, description="the id, ARN or alias of a KMS key")
    export_role_arn: str | None = Field(
        None,
        pattern=r"^arn:(aws|aws-us-gov|aws-cn):iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$",
        description="the ARN of a role, as arn:aws:iam::123456789012:role/exporter",
    )
    export_external_id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$",
        description="2 to 1224 letters, digits and any of +=,.@:/-_",
    )
    export_role_duration: int = Field(
        3600, ge=900, le=43_200, description="seconds of a role's session, 900 to 43200"
    )
    export_keep_days: int | None = Field(None, ge=1, description="how many days to keep, as 90")
    export_keep_monthly: int = Field(
        0, ge=0, description="of how many months to keep the last day, as 12"
    )

    @field_validator(
        "object_types",
        "exclude_object_types",
        "event_types",
        "exclude_event_types",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(_words(value)) if isinstance(value, str) else value

    @field_validator("hubspot_api_versions", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        return dict(_pair(word) for word in _words(value)) if isinstance(value, str) else value

    @field_validator("hubspot_base_url", "s3_endpoint_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            url = urlsplit(value)  # raises ValueError for half a bracket, as .port for a word
            if url.scheme not in {"http", "https"} or not url.hostname or url.port == 0:
                raise ValueError
        return value.rstrip("/") if value else value

    @field_validator("export_url", "state_url")
    @classmethod
    def _target(cls, value: str | None) -> str | None:
        if value is not None and "://" in value:
            scheme, rest = value.split("://", 1)
            if scheme != "s3" or not rest.split("/")[0]:
                raise ValueError
        return value.rstrip("/") if value and value != "/" else value

    @field_validator("export_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, OSError) as error:  # OSError: a folder's name
            raise ValueError from error
        return value

    @model_validator(mode="after")
    def _whole_oauth(self) -> Settings:
        parts = {
            "HUBSPOT_CLIENT_ID": self.hubspot_client_id,
            "HUBSPOT_CLIENT_SECRET": self.hubspot_client_secret,
            "HUBSPOT_REFRESH_TOKEN": self.hubspot_refresh_token,
        }
        missing = [name for name, value in parts.items() if not value]
        if missing and len(missing) < len(parts):
            raise SettingsError(
                f"{', '.join(missing)}: found nothing, expected a value, since OAuth needs "
                f"{', '.join(parts)} together"
            )
        return self

    @model_validator(mode="after")
    def _nothing_alone(self) -> Settings:
        if self.export_external_id and not self.export_role_arn:
            raise SettingsError(
                "EXPORT_ROLE_ARN: found nothing, expected the ARN of a role, since "
                "EXPORT_EXTERNAL_ID is set"
            )
        if self.s3_sse_kms_key_id and self.s3_sse not in {"aws:kms", "aws:kms:dsse"}:
            raise SettingsError(
                f"S3_SSE: found {self.s3_sse or 'nothing'}, expected aws:kms or aws:kms:dsse, "
                "since S3_SSE_KMS_KEY_ID is set"
            )
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The export time zone."""
        return ZoneInfo(self.export_timezone)

    @property
    def state(self) -> str:
        """Where staged data and checkpoints are: a folder or an S3 address."""
        return self.state_url or f"{self.export_url}/_state"

    @property
    def catalog_path(self) -> Path:
        """The local file of the portal's catalog, which definitions load."""
        if self.catalog_file:
            return self.catalog_file
        local = not self.state.startswith("s3://")
        return Path(self.state if local else ".hubspot-assets") / "catalog.json"


def load_settings() -> Settings:
    """The settings of the environment and of `.env` in the working folder.

    Raises SettingsError: one line for the first setting that is wrong.
    """
    try:
        return Settings()
    except UnicodeDecodeError:
        raise SettingsError(".env: found bytes that are no UTF-8, expected text") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        expected = Settings.model_fields[name].description
        raise SettingsError(
            f"{name.upper()}: found {first['input']!r}, expected {expected}"
        ) from None


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _pair(word: str) -> tuple[str, str]:
    name, separator, version = word.partition("=")
    if not separator or not name or not version:
        raise ValueError
    return name.strip(), version.strip()
