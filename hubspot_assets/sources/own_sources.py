"""Object types outside the CRM objects API: read from it where a portal serves them there all the
same, else from their own APIs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hubspot_assets.exported import Exported, ExportedType
from hubspot_assets.hubspot import metadata, own_apis
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import NotServed
from hubspot_assets.hubspot.lists import list_records
from hubspot_assets.hubspot.metadata import Read, Tell
from hubspot_assets.readings.merging import DamagedError
from hubspot_assets.readings.reading import Staged
from hubspot_assets.sources.engagements import engagement_types, stage_engagements
from hubspot_assets.sources.fates import live_ids
from hubspot_assets.sources.modified import APIS, read_modified
from hubspot_assets.sources.own_changes import own_plan
from hubspot_assets.sources.own_types import extract_own
from hubspot_assets.sources.record_sources import read_properties, read_records
from hubspot_assets.sources.source import Ask, Source
from hubspot_assets.sources.submissions import SUBMISSIONS, read_new_submissions
from hubspot_assets.sources.turns import base_of
from hubspot_assets.storage import NotFoundError

DEALS = "0-3"

log = logging.getLogger(__name__)

#: How changes are read, by API; those of other APIs are read in full.
CHANGES = {SUBMISSIONS: read_new_submissions} | dict.fromkeys(APIS, read_modified)


def own_sources(exported: Exported) -> Iterator[Source]:
    """One for each exported type that has an API of its own: its records and properties."""
    for of in exported.types:
        if of.has_own_api:
            made_of = [each for each in exported.types if each.object_type.id in _made_of(of)]
            yield Source(
                of.records,
                of.path,
                f"All live {of.label} with their properties, most of which keep no history.",
                _OwnType(of, made_of, exported).extract,
                group="records",
                api=of.object_type.api,
                needs=tuple(name for each in made_of for name in (each.records, each.properties)),
                also=(of.properties,),
                object_type_id=of.object_type.id,
            )


def _made_of(of: ExportedType) -> tuple[str, ...]:
    """The types whose staged records a type is read by, or made of."""
    if of.object_type.api == "engagements":
        return engagement_types()
    return (DEALS,) if of.object_type.api == "deal_splits" else ()


@dataclass(frozen=True, slots=True)
class _OwnType:
    """A type with an API of its own; `made_of` are the exported types that it needs first."""

    of: ExportedType
    made_of: Sequence[ExportedType]
    exported: Exported

    def extract(self, ask: Ask) -> Staged:
        """Stages its records and properties."""
        try:
            own_apis.probe_crm(ask.client, self.of.object_type)
        except NotServed:
            return self._by_own_api(ask)
        read_properties(ask, self.of)
        return read_records(ask, self.of, self.exported.portal)

    def _by_own_api(self, ask: Ask) -> Staged:
        object_type = self.of.object_type
        if object_type.api == "engagements":
            return stage_engagements(ask.staging, [each.object_type for each in self.made_of])
        defined = _defined(ask.client, self.of)
        plan = own_plan(ask.client, self.exported.portal, object_type, defined)
        return self._changes(ask, plan, defined) or extract_own(
            ask.staging,
            object_type,
            self._reader(ask),
            plan=plan,
            defined=defined,
            report=lambda _, records: ask.report(self.of.folder, records),
        )

    def _changes(self, ask: Ask, plan: str, defined: Sequence[Read]) -> Staged | None:
        """Stages what has changed since an earlier reading, where the API tells of that."""
        object_type = self.of.object_type
        look = CHANGES.get(object_type.api)
        if look is None:
            return None
        base = base_of(ask.staging, self.of.records, plan, ask.incremental, ask.sweep_days)
        try:
            return base and look(ask, object_type, base, defined)
        except (NotFoundError, DamagedError) as error:
            log.warning("%s are all read: %s", object_type.plural_name, error)
            return None

    def _reader(self, ask: Ask) -> Callable[[Tell], Iterator[Read]]:
        match self.of.object_type.api:
            case "lists":
                ids = [each.id for each in self.exported.catalog.object_types]
                return lambda tell: list_records(ask.client, ids, tell)
            case "deal_splits":
                return lambda tell: own_apis.deal_splits(ask.client, self._deal_ids(ask), tell)
            case api:
                return lambda tell: own_apis.READERS[api](ask.client, tell)

    def _deal_ids(self, ask: Ask) -> Iterator[str]:
        """Ids of the deals that are staged; of all deals where none could be."""
        for each in self.made_of:
            staged = ask.staging.complete(each.records)
            if staged.availability.served:
                for chunk in staged.chunks():
                    yield from map(str, live_ids(chunk))
                return
        yield from own_apis.deal_ids(ask.client)


def _defined(client: HubSpot, of: ExportedType) -> list[Read]:
    """The type's properties as HubSpot defines them, where it does."""
    try:
        with own_apis.unsure_of(of.object_type):
            found = list(metadata.properties(client, of.object_type.id))
    except NotServed:
        return []
    return [each for each in found if not each.content.get("archived")]
