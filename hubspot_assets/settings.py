"""Settings, from the environment or a `.env` file, checked as they are read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hubspot_assets.env_file import EnvError, check_file, check_names, value_in
from hubspot_assets.hubspot.auth import flaw
from hubspot_assets.portals_file import OWN, PortalsError, PortalsFile

Names = Annotated[tuple[str, ...], NoDecode]

#: HubSpot is no older.
EARLIEST = "2006-01-01"
#: Executors whose steps run on several hosts.
DISTRIBUTED = ("celery", "k8s")
_CREDENTIALS = {
    "hubspot_access_token",
    "hubspot_client_id",
    "hubspot_client_secret",
    "hubspot_refresh_token",
    "alert_webhook_url",  # who has it may post there
    "budget_url",  # a password may be in it
    "celery_broker_url",
}

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?|(?=.*:)[0-9a-f:.]+")
_WEBHOOK = re.compile(r"https?://[^\s/@]+(/\S*)?")
_REDIS = re.compile(r"rediss?://([^\s/@]*@)?[^\s/@:]+(:\d{1,5})?(/\d*)?(\?\S*)?")
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
_REGION = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
#: As Dagster has owners of assets.
_OWNER = re.compile(r"team:[a-zA-Z0-9_-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
_AWS_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
#: As s3:bucket, file:x and C:\x begin, and what s3//bucket was meant to be.
_NO_FOLDER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|s3//")
#: What machines have beside time zones: another on each, or with leap seconds.
_NO_ZONES = ("localtime", "posixrules", "Factory", "posix/", "right/")
_ENV_FILE = ".env"
#: The minutes from the first of several portals' exports to the last.
_SPREAD = 180
_LATEST = 23 * 60 + 59
#: By which boto3 is led to another store than AWS.
_ENDPOINTS = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}


class SettingsError(Exception):
    """A setting that is missing or wrong: which, what was found, what is expected."""


class Settings(BaseSettings):
    """All settings; the name of each in upper case is its environment variable.

    Credentials for S3 are not among them: boto3 finds those as it always does
    (AWS_ACCESS_KEY_ID, AWS_PROFILE, instance roles, ...). With EXPORT_ROLE_ARN they are
    what assumes the role.
    """

    model_config = SettingsConfigDict(
        env_file=_ENV_FILE, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    portals_file: Path | None = Field(None, description="a TOML file with a table per portal")
    portal_name: str | None = Field(None, description="a portal of PORTALS_FILE")
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
    incremental: Literal["auto", "sweep", "search", "off"] = Field(
        "auto", description="how what has changed of records is found; off: all are read"
    )
    sweep_days: int = Field(
        7, ge=1, description="days after which all is looked through, 1 or more"
    )
    keep_erased_days: int = Field(
        30, ge=0, description="for how many days readings keep what was erased, 0 or more"
    )
    budget_url: SecretStr | None = Field(None, description="redis://host or rediss://host")
    hubspot_workers: int = Field(8, ge=1, le=64, description="requests in flight, 1 to 64")
    export_url: str = Field("./export", description="s3://bucket/prefix or a folder")
    state_url: str | None = Field(None, description="s3://bucket/prefix or a folder")
    catalog_file: Path | None = Field(None, description="a local file")
    export_formats: Names = Field(("csv",), description="csv, or csv,parquet")
    export_timezone: str = Field("UTC", description="a time zone, as Europe/Warsaw")
    export_start: date | None = Field(None, description="a day, as 2026-01-31")
    export_owners: Names = Field(
        ("team:data",), description="e-mail addresses or teams, as a@example.com,team:data"
    )
    object_types: Names = Field((), description="names or ids, as contacts,deals,2-123")
    exclude_object_types: Names = Field((), description="names or ids, as notes,0-27")
    event_types: Names = Field((), description="names or ids, as visited_page,4-666440")
    exclude_event_types: Names = Field((), description="names or ids, as visited_page,4-666440")
    association_tables: Literal["linked", "all"] = Field("linked", description="linked or all")
    export_history: Literal["share", "all"] = Field("share", description="share or all")
    export_executor: Literal["in_process", "multiprocess", "celery", "k8s"] = Field(
        "in_process", description="in_process, multiprocess, celery or k8s"
    )
    celery_broker_url: SecretStr | None = Field(None, description="redis://host or rediss://host")
    celery_visibility_timeout: int = Field(
        600, ge=30, description="seconds after which a step is delivered again, 30 or more"
    )
    export_at: str = Field(
        "01:30",
        pattern=r"^(00:[3-5]\d|(0[1-9]|1\d|2[0-3]):[0-5]\d)$",
        description="a time of the day, 00:30 or later, as 01:30",
    )
    export_fresh_by: str = Field(
        "06:00",
        pattern=r"^(0[2-9]|1\d|2[0-3]):[0-5]\d$",
        description="a time of the day, 02:00 or later, as 06:00",
    )
    export_heal_days: int = Field(
        7, ge=0, le=90, description="how many of the newest days are completed later, 0 to 90"
    )
    events_again_days: int = Field(
        2, ge=0, le=30, description="of how many days before events are read again, 0 to 30"
    )
    alert_webhook_url: SecretStr | None = Field(None, description="an http(s) address")
    alert_checks: Literal["errors", "all", "none"] = Field(
        "errors", description="errors, all (warnings, too) or none"
    )
    alert_webserver_url: str | None = Field(None, description="an http(s) address")
    s3_endpoint_url: str | None = Field(None, description="an http(s) address")
    s3_region: str | None = Field(None, description="a region, as eu-central-1")
    s3_addressing_style: Literal["auto", "path", "virtual"] = Field(
        "auto", description="auto (path where S3_ENDPOINT_URL is set), path or virtual"
    )
    s3_sse: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="AES256, aws:kms or aws:kms:dsse"
    )
    s3_sse_kms_key_id: str | None = Field(
        None, pattern=r"^\S+$", description="the id, ARN or alias of a KMS key"
    )
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
    glue_database: str | None = Field(
        None, pattern=r"^[a-z0-9_]{1,255}$", description="lower-case letters, digits and _"
    )
    export_keep_days: int | None = Field(None, ge=1, description="how many days to keep, as 90")
    export_keep_monthly: int = Field(
        0, ge=0, description="of how many months to keep the last day, as 12"
    )
    keep_runs_days: int | None = Field(
        None, ge=1, description="for how many days to keep the logs of runs, as 30"
    )

    @field_validator(
        "object_types",
        "exclude_object_types",
        "event_types",
        "exclude_event_types",
        "export_formats",
        "export_owners",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(_words(value)) if isinstance(value, str) else value

    @field_validator("hubspot_api_versions", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [_pair(word) for word in _words(value)]
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    @field_validator("*", mode="before")  # before those above, as it is defined after them
    @classmethod
    def _plain(cls, value: object, info: ValidationInfo) -> object:
        """A text without the blanks around it, which copying adds; it is one line, unquoted."""
        if not isinstance(value, str):
            return value
        name, text = str(info.field_name), value.strip()
        if name in _CREDENTIALS:
            if found := flaw(text):
                expected = cls.model_fields[name].description
                raise SettingsError(f"{name.upper()}: found {found}, expected {expected}")
        elif not text or not text.isprintable() or set("\"'") & {text[0], text[-1]}:
            raise ValueError
        return text

    @field_validator("alert_webhook_url")
    @classmethod
    def _webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not _WEBHOOK.fullmatch(value.get_secret_value()):
            raise SettingsError(
                "ALERT_WEBHOOK_URL: found something else, expected an http(s) address"
            )
        return value

    @field_validator("budget_url", "celery_broker_url")
    @classmethod
    def _redis(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value and not _REDIS.fullmatch(value.get_secret_value()):
            name = str(info.field_name).upper()
            raise SettingsError(
                f"{name}: found something else, expected redis://host or rediss://host"
            )
        return value

    @field_validator("hubspot_base_url", "s3_endpoint_url", "alert_webserver_url")
    @classmethod
    def _address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        name = str(info.field_name)
        url = urlsplit(value)  # raises ValueError for half a bracket, as .port for a word
        if "@" in url.netloc:
            raise SettingsError(f"{name.upper()}: found a user in it, expected an http(s) address")
        if url.scheme not in {"http", "https"} or url.port == 0:
            raise ValueError
        if not _HOST.fullmatch(url.hostname or ""):
            raise ValueError
        # The paths of HubSpot's APIs are ours to know; another store may live below one.
        more = "a query" if set("?#") & set(value) else ""
        if name == "hubspot_base_url" and url.path.strip("/"):
            more = f"the path {url.path}"
        if more:
            raise SettingsError(f"{name.upper()}: found {more} behind the address, expected none")
        return value.rstrip("/")

    @field_validator("s3_region")
    @classmethod
    def _region(cls, value: str | None, info: ValidationInfo) -> str | None:
        """AWS's regions have a form of their own; other stores name theirs as they like."""
        elsewhere = info.data.get("s3_endpoint_url") or _ENDPOINTS & os.environ.keys()
        form = _REGION if elsewhere else _AWS_REGION
        if value is not None and not form.fullmatch(value):
            raise ValueError
        return value

    @field_validator("export_formats")
    @classmethod
    def _formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Manifests are those of the CSV, beside which other formats stand."""
        if "csv" not in value or not set(value) <= {"csv", "parquet"}:
            raise ValueError
        return value

    @field_validator("export_owners")
    @classmethod
    def _owners(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_OWNER.fullmatch, value)):
            raise ValueError
        return value

    @field_validator("export_start", mode="before")
    @classmethod
    def _day(cls, value: object) -> object:
        if isinstance(value, str) and not (_ISO_DAY.fullmatch(value) and value >= EARLIEST):
            raise ValueError  # or a number would be seconds since 1970
        return value

    @field_validator("export_url", "state_url")
    @classmethod
    def _target(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if value.startswith("s3://"):
            bucket, *prefix = value.removeprefix("s3://").rstrip("/").split("/")
            if not _BUCKET.fullmatch(bucket) or not {".", ".."}.isdisjoint(prefix):
                raise ValueError
            return value.rstrip("/")
        folder = _local(value, Path.is_dir)
        return str(folder) if value.startswith("~") else value.rstrip("/") or "/"

    @field_validator("portals_file")
    @classmethod
    def _there(cls, value: Path | None) -> Path | None:
        found = None if value is None else _local(str(value), Path.is_file)
        if found and not found.exists():
            raise ValueError
        return found

    @field_validator("catalog_file")
    @classmethod
    def _file(cls, value: Path | None) -> Path | None:
        return None if value is None else _local(str(value), Path.is_file)

    @field_validator("export_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value.startswith(_NO_ZONES):
            raise ValueError
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
        if self.glue_database and not self.export_url.startswith("s3://"):
            raise SettingsError(
                f"EXPORT_URL: found {self.export_url}, expected s3://bucket/prefix, since "
                "GLUE_DATABASE is set"
            )
        if self.keep_runs_days and self.keep_runs_days < self.export_heal_days:
            raise SettingsError(
                f"KEEP_RUNS_DAYS: found {self.keep_runs_days}, expected {self.export_heal_days} or "
                "more, since EXPORT_HEAL_DAYS days are healed by what their runs failed for"
            )
        if self.s3_sse_kms_key_id and self.s3_sse not in {"aws:kms", "aws:kms:dsse"}:
            raise SettingsError(
                f"S3_SSE: found {self.s3_sse or 'nothing'}, expected aws:kms or aws:kms:dsse, "
                "since S3_SSE_KMS_KEY_ID is set"
            )
        return self

    @model_validator(mode="after")
    def _nothing_on_one_host(self) -> Settings:
        """What the steps of a distributed executor need is where all of their hosts find it."""
        if self.export_executor not in DISTRIBUTED:
            return self
        since = f"since EXPORT_EXECUTOR is {self.export_executor}, whose hosts share it"
        for name, url in ("EXPORT_URL", self.export_url), ("STATE_URL", self.state):
            if not url.startswith("s3://"):
                raise SettingsError(f"{name}: found {url}, expected s3://bucket/prefix, {since}")
        if self.catalog_file:
            raise SettingsError(
                f"CATALOG_FILE: found {self.catalog_file}, expected none, for one in the state "
                f"root, {since}"
            )
        if not self.budget_url:
            raise SettingsError(f"BUDGET_URL: found nothing, expected a Redis server, {since}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The export time zone."""
        return ZoneInfo(self.export_timezone)

    @property
    def begins_at(self) -> time:
        """When the schedule delivers the day that has ended, in the export time zone."""
        return time.fromisoformat(self.export_at)

    @property
    def fresh_by(self) -> tuple[int, int]:
        """Hour and minute by which the tables are to be there."""
        hour, minute = self.export_fresh_by.split(":")
        return int(hour), int(minute)

    @property
    def state(self) -> str:
        """Where staged data and checkpoints are: a folder or an S3 address."""
        return self.state_url or f"{self.export_url}/_state"


