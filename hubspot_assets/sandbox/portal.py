"""The portal: what is true in it at any moment. No HTTP here."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from hubspot_assets.sandbox.assets import Asset
from hubspot_assets.sandbox.association_types import (
    AssociationType,
    Pair,
    association_types,
    plain_types,
)
from hubspot_assets.sandbox.business import Business
from hubspot_assets.sandbox.changes import happenings
from hubspot_assets.sandbox.config import Clock, PortalConfig
from hubspot_assets.sandbox.content import DEALS, Content
from hubspot_assets.sandbox.event_life import EventLife, Occurrence
from hubspot_assets.sandbox.event_types import EventType, Rate, custom_event, event_types
from hubspot_assets.sandbox.facts import (
    ObjectType,
    custom_type,
    generic_types,
    object_types,
    rows,
)
from hubspot_assets.sandbox.forms import Submission, forms_at
from hubspot_assets.sandbox.life import Change, Life, Record
from hubspot_assets.sandbox.links import (
    LinkedPair,
    Links,
    Plan,
    Records,
    Routes,
    Through,
    plan_of,
)
from hubspot_assets.sandbox.lists import Lists, Memberships, PortalList, list_facts
from hubspot_assets.sandbox.marketing import Marketing
from hubspot_assets.sandbox.marketing_emails import marketing_emails_at
from hubspot_assets.sandbox.people import Owner, Team, all_owners, all_teams
from hubspot_assets.sandbox.pipelines import Pipeline, pipelines_of
from hubspot_assets.sandbox.population import Fate
from hubspot_assets.sandbox.properties import Property, properties_of
from hubspot_assets.sandbox.scopes import EVERY_SCOPE, sensitive_scope
from hubspot_assets.sandbox.splits import DEAL_SPLITS, SplitLife, SplitRoutes
from hubspot_assets.sandbox.stamps import milliseconds, moment

#: Of the records of a type that is made at run time, so many percent are linked to a contact.
_LINKED_SHARE = 60
_CONTACTS = "0-1"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One value of a property. Fields that HubSpot leaves out are None."""

    value: str
    timestamp: datetime
    source_type: str
    source_id: str | None
    source_label: str | None
    updated_by_user_id: int | None


@dataclass(frozen=True, slots=True)
class PortalRecord:
    """A record as it is at one moment. `properties` holds the set ones (a cleared one is
    ""); `histories` is newest first."""

    record_id: int
    properties: dict[str, str]
    histories: dict[str, list[HistoryEntry]]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class RecordFate(NamedTuple):
    """What became of a record: it was archived, erased, or merged into the one with that id."""

    kind: str
    at: datetime
    merged_into: int | None


class RecordChange(NamedTuple):
    """What happened to one record: `kind` is created, updated, archived, restored, erased or
    merged; `at` is None for an update that left no history. `merged_into` is the id of the record
    that a merged one lives on in. `properties` are the names of those that a created record has
    set, and whose values an update changed or cleared, all in all; what HubSpot works out at each
    call is not among them."""

    kind: str
    record_id: int
    at: datetime | None
    merged_into: int | None
    properties: frozenset[str]


class Link(NamedTuple):
    """One type of one link, from one side: a link has as many as it has types there."""

    from_id: int
    to_id: int
    category: str
    type_id: int
    label: str | None


