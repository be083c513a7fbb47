"""What makes the records of a portal those of one company: stages and what follows from them, line
items of products, amounts that add up, meetings that take place. All moments are epoch
milliseconds, all amounts cents.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import orjson

from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.journeys import Journey, Journeys, Step, Writer, is_closed, journeys_of
from hubspot_assets.sandbox.life import Life, Record
from hubspot_assets.sandbox.links import LinkedPair
from hubspot_assets.sandbox.origins import Origin, Origins
from hubspot_assets.sandbox.population import Population
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.sources import ANALYTICS, CALCULATED, CREATED_BY, EDITED_BY, FORM
from hubspot_assets.sandbox.stamps import DAY, iso
from hubspot_assets.sandbox.values import GOLDEN, mix

_DEALS, _LINES, _PRODUCTS = "0-3", "0-8", "0-7"
_HALF_HOUR = 1_800_000
#: So long after a meeting somebody says how it went.
_REPORTED = 300_000
#: Of so many deals in a hundred somebody has an idea of the amount before there are line items.
_ESTIMATED = 85
_LOST: tuple[str, ...] = ("Price", "No budget", "Timing", "Competitor; cheaper", 'They "went dark"')
_WON: tuple[str, ...] = ("Features", "Price", "Support, in German", "References")
_UTM = ("utm_campaign", "utm_source", "utm_medium")
_OUTCOMES = ("COMPLETED", "COMPLETED", "COMPLETED", "NO_SHOW", "CANCELED", "RESCHEDULED")

#: Of so many ways to come, what is told of them is kept.
_ORIGINS = 512

#: Values that a visit sets, as JSON text, by the numbers of properties.
Prepared = tuple[tuple[int, bytes], ...]

#: An amount and since when it is that.
Amounts = list[tuple[int, int]]


class Line(NamedTuple):
    """A line item as it was sold; `product` is an index, None where it is no product's."""

    product: int | None
    price: int
    quantity: int

    @property
    def amount(self) -> int:
        """What it comes to."""
        return self.price * self.quantity


class Tale(NamedTuple):
    """A record that is being told, a draw of it, and its journey up to now."""

    record: Record
    base: int
    journey: Journey | None
    now: int

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of its journey; none without one."""
        return () if self.journey is None else self.journey.steps

    @property
    def ends(self) -> list[Step]:
        """Those of them that closed it."""
        return [step for step in self.steps if is_closed(step.stage)]


class Story:
    """What the records of one type are told besides their own values: their journeys, and what
    `sequel` makes of those."""

    def __init__(self, journeys: Journeys | None, sequel: "_Teller") -> None:
        self._journeys = journeys
        self._sequel = sequel

    def last_move(self, index: int, base: int, created: int, now: int) -> int:
        """The latest of its moments that is a modification of the record."""
        moves = [at for at in self._sequel.moves(index, base, created) if created < at <= now]
        if self._journeys is not None:
            moves.append(self._journeys.last_move(base, created, now))
        return max(moves, default=created)

    def tell(self, record: Record, base: int, now: int) -> None:
        """Writes it."""
        journeys = self._journeys
        journey = None if journeys is None else journeys.tell(record, base, now)
        self._sequel.tell(Tale(record, base, journey, now))
        moved = self.last_move(record.index, base, record.created, now)
        record.updated = max(record.updated, moved)


class Business:
    """The stories of all types. `life` gives the records of a type, `pair` the links of two,
    `conversions` what forms a contact filled in."""

    def __init__(
        self,
        life: Callable[[str], Life],
        pair: Callable[[str, str], LinkedPair | None],
        conversions: Callable[[int], list[tuple[int, str]]],
    ) -> None:
        self._life = life
        self._pair = pair
        #: When a contact, by index, filled in forms, and their names.
        self.conversions = conversions
        self.origins = Origins(life)

    def story(self, kind: ObjectType, properties: tuple[Property, ...]) -> Story | None:
        """The story of a type's records; None if they have none."""
        journeys = journeys_of(kind.object_type_id, properties)
        tellers: dict[str, type[_Teller]] = {
            "0-1": _Contacts,
            _DEALS: _Deals,
            "0-5": _Tickets,
            _PRODUCTS: _Products,
            _LINES: _Lines,
            "0-14": _Quotes,
            "0-47": _Meetings,
            "0-53": _Invoices,
        }
        teller = tellers.get(kind.object_type_id, _Closing if journeys else None)
        if teller is None:
            return None
        return Story(journeys, teller(self, kind.object_type_id, properties))

    # Commerce

    def list_price(self, product: int) -> int:
        """What a product costs."""
        return 900 + mix(self._life(_PRODUCTS).side_seed + product * GOLDEN) % 240_000

    def product_id(self, product: int, at: int) -> int:
        """The record of a product at a moment."""
        return self._life(_PRODUCTS).record_id(product, at)

    def line(self, index: int) -> Line:
        """A line item: of a product that was there when it was made, one of five at a discount."""
        lines = self._life(_LINES)
        bits = mix(lines.side_seed ^ index * GOLDEN)
        known = self._life(_PRODUCTS).created_count(lines.created(index))
        product = (bits >> 8) % known if known else None
        price = 5_000 if product is None else self.list_price(product)
        if bits % 5 == 0:
            price = price * 9 // 10
        return Line(product, price, 1 + (bits >> 24) % 12)

    def amounts(self, deal: int) -> Amounts:
        """The amounts that a deal ever has: the sum of its line items; before there are any, and
        without them, what somebody thinks that it is worth."""
        deals, pair = self._life(_DEALS), self._pair(_LINES, _DEALS)
        created, bits = deals.created(deal), mix(deals.side_seed ^ deal * GOLDEN)
        estimate = 50_000 + (bits >> 8) % 4_000_000 if bits % 100 < _ESTIMATED else None
        found: Amounts = [] if estimate is None else [(created, estimate)]
        spans = [] if pair is None else list(pair.spans_to(deal))
        changes = sorted(
            [(since, self.line(near).amount) for near, since, _ in spans]
            + [(until, -self.line(near).amount) for near, _, until in spans if until is not None]
        )
        whole = 0
        for at, change in changes:
            whole += change
            if found and found[-1][0] == at:
                found.pop()
            found.append((at, whole))
        return found

    def amounts_of_its_deal(self, object_type_id: str, index: int) -> Amounts:
        """The amounts of the deal that a record belongs to, for as long as it does."""
        pair = self._pair(object_type_id, _DEALS)
        span = None if pair is None else pair.span_from(index)
        if span is None:
            return []
        deal, since, until = span
        found = self.amounts(deal)
        before = [cents for at, cents in found if at <= since][-1:]
        after = [(at, cents) for at, cents in found if at > since and (until is None or at < until)]
        return [(since, cents) for cents in before] + after