_NAMES = [name.upper() for name in Settings.model_fields]


def load_settings(portal: str | None = None) -> Settings:
    """The settings of the environment and of `.env` in the working folder.

    Where they name a PORTALS_FILE, those of a portal in it: of `portal`, else of PORTAL_NAME.
    Raises SettingsError: one line for the first setting that is wrong.
    """
    shared = _shared_settings()
    name = portal or shared.portal_name
    if shared.portals_file is None:
        if name:
            raise SettingsError(f"PORTALS_FILE: found nothing, expected a file that has {name}")
        return shared
    portals = _portals(shared.portals_file)
    if name is None:
        raise SettingsError(
            f"PORTAL_NAME: found nothing, nor --portal; expected one that {portals.path} has: "
            + ", ".join(portals.portals)
        )
    return _of_portal(name, portals, shared)


def load_portals() -> PortalsFile:
    """The portals of PORTALS_FILE. Raises SettingsError."""
    path = _shared_settings().portals_file
    if path is None:
        raise SettingsError(
            "PORTALS_FILE: found nothing, expected a TOML file with a table per portal"
        )
    return _portals(path)


def _shared_settings() -> Settings:
    """What the environment and `.env` say."""
    try:
        known = [*_NAMES, *_variables_of_portals()]
        if (file := Path(_ENV_FILE)).is_file():
            check_file(file, known)
        check_names(os.environ, known)
    except EnvError as error:
        raise SettingsError(str(error)) from None
    return _settings({})


