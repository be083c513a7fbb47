"""The thin resources through which assets reach HubSpot and the staged day."""

import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from hubspot_assets.assets.ahead import ReadAhead
from hubspot_assets.assets.labels import of_portal
from hubspot_assets.catalog_place import CatalogPlace, catalog_place
from hubspot_assets.day import Day
from hubspot_assets.executors import reads_ahead
from hubspot_assets.hubspot.auth import Auth, BearerToken, RefreshToken, TokenFile, TokenPlace
from hubspot_assets.hubspot.budgets import Budgets
from hubspot_assets.hubspot.catalog import known_zone
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.paths import Paths
from hubspot_assets.hubspot.record_counts import RecordCounts
from hubspot_assets.hubspot.stopping import Stop
from hubspot_assets.portal import check_places, portal_of
from hubspot_assets.readings.reading import READINGS
from hubspot_assets.readings.staging import Staging
from hubspot_assets.settings import Settings, SettingsError, load_settings
from hubspot_assets.storage import Store, open_store
from hubspot_assets.storage.copies import Copies
from hubspot_assets.storage.leases import Leases
from hubspot_assets.storage.owner import owned
from hubspot_assets.storage.s3_resource import ExportS3Resource
from hubspot_assets.storage.temporary import sweep_temporary

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Progress = Callable[[str, int], None]

#: Seconds in which an impatient S3 must connect, and answer.
_IMPATIENT = 5

#: How glibc's malloc.h calls the number of heaps that threads have.
_M_ARENA_MAX = -8

_NAMED = "The portal of PORTALS_FILE whose settings hold."


def connect(settings: Settings, time_zone: str | None = None) -> HubSpot:
    """A client of the portal that the settings name. Raises SettingsError without a token.

    `time_zone` is the portal's, whose midnight ends the day of its daily limit; UTC's does where
    that one is not known here.
    """
    auth = _auth(settings)
    _share_heaps()
    stop = Stop()
    budgets = _budgets(settings, auth.account, stop)
    return HubSpot(
        auth,
        settings.hubspot_base_url,
        paths=_paths(settings),
        budgets=budgets,
        in_flight=settings.hubspot_workers,
        time_zone=known_zone(time_zone) or UTC,
        stop=stop,
    )


def s3_resource(settings: Settings, *, impatient: bool = False) -> ExportS3Resource:
    """S3 as the settings say; credentials are found as boto3 finds them.

    An `impatient` one is for what somebody waits for: it gives up within seconds.
    """
    return ExportS3Resource(
        region_name=settings.s3_region,
        endpoint_url=settings.s3_endpoint_url,
        max_attempts=2 if impatient else 8,
        timeout=_IMPATIENT if impatient else None,
        role_arn=settings.export_role_arn,
        external_id=settings.export_external_id,
        role_duration=settings.export_role_duration,
        addressing_style=settings.s3_addressing_style,
        sse=settings.s3_sse,
        sse_kms_key_id=settings.s3_sse_kms_key_id,
    )


def check_owner(settings: Settings, s3: "Callable[[], S3Client]") -> None:
    """Sees that where is written is the portal's that the token is of.

    Without a token, that it is one portal's. Raises OtherPortalError, HubSpotError, StoreError.
    """
    portal_id = None
    if settings.hubspot_access_token or settings.hubspot_refresh_token:
        with connect(settings) as client:
            portal_id = portal_of(client)
    check_places(settings, s3, portal_id)


