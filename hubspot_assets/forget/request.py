"""What is asked for, by a command or a job, made into who is to be forgotten; and that done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hubspot_assets.catalog_place import catalog_place
from hubspot_assets.exported import Exported
from hubspot_assets.forget.asking import still_served
from hubspot_assets.forget.chunks import erased
from hubspot_assets.forget.forgetting import Places, Report, Told, forget
from hubspot_assets.forget.people import CONTACTS, People, Types
from hubspot_assets.hubspot.catalog import Catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.settings import Settings, SettingsError
from hubspot_assets.storage import open_store
from hubspot_assets.tables.all import all_tables

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Request:
    """Records of a type by id, contacts by e-mail address, a file of either, one a line; or all
    records that readings have found erased. `exclude` asks HubSpot for nothing; `redact` is also of
    what refers to them."""

    object_type: str = ""
    ids: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    from_file: Path | None = None
    erased: bool = False
    exclude: bool = False
    dry_run: bool = False
    versions: bool = False
    redact: bool = False


def carry_out(
    request: Request,
    settings: Settings,
    s3: Callable[[], S3Client],
    connect: Callable[[], HubSpot],
    told: Told,
) -> Report:
    """Forgets what is asked for. `connect` makes the client of HubSpot that is asked first.

    Raises SettingsError for what can't be asked for, and for records that HubSpot still serves;
    HubSpotError, StoreError.
    """
    catalog = catalog_place(settings, s3).load()
    exported = Exported.of(catalog, settings)
    tables = all_tables(exported, whole_history=False)
    pairs = {of.spec.name: of.object_type_ids for of in tables if len(of.object_type_ids) > 1}
    types = Types.of(catalog)
    store, state = open_store(settings.export_url, s3), open_store(settings.state, s3)
    people = _asked(request, types)
    if request.erased:
        people |= People.told(erased(state))
    if people.ids and not request.exclude:
        with connect() as client:
            people = _unserved(client, catalog, people, request, told)
    return forget(
        Places(store, state, types, pairs),
        people,
        dry_run=request.dry_run,
        versions=request.versions,
        for_ever=request.exclude,
        redact=request.redact,
        told=told,
    )


def _asked(request: Request, types: Types) -> People:
    """Who is named. Raises SettingsError."""
    words = [*request.ids, *_lines(request.from_file)]
    emails = {*request.emails, *(each for each in words if "@" in each)}
    ids = [each for each in words if "@" not in each]
    if not (words or emails or request.erased):
        raise SettingsError("ids: found nothing, expected ids, --email, --from-file or --erased")
    for each in ids:
        if not (each.isascii() and each.isdecimal() and len(each) < 19):
            raise SettingsError("ids: found what is no id, expected the ids of records, as 151")
    for each in emails:
        if each.count("@") != 1 or not each.isprintable() or set(" ,;\"'") & set(each):
            raise SettingsError("email: found no address, expected one, as ada@example.com")
    if ids and not request.object_type:
        raise SettingsError("type: found nothing, expected the type of the records, as contacts")
    type_id = types.named(request.object_type) if request.object_type else CONTACTS
    if emails and type_id != CONTACTS:
        raise SettingsError(f"email: expected with contacts alone, not with {request.object_type}")
    return People.told(((type_id, int(each)) for each in ids), emails, types.names)


def _lines(file: Path | None) -> Iterable[str]:
    if file is None:
        return []
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"from-file: {file} can't be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _unserved(
    client: HubSpot, catalog: Catalog, people: People, request: Request, told: Told
) -> People:
    """`people`, if HubSpot serves none of the records, or it is not to be done yet.

    Of those that readings have found erased the ones that it serves all the same are left out.
    """
    served = still_served(client, catalog, people)
    if not served:
        return people
    if request.erased:
        told(f"warning: {served.number:,} records are still in HubSpot: left as they are")
        return people.but(served)
    message = (
        f"ids: {served.number:,} of {people.number:,} records are still in HubSpot: erase them "
        "there, or leave them out of the export from now on with --exclude"
    )
    if request.dry_run:
        told(f"warning: {message}")
        return people
    raise SettingsError(message)