def _variables_of_portals() -> set[str]:
    """Names that PORTALS_FILE gives to what looks like settings, as HUBSPOT_ACCESS_TOKEN_ACME."""
    path = os.environ.get("PORTALS_FILE") or value_in(Path(_ENV_FILE), "PORTALS_FILE")
    try:
        return PortalsFile.read(_local(path, Path.is_file)).variables if path else set()
    except (PortalsError, ValueError):
        return set()  # it is read again, and that told, where the settings are sound


def _portals(path: Path) -> PortalsFile:
    try:
        return PortalsFile.read(path)
    except PortalsError as error:
        raise SettingsError(str(error)) from None


def _of_portal(name: str, portals: PortalsFile, shared: Settings) -> Settings:
    """A portal's settings: its own, then those that all share."""
    environment = {**dotenv_values(_ENV_FILE), **os.environ}
    try:
        own = portals.settings_of(name, _NAMES, {k: v for k, v in environment.items() if v})
    except PortalsError as error:
        raise SettingsError(str(error)) from None
    begins = shared.begins_at.hour * 60 + shared.begins_at.minute + portals.spread(name, _SPREAD)
    values = {
        **{each.lower(): Settings.model_fields[each.lower()].default for each in OWN},
        "export_at": "{:02}:{:02}".format(*divmod(min(begins, _LATEST), 60)),
        **{each.lower(): text for each, text in own.items()},
        "portal_name": name,
    }
    try:
        return _settings(values)
    except SettingsError as error:
        raise SettingsError(f"{portals.path}, {name}: {error}") from None


def _settings(own: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**own)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        expected = Settings.model_fields[name].description
        raise SettingsError(
            f"{name.upper()}: found {first['input']!r}, expected {expected}"
        ) from None


def _local(path: str, as_it_should: Callable[[Path], bool]) -> Path:
    """A path on this machine, where nothing is yet, or what should be. Raises ValueError."""
    if _NO_FOLDER.match(path):
        raise ValueError
    try:
        found = Path(path).expanduser()
        if path.startswith("~") and not Path(path.split("/")[0]).expanduser().is_dir():
            raise ValueError
        if found.exists() and not as_it_should(found):
            raise ValueError
    except PermissionError:
        return found  # who writes there is told
    except (RuntimeError, OSError) as error:  # a user who is none, and a name that is too long
        raise ValueError from error
    return found


def _words(text: str) -> list[str]:
    """The words of a list; it has some, as an empty one would mean all there are."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ValueError
    return words


def _pair(word: str) -> tuple[str, str]:
    name, separator, version = word.partition("=")
    if not separator or not name or not version:
        raise ValueError
    return name.strip(), version.strip()