class _Teller(Writer):
    """Tells one type's records what follows from their journeys and from other records."""

    def __init__(
        self, business: Business, object_type_id: str, properties: tuple[Property, ...]
    ) -> None:
        super().__init__(properties)
        self._business = business
        self._object_type_id = object_type_id

    def tell(self, tale: Tale) -> None:
        """Writes it."""
        raise NotImplementedError

    def moves(self, index: int, base: int, created: int) -> Iterable[int]:
        """When it modifies a record: what HubSpot calculates, or its analytics write, does not."""
        del index, base, created
        return ()

    def _money(self, tale: Tale, name: str, amounts: Amounts) -> None:
        told = [
            (at, text(cents), CALCULATED if turn else CREATED_BY[0])
            for turn, (at, cents) in enumerate(amounts)
            if at <= tale.now
        ]
        self.write(tale.record, name, told)


class _Closing(_Teller):
    """Records with stages: when they were closed."""

    def tell(self, tale: Tale) -> None:
        if tale.ends:
            self.write(tale.record, "hs_closed_date", closings(tale))


class _Contacts(_Teller):
    """Contacts: by which way they came, and the forms that they filled in."""

    def __init__(
        self, business: Business, object_type_id: str, properties: tuple[Property, ...]
    ) -> None:
        super().__init__(business, object_type_id, properties)
        self._when = self.numbers("hs_latest_source_timestamp")
        self._arrival = lru_cache(maxsize=_ORIGINS)(self._prepare_arrival)
        self._latest = lru_cache(maxsize=_ORIGINS)(self._prepare_latest)

    def tell(self, tale: Tale) -> None:
        made = [
            each for each in self._business.conversions(tale.record.index) if each[0] <= tale.now
        ]
        self._come(tale.record, list(dict.fromkeys(at for at, _ in made)))
        if made:
            self._convert(tale.record, made)

    def moves(self, index: int, base: int, created: int) -> Iterable[int]:
        del base, created
        return (at for at, _ in self._business.conversions(index))

    def _come(self, record: Record, returns: list[int]) -> None:
        """The first visit, and those on which forms were filled in."""
        origins, created = self._business.origins, record.created
        origin = origins.first(record.index, created)
        self._visit(record, created, (*self._arrival(origin), *self._latest(origin)))
        for at in returns:
            self._visit(record, at, self._latest(origins.returned(record.index, at)))

    def _visit(self, record: Record, at: int, told: Prepared) -> None:
        tail, values, history = record.tail(at, ANALYTICS), record.values, record.history
        stamp = b'"%b"' % iso(at).encode()
        for number, value in (*told, *((number, stamp) for number in self._when)):
            values[number] = value
            history.setdefault(number, []).append((at, value, tail))

    def _prepare_arrival(self, origin: Origin) -> Prepared:
        named = {
            "hs_analytics_source": origin.source,
            "hs_analytics_source_data_1": origin.first,
            "hs_analytics_source_data_2": origin.second,
        }
        if origin.campaign is not None:
            named |= dict(zip(_UTM, (origin.campaign, *origin.utm), strict=True))
        return self._prepared(named)

    def _prepare_latest(self, origin: Origin) -> Prepared:
        named = {"hs_latest_source": origin.source, "hs_latest_source_data_1": origin.first}
        return self._prepared(named)

    def _prepared(self, named: dict[str, str]) -> Prepared:
        return tuple(
            (number, orjson.dumps(told))
            for name, told in named.items()
            for number in self.numbers(name)
            if told
        )

    def _convert(self, record: Record, made: list[tuple[int, str]]) -> None:
        forms = set[str]()
        # Who clicks twice changes each property once.
        counts, kinds, names = dict[int, str](), dict[int, str](), dict[int, str]()
        for turn, (at, name) in enumerate(made, 1):
            counts[at], names[at] = str(turn), name
            if name not in forms:
                forms.add(name)
                kinds[at] = str(len(forms))
        dates = {at: iso(at) for at in names}
        for name, values, source in (
            ("num_conversion_events", counts, CALCULATED),
            ("num_unique_conversion_events", kinds, CALCULATED),
            ("recent_conversion_date", dates, FORM),
            ("recent_conversion_event_name", names, FORM),
            ("first_conversion_date", dict([*dates.items()][:1]), FORM),
            ("first_conversion_event_name", dict([*names.items()][:1]), FORM),
        ):
            self.write(record, name, [(at, told, source) for at, told in values.items()])


