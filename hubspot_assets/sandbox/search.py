"""The search API: an index of live records that lags behind and ends at 10,000. It finds records by
what they were, and tells what they are."""

import re
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson

from hubspot_assets.sandbox.call import Answer, Call
from hubspot_assets.sandbox.errors import ApiError, invalid, not_found
from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.life import Life, Record
from hubspot_assets.sandbox.population import BLOCK
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.records import open_type, selection
from hubspot_assets.sandbox.stamps import milliseconds, parse_iso

PAGE = 200
CEILING = 10_000
BODY = 3_000
GROUPS, PER_GROUP, FILTERS = 5, 6, 18
_UNSEARCHABLE = ("hs_body_preview_html", "hs_email_html", "hs_body_preview")
_BY_ID = {"propertyName": "hs_object_id", "direction": "ASCENDING"}
_NUMERIC = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")

#: A value made comparable: a number, or text in lower case; None if there is none.
Comparable = float | int | str | None
#: A record as the index sees it: reads a property by its name.
Row = Callable[[str], Comparable]
Test = Callable[[Row], bool]


def search(call: Call) -> Answer:
    """`POST /crm/objects/{objectType}/search`."""
    kind, life = open_type(call)
    if not kind.searchable:
        raise not_found()
    if len(call.body.decode("utf-8", "replace")) > BODY:
        raise invalid(f"The search request may not be longer than {BODY} characters")
    asked = call.json()
    limit, start = _window(asked)
    index = Index(call, kind, life)
    groups, text = _groups(asked), str(asked.get("query") or "").lower()
    test, sorts = _any_group(index, groups), asked.get("sorts") or []
    first, end, all_in = _range(index, groups)
    if all_in and not text and sorts in ([], [_BY_ID]):
        # Counting must not take long, however large the range is.
        total, shown = index.count(first, end), islice(index.indexes(first, end), start, None)
        page = list(islice(shown, limit))
    else:
        rows = (Entry(index, each) for each in index.indexes(first, end))
        found = [each for each in rows if test(each.read) and (not text or each.has(text))]
        found = _sorted(index, found, sorts)
        total, page = len(found), [each.index for each in found[start : start + limit]]
    chosen = selection(call.portal, kind, tuple(asked.get("properties") or ()), ())
    body = b'{"total":%d,"results":[%b]' % (
        total,
        b",".join(chosen.render(index.told(each)) for each in page),
    )
    if start + limit < total:
        body += b',"paging":' + orjson.dumps({"next": {"after": str(start + limit)}})
    return Answer(200, body + b"}")


def _window(asked: dict[str, Any]) -> tuple[int, int]:
    limit, after = asked.get("limit", 10), asked.get("after", 0) or 0
    try:
        limit, start = int(limit), int(after)
    except (TypeError, ValueError):
        raise invalid(f"Invalid value for limit or after: {limit}, {after}") from None
    if not 0 < limit <= PAGE:
        raise invalid(f"limit must be at least 1 and at most {PAGE}, but is {limit}")
    if start < 0 or start + limit > CEILING:
        raise invalid(f"A search gives at most {CEILING} results; after is {start}, limit {limit}")
    return limit, start


def _groups(asked: dict[str, Any]) -> list[list[dict[str, Any]]]:
    groups = [group.get("filters") or [] for group in asked.get("filterGroups") or []]
    if asked.get("filters"):
        groups.append(asked["filters"])
    if len(groups) > GROUPS or any(len(group) > PER_GROUP for group in groups):
        raise invalid(f"A search has at most {GROUPS} filterGroups of {PER_GROUP} filters")
    if sum(map(len, groups)) > FILTERS:
        raise invalid(f"A search has at most {FILTERS} filters")
    return groups