class Portal:
    """A deterministic HubSpot portal. Methods that take `at` tell the truth of that moment,
    past or future."""

    def __init__(self, config: PortalConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.clock = clock or Clock(config.now)
        self.scopes = (
            EVERY_SCOPE if config.scopes is None else config.scopes
        ) - config.without_scopes
        self._kinds = object_types(config.portal_id) | generic_types()
        self._types = {
            object_type_id: kind
            for object_type_id, kind in self._kinds.items()
            if object_type_id in config.generic_types or object_type_id not in generic_types()
        }
        self._aliases = _aliases(self._types)
        self._properties: dict[str, tuple[Property, ...]] = {}
        self._lives: dict[str, Life] = {}
        self.marketing = Marketing(config, self.life)
        self._business = Business(self.life, self._forward_pair, self.marketing.conversions)
        enabled = {key for key, kind in self._types.items() if self.is_enabled(kind)}
        self._lists = Lists(
            (
                each
                for each in list_facts()
                if each.object_type_id in enabled and (config.odd_lists or not each.odd)
            ),
            self.life,
            config.big_list,
        )
        self.content = Content(config, self.life, self.properties)
        self._association_types = association_types(self._types)
        self._plans = {
            (row["from_object_type_id"], row["to_object_type_id"]): plan_of(row)
            for row in rows("associations.csv")
        }
        self._linked: dict[Pair, LinkedPair] = {}
        self.event_life = EventLife(event_types(config.portal_id), self.life, seed=config.seed)

    # Types

    def object_types(self) -> list[ObjectType]:
        """Every type that the CRM objects API serves here, enabled or not."""
        return list(self._types.values())

    def is_enabled(self, kind: ObjectType) -> bool:
        """Whether the portal has the type switched on."""
        return self.config.plan in kind.plans

    def find_type(self, alias: str) -> ObjectType | None:
        """The type that an id, a name or a fully qualified name stands for."""
        found = self._aliases.get(alias.lower())
        return None if found is None else self._types[found]

    def properties(self, object_type_id: str) -> tuple[Property, ...]:
        """All properties of a type, archived and sensitive ones too."""
        if object_type_id not in self._properties:
            kind = self._kinds[object_type_id]
            self._properties[object_type_id] = properties_of(kind, self.config.contact_properties)
        return self._properties[object_type_id]

    def readable_properties(self, kind: ObjectType) -> dict[str, Property]:
        """The properties whose values the granted scopes let a token read, by name."""
        open_to = {"non_sensitive"}
        open_to |= {
            level
            for level in ("sensitive", "highly_sensitive")
            if sensitive_scope(kind, level) in self.scopes
        }
        return {
            each.name: each
            for each in self.properties(kind.object_type_id)
            if not each.archived and each.sensitivity in open_to
        }

    def life(self, object_type_id: str) -> Life:
        """The life of a type's records."""
        if object_type_id not in self._lives:
            self._lives[object_type_id] = self._life(self._kinds[object_type_id])
        return self._lives[object_type_id]

    def _life(self, kind: ObjectType) -> Life:
        properties, seed = self.properties(kind.object_type_id), self.config.seed
        if kind.object_type_id == DEAL_SPLITS:
            deals, amount = self.life(DEALS), self.content.deal_amount
            return SplitLife(kind, properties, deals=deals, amount=amount, seed=seed)
        story = self._business.story(kind, properties)
        return Life(
            kind,
            properties,
            records=self.config.records,
            seed=seed,
            story=story,
            ids_last=self.config.primary_ids_last,
            stored_late=self.config.stored_late,
        )

    def define_type(
        self, name: str, singular: str, plural: str | None = None, *, records: int = 8
    ) -> str:
        """Makes a custom object type, whose records have always been there: so many by the end
        of 2026, most of them linked to a contact. Gives its id."""
        known = [int(each.partition("-")[2]) for each in self._kinds if each.startswith("2-")]
        kind = custom_type(self.config.portal_id, max(known) + 1, name, singular, plural, records)
        self._kinds[kind.object_type_id] = kind
        self._take_types({**self._types, kind.object_type_id: kind})
        pair = kind.object_type_id, _CONTACTS
        used = (each.type_id for types in self._association_types.values() for each in types)
        there, back = plain_types(kind, self._kinds[_CONTACTS], max(used) + 1)
        self._association_types |= {pair: (there,), pair[::-1]: (back,)}
        self._plans[pair] = Plan((_LINKED_SHARE,), {}, hub_links=0, hub_share=0)
        return kind.object_type_id

    def relabel_type(self, object_type_id: str, singular: str, plural: str | None = None) -> None:
        """Calls a custom object type otherwise; its name stays."""
        kind = replace(self._types[object_type_id], singular_label=singular, plural_label=plural)
        self._take_types({**self._types, object_type_id: kind})

    def remove_type(self, object_type_id: str) -> None:
        """Deletes a custom object type with its records, links and lists."""
        for each in self._lists.at(self.clock.now()):
            if each.facts.object_type_id == object_type_id:
                self.delete_list(each.facts.list_id)
        self._plans = {pair: p for pair, p in self._plans.items() if object_type_id not in pair}
        self._take_types({k: v for k, v in self._types.items() if k != object_type_id})

    def _take_types(self, types: dict[str, ObjectType]) -> None:
        # New dictionaries, since a request may be walking through the old ones.
        self._types, self._aliases = types, _aliases(types)

    # Records

    def live_ids(self, object_type_id: str, at: datetime) -> Iterator[int]:
        """Ids of the records that are live at a moment, ascending."""
        life, now = self.life(object_type_id), milliseconds(at)
        return (life.record_id(index, now) for index in life.live(now))

    def archived_ids(self, object_type_id: str, at: datetime) -> Iterator[int]:
        """Ids of the records that can be seen as archived at a moment, ascending."""
        life, now = self.life(object_type_id), milliseconds(at)
        return (life.record_id(index, now) for index in life.archived(now))

    def live_count(self, object_type_id: str, at: datetime) -> int:
        """How many records are live at a moment."""
        return self.life(object_type_id).live_count(milliseconds(at))

    def record(
        self, object_type_id: str, record_id: int, at: datetime, *, full_history: bool = False
    ) -> PortalRecord | None:
        """A record as it is at a moment, by the stamps of its values; None before its creation
        and after its end (an archived one is found for 90 days). Histories are as long as HubSpot
        keeps them, unless `full_history`."""
        life, now = self.life(object_type_id), milliseconds(at)
        index = life.index_of(record_id, now)
        if index is None or life.created(index) > now or life.record_id(index, now) != record_id:
            return None
        record = life.record(index, now)
        if record.archived is None and not life.is_live(index, now):
            return None
        names = [each.name for each in self.properties(object_type_id)]
        cap = None if full_history else life.kind.history_cap
        return _told(record, names, cap)

    def archive(self, object_type_id: str, record_id: int, at: datetime | None = None) -> None:
        """Archives a record outside of the plan, now unless told when."""
        self._intervene(object_type_id, record_id, "archived", record_id, at)

    def erase(self, object_type_id: str, record_id: int, at: datetime | None = None) -> None:
        """Deletes a record for good outside of the plan, now unless told when."""
        self._intervene(object_type_id, record_id, "erased", record_id, at)

    def merge(
        self, object_type_id: str, record_id: int, into: int, at: datetime | None = None
    ) -> None:
        """Merges a record into another outside of the plan, now unless told when: that one lives
        on under a new id."""
        self._intervene(object_type_id, record_id, "merged", into, at)

    def restore(self, object_type_id: str, record_id: int, at: datetime | None = None) -> None:
        """Brings an archived record back, now unless told when: under its id and with its
        history, but on no list any more."""
        life = self.life(object_type_id)
        when = self.clock.now() if at is None else milliseconds(at)
        index = life.index_of(record_id, when)
        if index is None or life.archived_at(index, when) is None:
            raise ValueError(f"{object_type_id} has no archived record {record_id}")
        life.intervene(index, Fate(when, "restored", index))

    def fate(self, object_type_id: str, record_id: int, at: datetime) -> RecordFate | None:
        """Why there is no record of an id at a moment although there was one before; None for a
        live one, and for an id that no record has had by then."""
        life, now = self.life(object_type_id), milliseconds(at)
        index = life.index_of(record_id, now)
        if index is None or life.created(index) > now:
            return None
        for each in life.mergers(index, now):
            if each.before == record_id != each.after:
                return RecordFate("merged", moment(each.at), each.after)
        away = life.away(index, now)
        if away is None:
            return None
        into = None
        if away.kind == "merged":
            into = life.record_id(away.survivor, away.at)
        return RecordFate(away.kind, moment(away.at), into)

    def _intervene(
        self, object_type_id: str, record_id: int, kind: str, into: int, at: datetime | None
    ) -> None:
        life = self.life(object_type_id)
        moment_of_it = self.clock.now() if at is None else milliseconds(at)
        index, survivor = (life.index_of(each, moment_of_it) for each in (record_id, into))
        if index is None or survivor is None:
            raise ValueError(f"{object_type_id} has no records {record_id} and {into}")
        life.intervene(index, Fate(moment_of_it, kind, survivor))

    def record_changes(
        self, object_type_id: str, start: datetime, end: datetime
    ) -> list[RecordChange]:
        """What happens to the records of a type from `start` until before `end`."""
        life, properties = self.life(object_type_id), self.properties(object_type_id)
        return [
            RecordChange(
                each.kind,
                each.record_id,
                None if each.at is None else moment(each.at),
                each.merged_into,
                each.properties,
            )
            for each in happenings(life, properties, milliseconds(start), milliseconds(end))
        ]

    # Lists

    def lists(self, at: datetime) -> list[PortalList]:
        """The lists that exist at a moment, by id."""
        return self._lists.at(milliseconds(at))

    def members(self, list_id: int, at: datetime) -> list[tuple[int, datetime]]:
        """Record id and moment of joining of a list's members, by record id; none of a list
        that does not exist."""
        now = milliseconds(at)
        found = self.list_at(list_id, now)
        if found is None:
            return []
        life = self.life(found.facts.object_type_id)
        members = self.memberships_at(found, now).by_record(now)
        return [(life.record_id(each.index, now), moment(each.joined)) for each in members]

    def delete_list(self, list_id: int, at: datetime | None = None) -> None:
        """Deletes a list outside of the plan, now unless told when."""
        self._lists.delete(list_id, self.clock.now() if at is None else milliseconds(at))

    def restore_list(self, list_id: int) -> None:
        """Brings a list back that was deleted outside of the plan, as it was."""
        self._lists.restore(list_id)

    def make_list_again(self, list_id: int, at: datetime) -> int:
        """Deletes a list outside of the plan and makes another of its name; gives its id."""
        return self._lists.make_again(list_id, milliseconds(at))

    def lists_at(self, now: int) -> list[PortalList]:
        """`lists`, by epoch milliseconds."""
        return self._lists.at(now)

    def list_at(self, list_id: int, now: int) -> PortalList | None:
        """One of `lists_at`."""
        return self._lists.find(list_id, now)

    def memberships_at(self, found: PortalList, now: int) -> Memberships:
        """Who is in a list."""
        return self._lists.memberships(found.facts, now)

    # Content

    def pages(self, kind: str, at: datetime, *, archived: bool = False) -> list[dict[str, Any]]:
        """Pages of a kind (landing-page, site-page) at a moment, by id."""
        now = milliseconds(at)
        found = self.content.pages(kind, now, archived=archived)
        return [self.content.page_told(each, now) for each in found]

    def posts(self, at: datetime, *, archived: bool = False) -> list[dict[str, Any]]:
        """Blog posts at a moment, by id."""
        return self.pages("blog-post", at, archived=archived)

    def files(self, at: datetime) -> list[dict[str, Any]]:
        """Files at a moment, by id."""
        now = milliseconds(at)
        return [self.content.file_told(each, now) for each in self.content.files(now)]

    def sequences(self, at: datetime) -> list[dict[str, Any]]:
        """Sequences of active users at a moment, by id."""
        return self.content.sequences(milliseconds(at))

    def threads(self, at: datetime, *, archived: bool = False) -> list[dict[str, Any]]:
        """Threads of the conversations inbox at a moment, by id."""
        now = milliseconds(at)
        found = self.content.threads(now, archived=archived)
        return [self.content.thread_told(each, now) for each in found]

    def deal_splits(self, at: datetime) -> dict[int, list[dict[str, Any]]]:
        """Splits at a moment by deal id, of the live deals that have any."""
        return self.content.deal_splits(milliseconds(at))

    # Associations

    def association_definitions(
        self, from_type_id: str, to_type_id: str
    ) -> tuple[AssociationType, ...]:
        """The association types of an ordered pair; none if it cannot be linked."""
        return self._association_types.get((from_type_id, to_type_id), ())

    def define_label(self, from_type_id: str, to_type_id: str, label: str) -> int:
        """Gives links of a pair a label that reads the same from both sides; gives the id of its
        type. No link has it yet."""
        used = (each.type_id for types in self._association_types.values() for each in types)
        type_id = max(used) + 1
        name = f"{from_type_id}_{to_type_id}_{type_id}"
        made = AssociationType(type_id, "USER_DEFINED", label, name, type_id)
        for pair in {(from_type_id, to_type_id), (to_type_id, from_type_id)}:
            self._association_types[pair] = (*self.association_definitions(*pair), made)
        return type_id

    def linked_pairs(self) -> list[Pair]:
        """The ordered pairs that have links in this portal, sooner or later."""
        there = [
            pair
            for pair in self._plans
            if all(each in self._types and self.is_enabled(self._types[each]) for each in pair)
        ]
        both = {pair for near, far in there for pair in ((near, far), (far, near))}
        return sorted(pair for pair in both if self.association_definitions(*pair))

    def links(self, from_type_id: str, to_type_id: str, at: datetime) -> Iterator[Link]:
        """Every link of an ordered pair at a moment, ascending by ids, per type: the unlabelled
        one first, then Primary, then labels. Links of records that are not live are not told,
        and a merged record's do not go to its survivor."""
        moment_of_it = Moment(self, milliseconds(at))
        links = moment_of_it.links(from_type_id, to_type_id)
        if links is None:
            return
        for index in self.life(from_type_id).live(moment_of_it.now):
            for partner, key in links.partners(index):
                from_id, to_id = links.source.ids[index], links.target.ids[partner]
                for each in links.pair.types_of(key):
                    yield Link(from_id, to_id, each.category, each.type_id, each.label)

    def link_counts(self, at: datetime) -> dict[Pair, int]:
        """How many links `links` tells of each linked pair at a moment."""
        moment_of_it, counts = Moment(self, milliseconds(at)), dict.fromkeys(self.linked_pairs(), 0)
        for near, far in counts.keys() & self._plans.keys():
            links = moment_of_it.links(near, far)
            if links is None:
                continue
            keys = Counter(
                key
                for index in self.life(near).live(moment_of_it.now)
                for _, key in links.partners(index)
            )
            for key, count in keys.items():
                there, back = links.pair.sizes_of(key)
                counts[near, far] += count * there
                if near != far:
                    counts[far, near] += count * back
        return counts

    def linked_pair(self, from_type_id: str, to_type_id: str) -> tuple[LinkedPair, bool] | None:
        """The links of an ordered pair, and whether that is their backward direction; None if
        there are none, ever."""
        pair, backward = (from_type_id, to_type_id), False
        if pair not in self._plans:
            pair, backward = pair[::-1], True
        if pair not in self._plans:
            return None
        if pair not in self._linked:
            self._linked[pair] = LinkedPair(
                self.life(pair[0]),
                self.life(pair[1]),
                self._plans[pair],
                self.association_definitions(*pair),
                self.association_definitions(*pair[::-1]),
                seed=self.config.seed,
                routes=self._routes(pair),
                steady=DEAL_SPLITS in pair,
            )
        return self._linked[pair], backward

    def _routes(self, pair: Pair) -> Routes | None:
        """The routes of a pair that are not those of two like any others."""
        through = self._plans[pair].through
        if DEAL_SPLITS in pair:
            return SplitRoutes(self.life(DEALS))
        if not through:
            return None
        legs = (self.linked_pair(*leg) for leg in ((pair[0], through), (through, pair[1])))
        first, second = (leg[0].routes for leg in legs if leg is not None)
        return Through(first, second)

    def _forward_pair(self, from_type_id: str, to_type_id: str) -> LinkedPair | None:
        if not {from_type_id, to_type_id} <= self._types.keys():
            return None
        found = self.linked_pair(from_type_id, to_type_id)
        return None if found is None else found[0]

    def unlink(
        self,
        from_type_id: str,
        from_id: int,
        to_type_id: str,
        to_id: int,
        at: datetime | None = None,
    ) -> None:
        """Ends a link outside of the plan, now unless told when."""
        found = self.linked_pair(from_type_id, to_type_id)
        if found is None:
            raise ValueError(f"{from_type_id} and {to_type_id} have no links")
        pair, backward = found
        near_id, far_id = (to_id, from_id) if backward else (from_id, to_id)
        when = self.clock.now() if at is None else milliseconds(at)
        near, far = pair.near.index_of(near_id, when), pair.far.index_of(far_id, when)
        if near is None or far is None:
            raise ValueError(f"there are no records {from_id} and {to_id}")
        pair.cut[near, far] = when

    # Events

    def event_types(self) -> list[str]:
        """Names of all event types, never fired ones too."""
        return list(self.event_life.kinds)

    def event_definitions(self) -> list[EventType]:
        """The custom event types."""
        return [kind for kind in self.event_life.kinds.values() if kind.custom]

    def define_event(
        self,
        name: str,
        label: str = "",
        *,
        object_type_id: str = "0-1",
        per_day: float = 0.1,
        properties: dict[str, str] | None = None,
    ) -> str:
        """Makes a custom event that, like all others, has always happened: `per_day` times a
        day and record. `properties` are types by name. Gives its fully qualified name."""
        number = max(int(k.event_type_id.partition("-")[2]) for k in self.event_definitions())
        made = custom_event(
            f"6-{number + 1}",
            f"pe{self.config.portal_id}_{name}",
            label or name,
            Rate(object_type_id, per_day),
            properties or {},
        )
        self.event_life.add(made)
        return made.name

    def remove_event(self, name: str) -> None:
        """Deletes an event type, by its fully qualified name, with its occurrences."""
        self.event_life.remove(name)

    def events(self, event_type: str, start: datetime, end: datetime) -> Iterator[Occurrence]:
        """Occurrences of an event type from `start` up to but not including `end`, in order
        of time; none of e-mail events. KeyError if there is no such type."""
        kinds = [self.event_life.kinds[event_type]]
        for spark in self.event_life.sparks(kinds, milliseconds(start), milliseconds(end)):
            yield Occurrence(
                spark.id,
                event_type,
                spark.object_type_id,
                spark.object_id,
                moment(spark.at),
                self.event_life.properties(spark),
            )

    def event_counts(self, start: datetime, end: datetime) -> dict[str, int]:
        """How many occurrences the events API has of each type that it serves; it serves
        nothing without an Enterprise subscription."""
        if self.config.plan != "enterprise":
            return {}
        first, last = milliseconds(start), milliseconds(end)
        return {
            kind.name: sum(1 for _ in self.event_life.sparks([kind], first, last))
            for kind in self.event_life.kinds.values()
            if kind.served
        }

    # The rest

    def owners(self) -> list[Owner]:
        """All owners, archived ones too."""
        return all_owners()

    def teams(self) -> list[Team]:
        """All teams."""
        return all_teams()

    def pipelines(self, object_type_id: str) -> list[Pipeline]:
        """Pipelines of a type, in display order."""
        return pipelines_of(object_type_id)

    # Marketing

    def forms(self, at: datetime | None = None) -> list[Asset]:
        """Forms as of a moment (now), archived ones too."""
        return forms_at(at or self.clock.datetime())

    def submissions(self, form_id: str, start: datetime, end: datetime) -> list[Submission]:
        """What was entered in a form from `start` until before `end`, oldest first."""
        found = self.marketing.submissions(form_id)
        return list(found.between(milliseconds(start), milliseconds(end)))

    def marketing_emails(self, at: datetime | None = None) -> list[Asset]:
        """Marketing emails as of a moment (now), archived ones too."""
        return marketing_emails_at(at or self.clock.datetime(), self.marketing.campaigns.newest)

    def campaigns(self, at: datetime | None = None) -> list[Asset]:
        """Live campaigns as of a moment (now)."""
        return self.marketing.campaigns.at(at or self.clock.datetime())

    def email_events(self, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """E-mail events from `start` until before `end` as the API tells them, newest first."""
        plan = self.marketing.events
        found = plan.between(milliseconds(start), milliseconds(end) - 1)
        return [plan.told(event) for event in found]


class Moment:
    """Who is linked to whom at one moment, for many questions about the same one."""

    def __init__(self, portal: Portal, now: int) -> None:
        self.now = now
        self._portal = portal
        self._records: dict[str, Records] = {}

    def records(self, object_type_id: str) -> Records:
        """The records of a type."""
        if object_type_id not in self._records:
            self._records[object_type_id] = Records(self._portal.life(object_type_id), self.now)
        return self._records[object_type_id]

    def links(self, from_type_id: str, to_type_id: str) -> Links | None:
        """The links of an ordered pair; None if there are none, ever."""
        found = self._portal.linked_pair(from_type_id, to_type_id)
        if found is None or not self._portal.association_definitions(from_type_id, to_type_id):
            return None
        pair, backward = found
        source, target = self.records(from_type_id), self.records(to_type_id)
        near, far = (target, source) if backward else (source, target)
        return Links(pair, near, far, backward=backward)


def _aliases(types: dict[str, ObjectType]) -> dict[str, str]:
    """Object type id by what stands for it in a path, in lower case."""
    return {
        alias.lower(): kind.object_type_id
        for kind in types.values()
        for alias in (kind.object_type_id, *kind.names)
    }


def _told(record: Record, names: list[str], cap: int | None) -> PortalRecord:
    return PortalRecord(
        record_id=record.record_id,
        properties={names[n]: orjson.loads(value) for n, value in record.values.items()},
        histories={
            names[number]: [_entry(change) for change in changes[::-1][:cap]]
            for number, changes in record.history.items()
        },
        created_at=moment(record.created),
        updated_at=moment(record.updated),
        archived_at=None if record.archived is None else moment(record.archived),
    )


def _entry(change: Change) -> HistoryEntry:
    at, value, tail = change
    told = orjson.loads(b'{"value":' + value + tail)
    return HistoryEntry(
        value=told["value"],
        timestamp=moment(at),
        source_type=told["sourceType"],
        source_id=told.get("sourceId"),
        source_label=told.get("sourceLabel"),
        updated_by_user_id=told.get("updatedByUserId"),
    )