class _Deals(_Teller):
    """Deals: closed or not, won or not, how likely, how much."""

    def tell(self, tale: Tale) -> None:
        record = tale.record
        steps = [(step.since, step.stage.metadata) for step in tale.steps]
        amounts = [each for each in self._business.amounts(record.index) if each[0] <= tale.now]
        self._money(tale, "amount", amounts)
        self._money(tale, "amount_in_home_currency", amounts)
        chances = [(at, float(metadata["probability"])) for at, metadata in steps]
        closed = [(at, metadata["isClosed"] == "true") for at, metadata in steps]
        won = [
            (at, shut and chance == 1)
            for (at, shut), (_, chance) in zip(closed, chances, strict=True)
        ]
        self._flags(record, "hs_is_closed", closed)
        self._flags(record, "hs_is_closed_won", won)
        self.write(
            record,
            "hs_deal_stage_probability",
            [(at, str(chance), CALCULATED) for at, chance in chances],
        )
        for name, weights in (
            ("hs_projected_amount", chances),
            ("hs_forecast_amount", chances),
            ("hs_closed_amount", [(at, float(it)) for at, it in won]),
        ):
            self.write(record, name, weighted(amounts, weights))
        self._close(tale, [since for since, is_won in won if is_won])

    def moves(self, index: int, base: int, created: int) -> Iterable[int]:
        del base, created
        return (at for at, _ in self._business.amounts(index))

    def _flags(self, record: Record, name: str, flags: list[tuple[int, bool]]) -> None:
        changed = [
            each for turn, each in enumerate(flags) if not turn or each[1] != flags[turn - 1][1]
        ]
        self.write(record, name, [(at, str(it).lower(), CALCULATED) for at, it in changed])

    def _close(self, tale: Tale, won: list[int]) -> None:
        record, base = tale.record, tale.base
        planned = record.created + (20 + base % 120) * DAY
        dates, days = [(record.created, iso(planned), CREATED_BY[0])], [(record.created, 0)]
        for step in tale.ends:
            dates.append((step.since, iso(step.since), EDITED_BY[0]))
            days.append((step.since, (step.since - record.created) // DAY))
            name, reasons = "closed_lost_reason", _LOST
            if step.since in won:
                name, reasons = "closed_won_reason", _WON
            if base >> 9 & 1:
                reason = reasons[(base >> 12) % len(reasons)]
                self.write(record, name, [(step.since, reason, EDITED_BY[0])])
        self.write(record, "closedate", dates)
        self.write(record, "days_to_close", [(at, str(n), CALCULATED) for at, n in days])


class _Tickets(_Teller):
    """Tickets: when they were closed, and how long everything took."""

    def tell(self, tale: Tale) -> None:
        record, ends = tale.record, tale.ends
        if len(tale.steps) > 1:
            taken = (tale.steps[1].since - record.created) // 2
            replied = [(record.created + taken, str(taken), CALCULATED)]
            self.write(record, "time_to_first_agent_reply", replied)
        self.write(record, "closed_date", closings(tale))
        self.write(
            record, "hs_last_closed_date", [(e.since, iso(e.since), CALCULATED) for e in ends]
        )
        for name, part in (("time_to_close", 1), ("hs_time_to_close_in_operating_hours", 3)):
            spent = [(e.since, str((e.since - record.created) // part), CALCULATED) for e in ends]
            self.write(record, name, spent)
        again = [step.until for step in ends if step.until is not None]
        counted = [(at, str(turn), CALCULATED) for turn, at in enumerate(again, 1)]
        self.write(record, "hs_ticket_reopened_count", counted)


class _Products(_Teller):
    """Products: what they cost."""

    def tell(self, tale: Tale) -> None:
        price = self._business.list_price(tale.record.index)
        self._money(tale, "price", [(tale.record.created, price)])


class _Lines(_Teller):
    """Line items: which product, how many, what they come to."""

    def tell(self, tale: Tale) -> None:
        record, made = tale.record, tale.record.created
        line = self._business.line(record.index)
        if line.product is not None:
            product = str(self._business.product_id(line.product, made))
            self.write(record, "hs_product_id", [(made, product, CREATED_BY[0])])
        self.write(record, "quantity", [(made, str(line.quantity), CREATED_BY[0])])
        self._money(tale, "price", [(made, line.price)])
        self.write(record, "amount", [(made, text(line.amount), CALCULATED)])


class _Quotes(_Teller):
    """Quotes: the amount of their deal."""

    def tell(self, tale: Tale) -> None:
        found = self._business.amounts_of_its_deal(self._object_type_id, tale.record.index)
        self._money(tale, "hs_quote_amount", found)


class _Invoices(_Teller):
    """Invoices: the amount of their deal."""

    def tell(self, tale: Tale) -> None:
        found = self._business.amounts_of_its_deal(self._object_type_id, tale.record.index)
        self._money(tale, "hs_amount_billed", found)


class _Meetings(_Teller):
    """Meetings: planned ahead, and after they have ended held or not."""

    def tell(self, tale: Tale) -> None:
        made, base = tale.record.created, tale.base
        start, end = self._times(base, made)
        outcomes = [(made, "SCHEDULED", CREATED_BY[0])]
        outcomes.append((end + _REPORTED, _OUTCOMES[(base >> 16) % len(_OUTCOMES)], EDITED_BY[0]))
        for name, changes in (
            ("hs_meeting_start_time", [(made, iso(start), CREATED_BY[0])]),
            ("hs_meeting_end_time", [(made, iso(end), CREATED_BY[0])]),
            ("hs_meeting_outcome", outcomes),
        ):
            self.write(tale.record, name, [each for each in changes if each[0] <= tale.now])

    def moves(self, index: int, base: int, created: int) -> Iterable[int]:
        del index
        return (self._times(base, created)[1] + _REPORTED,)

    @staticmethod
    def _times(base: int, made: int) -> tuple[int, int]:
        """Its start and its end."""
        start = (made // _HALF_HOUR + 2 + base % (14 * 48)) * _HALF_HOUR
        return start, start + (1 + (base >> 12) % 3) * _HALF_HOUR


def text(cents: int) -> str:
    """An amount as HubSpot has it."""
    return f"{cents // 100}.{cents % 100:02d}"


def closings(tale: Tale) -> list[tuple[int, str, bytes]]:
    """When a record was closed, and nothing from when it was taken up again."""
    found = []
    for step in tale.ends:
        found.append((step.since, iso(step.since), EDITED_BY[0]))
        if step.until is not None:
            found.append((step.until, "", EDITED_BY[0]))
    return found


def weighted(amounts: Amounts, weights: list[tuple[int, float]]) -> list[tuple[int, str, bytes]]:
    """Amounts times weights at each moment that one of both changes; "" where there is none yet,
    as HubSpot stores it."""
    found: list[tuple[int, str, bytes]] = []
    for at in sorted({at for at, _ in (*amounts, *weights)}):
        cents = [amount for since, amount in amounts if since <= at][-1:]
        weight = [each for since, each in weights if since <= at][-1]
        told = text(round(cents[0] * weight)) if cents else ""
        if not found or found[-1][1] != told:
            found.append((at, told, CALCULATED))
    return found


def living_contact(contacts: Population, drawn: int, at: int) -> int | None:
    """The first contact from a drawn one on that is live at a moment; they go in a circle."""
    known = contacts.created_count(at)
    for step in range(min(known, 64)):
        index = (drawn + step) % known
        if contacts.is_live(index, at):
            return index
    return None