class Entry:
    """One record in the index; values are read as they are needed."""

    __slots__ = ("_index", "_record", "index")

    def __init__(self, owner: "Index", index: int) -> None:
        self._index = owner
        self._record: dict[int, bytes] | None = None
        self.index = index

    def read(self, name: str) -> Comparable:
        """A property's value, comparable."""
        owner = self._index
        if name == "hs_object_id":
            return owner.life.record_id(self.index, owner.now)
        if name == owner.kind.modified_property:
            return owner.dates[self.index]
        if name == owner.kind.created_property:
            return owner.life.created(self.index)
        each = owner.properties[name]
        raw = self._values().get(each.number)
        return None if raw is None else comparable(each, orjson.loads(raw))

    def has(self, text: str) -> bool:
        """Whether any of the type's default properties contains the text."""
        values, owner = self._values(), self._index
        numbers = (owner.properties[n].number for n in owner.kind.default_properties)
        return any(text in orjson.loads(values[n]).lower() for n in numbers if n in values)

    def _values(self) -> dict[int, bytes]:
        if self._record is None:
            life, now = self._index.life, self._index.now
            self._record = life.readable(self.index, now, traced=False).values
        return self._record


class Index:
    """The index of one type: what was live a while ago and still is."""

    def __init__(self, call: Call, kind: ObjectType, life: Life) -> None:
        self.kind = kind
        self.life = life
        self.now = call.now - call.portal.config.index_lag_ms
        config = call.portal.config
        #: Up to when a record must have been live to be found.
        self._today = self.now if config.archived_linger else call.now
        self._present = call.now
        self.known = life.created_count(self.now)
        self.properties = call.portal.readable_properties(kind)

    @property
    def dates(self) -> "array[int]":
        """Modified dates by index."""
        return _dates(self.life, self.now, self.known, self.life.interventions)

    def _gone(self, block: int) -> set[int]:
        gone = self.life.gone(block, self.now)
        return gone if self._today == self.now else gone | self.life.gone(block, self._today)

    def indexes(self, first: int, end: int) -> Iterator[int]:
        """The records in a range of indexes that are found, ascending."""
        for block in range(first // BLOCK, -(-end // BLOCK)):
            gone = self._gone(block)
            for index in range(max(first, block * BLOCK), min(end, (block + 1) * BLOCK)):
                if index not in gone:
                    yield index

    def count(self, first: int, end: int) -> int:
        """How many `indexes` there are."""
        blocks = range(first // BLOCK, -(-end // BLOCK))
        gone = sum(first <= index < end for block in blocks for index in self._gone(block))
        return max(0, end - first) - gone

    def told(self, index: int) -> Record:
        """A record that was found, as it is by now; one that has ended, as it was."""
        at = self._present if self.life.is_live(index, self._present) else self.now
        return self.life.readable(index, at, traced=False)

    def property(self, name: str) -> Property:
        """A property that can be searched; 400 for any other."""
        if name not in self.properties or name in _UNSEARCHABLE:
            raise invalid(f"Property '{name}' cannot be searched on {self.kind.plural_name}")
        return self.properties[name]


@lru_cache(maxsize=8)
def _dates(life: Life, now: int, count: int, _: int) -> "array[int]":
    """Modified dates, worked out anew where records were changed outside of the plan."""
    return array("q", (life.dated(i, max(now, life.created(i))) for i in range(count)))


def _range(index: Index, groups: list[list[dict[str, Any]]]) -> tuple[int, int, bool]:
    """The range of indexes that the filters of ids leave, and whether all in it are found."""
    first, end, all_in = 0, index.known, len(groups) < 2
    for asked in groups[0] if len(groups) == 1 else ():
        bounds = {"GT": (1, None), "GTE": (0, None), "LT": (None, 0), "LTE": (None, 1),
                  "EQ": (0, 1), "BETWEEN": (0, 1)}.get(str(asked.get("operator")))  # fmt: skip
        low, high = asked.get("value"), asked.get("highValue", asked.get("value"))
        whole = str(low).isdecimal() and str(high).isdecimal()
        if asked.get("propertyName") != "hs_object_id" or bounds is None or not whole:
            all_in = False
            continue
        least, most = bounds
        if least is not None:
            first = max(first, index.life.index_at(int(str(low)) + least, index.now))
        if most is not None:
            end = min(end, index.life.index_at(int(str(high)) + most, index.now))
    return min(first, end), end, all_in


def comparable(each: Property, value: object) -> Comparable:
    """A stored or asked value as what its property's type compares by."""
    text = str(value).strip()
    if not text:
        return None
    if each.type in ("date", "datetime"):
        if _NUMERIC.fullmatch(text):
            return int(float(text))
        try:
            return milliseconds(parse_iso(text))
        except ValueError:
            return None
    if each.type == "number":
        if text.lstrip("-").isdecimal():
            return int(text)
        return float(text) if _NUMERIC.fullmatch(text) else None
    return text if each.type == "enumeration" else text.lower()


def _any_group(index: Index, groups: list[list[dict[str, Any]]]) -> Test:
    tests = [[_test(index, each) for each in group] for group in groups]
    if not tests:
        return lambda row: True  # noqa: ARG005 - nothing to test
    return lambda row: any(all(test(row) for test in group) for group in tests)


def _test(index: Index, asked: dict[str, Any]) -> Test:
    name, operator = str(asked.get("propertyName")), str(asked.get("operator"))
    each = index.property(name)
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        wanted = operator == "HAS_PROPERTY"
        return lambda row: (row(name) is not None) == wanted
    if operator in ("IN", "NOT_IN"):
        values = {_asked(each, value) for value in asked.get("values") or ()}
        if not values:
            raise invalid(f"operator {operator} requires values")
        wanted = operator == "IN"
        return lambda row: (row(name) in values) == wanted
    if asked.get("value") in (None, ""):
        raise invalid(f"operator {operator} requires a value")
    low = _asked(each, asked["value"])
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        token = re.compile(_pattern(str(asked["value"])), re.IGNORECASE)
        wanted = operator == "CONTAINS_TOKEN"
        return lambda row: (token.search(str(row(name) or "")) is not None) == wanted
    if operator == "BETWEEN":
        high = _asked(each, asked.get("highValue"))
        at_least, at_most = _compare("GTE", low), _compare("LTE", high)
        return lambda row: at_least(row(name)) and at_most(row(name))
    compare = _compare(operator, low)
    return lambda row: compare(row(name))


def _asked(each: Property, value: object) -> Comparable:
    made = comparable(each, "" if value is None else value)
    if made is None:
        raise invalid(f"Invalid value for property {each.name}: {value}")
    if made == 0 and each.type in ("date", "datetime"):
        raise ApiError(500, "internal error")
    return made


def _pattern(token: str) -> str:
    words = re.escape(token).replace(r"\*", r"\w*")
    return rf"(?<!\w){words}(?!\w)"


def _compare(operator: str, bound: Comparable) -> Callable[[Comparable], bool]:
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "EQ": lambda value, bound: bool(value == bound),
        "NEQ": lambda value, bound: bool(value != bound),
        "LT": lambda value, bound: bool(value < bound),
        "LTE": lambda value, bound: bool(value <= bound),
        "GT": lambda value, bound: bool(value > bound),
        "GTE": lambda value, bound: bool(value >= bound),
    }
    if operator not in tests:
        raise invalid(f"Invalid filter operator: {operator}")
    test = tests[operator]

    def compare(value: Comparable) -> bool:
        if value is None:
            return operator == "NEQ"
        return test(value, bound)

    return compare


def _sorted(index: Index, found: list[Entry], sorts: list[Any]) -> list[Entry]:
    """By at most one property; records without a value come last."""
    if len(sorts) > 1:
        raise invalid("A search has at most one sort")
    for sort in sorts:
        rule = sort if isinstance(sort, dict) else {"propertyName": str(sort)}
        name = str(rule.get("propertyName"))
        index.property(name)
        descending = str(rule.get("direction", "ASCENDING")).upper().startswith("DESC")
        if name == "hs_object_id":
            return found[::-1] if descending else found
        keyed = [(each.read(name), each) for each in found]
        having = [pair for pair in keyed if pair[0] is not None]
        having.sort(key=lambda pair: _order(pair[0]), reverse=descending)
        return [each for _, each in having] + [each for key, each in keyed if key is None]
    return found


def _order(value: Comparable) -> Any:  # noqa: ANN401 - values of one property are of one kind
    return value