def _share_heaps() -> None:
    """Have the threads that will read share two heaps: each of its own keeps what is free in it,
    which is a tenth of what reading a portal takes. Without glibc nothing is done."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def _auth(settings: Settings) -> Auth:
    if settings.hubspot_access_token:
        return BearerToken(settings.hubspot_access_token.get_secret_value())
    if settings.hubspot_refresh_token and settings.hubspot_client_secret:
        return RefreshToken(
            settings.hubspot_client_id or "",
            settings.hubspot_client_secret.get_secret_value(),
            settings.hubspot_refresh_token.get_secret_value(),
            kept=partial(_tokens, settings),
        )
    raise SettingsError(
        f"{of_portal(settings.portal_name)}HUBSPOT_ACCESS_TOKEN: found nothing, expected a service "
        "key or the token of a private app"
    )


def _budgets(settings: Settings, account: str, stop: Stop) -> Budgets:
    if settings.budget_url is None:
        return Budgets(_shared_folder(), account, sleep=stop.sleep)
    with _needing_redis():
        from hubspot_assets.hubspot.shared import BudgetServer, SharedBudgets
    server = BudgetServer(settings.budget_url.get_secret_value())
    return SharedBudgets(server, _shared_folder(), account, sleep=stop.sleep)


def _tokens(settings: Settings, account: str) -> TokenPlace:
    path = _shared_folder() / f"{account}.tokens"
    if settings.budget_url is None:
        return TokenFile(path)
    with _needing_redis():
        from hubspot_assets.hubspot.shared import BudgetServer, SharedTokens
    return SharedTokens(BudgetServer(settings.budget_url.get_secret_value()), account, path)


@contextmanager
def _needing_redis() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise SettingsError(
            "BUDGET_URL: found a Redis server, expected none while redis is not installed; "
            "run: pip install 'hubspot-assets[redis]'"
        ) from None


def _paths(settings: Settings) -> Paths:
    try:
        return Paths(settings.hubspot_api_versions)
    except ValueError as error:
        raise SettingsError(f"HUBSPOT_API_VERSIONS: {error}") from None


def _shared_folder() -> Path:
    """Where this user's processes share what they know of HubSpot's budgets, and its tokens."""
    folder = Path(tempfile.gettempdir()) / f"hubspot-assets-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SettingsError(f"TMPDIR: found {folder} of another user in it, expected it to be ours")
    return folder


class HubSpotResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """HubSpot's API: one client for all that a process reads in a run.

    The token comes from the settings at run time and is no resource config.
    """

    portal_name: str | None = Field(default=None, description=_NAMED)
    portal_time_zone: str | None = None
    portal_id: int | None = Field(default=None, description="The portal of the catalog, if known.")
    _progress: Progress | None = PrivateAttr(default=None)
    _client: HubSpot | None = PrivateAttr(default=None)
    _ahead: ReadAhead | None = PrivateAttr(default=None)
    _settings: Settings | None = PrivateAttr(default=None)
    _own_counts: RecordCounts = PrivateAttr(default_factory=RecordCounts)
    _read: dict[str, int] = PrivateAttr(default_factory=dict)

    @property
    def so_far(self) -> dict[str, int]:
        """How many records of each source have been read, what is told of last at the end."""
        return self._read.copy()

    def report(self, source: str, records: int) -> None:
        """Tells how many records of a source have been read."""
        self._read.pop(source, None)
        self._read[source] = records
        if self._progress:
            self._progress(source, records)

    @property
    def client(self) -> HubSpot:
        """The client, made when it is first asked for.

        Raises SettingsError without a token; where the token is of another portal than the
        catalog, SettingsError, and than what is exported to, OtherPortalError.
        """
        if self._client is None:
            client = connect(self.settings, self.portal_time_zone)
            try:
                self._admit(client, self.settings)
            except BaseException:
                client.close()
                raise
            self._client = client
        return self._client

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """The end of the run, or of its part in this process: nothing is read any more."""
        if self._client:
            self._client.stop()
        if self._ahead:
            self._ahead.close()
            self._ahead = None
        if self._client:
            self._client.close()
            self._client = None

    def ahead(self, make: Callable[[], ReadAhead]) -> ReadAhead | None:
        """What reads ahead in this run; none where each step has a process of its own."""
        if self._ahead is None and reads_ahead(self.settings):
            self._ahead = make()
        return self._ahead

    def _admit(self, client: HubSpot, settings: Settings) -> None:
        """Sees that all is of one portal."""
        portal_id = portal_of(client)
        if self.portal_id not in (None, portal_id):
            raise SettingsError(
                f"HUBSPOT_ACCESS_TOKEN: found the token of portal {portal_id}, expected one of "
                f"portal {self.portal_id}, whose catalog was loaded; discover {portal_id} with "
                "another EXPORT_URL and CATALOG_FILE, and reload the code location"
            )
        for owner in check_places(settings, s3_resource(settings).get_client, portal_id):
            owner.claim(portal_id)

    @property
    def workers(self) -> int:
        """Requests in flight."""
        return self.settings.hubspot_workers

    @property
    def settings(self) -> Settings:
        """The settings of the run, read once for its hundreds of steps."""
        if self._settings is None:
            self._settings = load_settings(self.portal_name)
        return self._settings

    @property
    def incremental(self) -> str:
        """How records are looked through for what has changed."""
        return self.settings.incremental

    @property
    def sweep_days(self) -> int:
        """After how many days at most all records are looked through."""
        return self.settings.sweep_days

    @property
    def own_counts(self) -> RecordCounts:
        """What HubSpot counts, asked for once for all types."""
        return self._own_counts

    @property
    def keep_erased_days(self) -> int:
        """For how many days what HubSpot has erased is kept in readings."""
        return self.settings.keep_erased_days


def watched_by(progress: Progress) -> type[HubSpotResource]:
    """The resource that tells `progress` of the records it reads; in process only.

    A class of its own, as Dagster makes a resource anew for each run, by its config alone.
    """

    class Watched(HubSpotResource):
        _progress: Progress | None = PrivateAttr(default_factory=lambda: progress)

    return Watched


class ReadingOptions(dg.ConfigurableResource):  # type: ignore[type-arg]
    """What a run may say of its readings: in the launchpad, as the resource `reading`."""

    read_again: bool = Field(
        default=False, description="Ask HubSpot even for what an earlier reading tells of the day."
    )


class StagingResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The readings below the state root, and which of them serve a day."""

    url: str
    s3: dg.ResourceDependency[S3Resource]
    portal_name: str | None = Field(default=None, description=_NAMED)
    portal_id: int | None = Field(default=None, description="The portal of the catalog, if known.")
    options: dg.ResourceDependency[ReadingOptions]
    _store: Store | None = PrivateAttr(default=None)
    _copies: Copies | None = PrivateAttr(default=None)
    _catalog: CatalogPlace | None = PrivateAttr(default=None)
    _leases: Leases | None = PrivateAttr(default=None)
    _days: dict[str, Staging] = PrivateAttr(default_factory=dict)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """The beginning of a run, or of one of its steps where it has a process of its own."""
        self._leases = Leases(context.run.run_id) if context.run else None
        self._days = {}
        sweep_temporary()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Its end: others may read the days that it read."""
        if self._copies:
            self._copies.close()
        if self._leases:
            self._leases.release()

    @property
    def catalog(self) -> CatalogPlace:
        """Where the portal's catalog is."""
        if self._catalog is None:
            self._catalog = catalog_place(load_settings(self.portal_name), self.s3.get_client)
        return self._catalog

    def day(self, day: Day) -> Staging:
        """What was read for one day; the readings are this run's until it ends.

        Raises StoreError, and OtherPortalError where it is another portal's.
        """
        if self._store is None:
            self._copies = Copies()
            store = open_store(self.url, self.s3.get_client, copies=self._copies)
            owned(store, self.portal_id, "STATE_URL")
            self._store = store
        if self._leases is None:
            return Staging(self._store, day, read_again=self.options.read_again)
        # Asked for each time: it may have been lost.
        lease = self._leases.of(self._store, READINGS, dg.get_dagster_logger().warning)
        if day.name not in self._days:
            again = self.options.read_again
            self._days[day.name] = Staging(self._store, day, lease, read_again=again)
        return self._days[day.name]
