"""Records as JSON bytes: the hot path, so texts are prepared once per set of names."""

from collections.abc import Iterable
from typing import Any

import orjson

from hubspot_assets.sandbox.facts import ObjectType
from hubspot_assets.sandbox.life import Record
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.stamps import iso


class Selection:
    """The properties one request asks for, of one type; renders any number of records.

    Unknown names are left out, known ones without a value are null, and a property whose
    history is asked for is told with its value too. Names come in alphabetical order. `size` is
    how many properties the type has.
    """

    def __init__(
        self,
        kind: ObjectType,
        readable: dict[str, Property],
        names: Iterable[str],
        with_history: Iterable[str],
        *,
        url: str,
        size: int,
    ) -> None:
        traced = [readable[name] for name in sorted(set(with_history)) if name in readable]
        always = ("hs_object_id", kind.created_property, kind.modified_property)
        asked = {*always, *names, *(each.name for each in traced)}
        told = [readable[name] for name in sorted(asked) if name in readable]
        self._slots: list[tuple[int, bytes] | None] = [None] * size
        self._history_slots: list[tuple[int, bytes] | None] = [None] * size
        for at, each in enumerate(told):
            self._slots[each.number] = at, _key(each)
        for at, each in enumerate(traced):
            self._history_slots[each.number] = at, _key(each) + b'[{"value":'
        #: Whether ids and dates are all that is told.
        self.bare = not traced and all(each.name in always for each in told)
        self._nulls = [_key(each) + b"null" for each in told]
        self._untold = [_key(each) + b"[]" for each in traced]
        self._cap = kind.history_cap
        self._url = url.encode()

    @property
    def traced(self) -> bool:
        """Whether histories are told."""
        return bool(self._untold)

    def render(self, record: Record) -> bytes:
        """The record as a JSON object."""
        fields, slots = self._nulls.copy(), self._slots
        for number, value in record.values.items():
            if slot := slots[number]:
                at, key = slot
                fields[at] = key + value
        parts = [b'{"id":"%d","properties":{' % record.record_id, b",".join(fields), b"}"]
        if self.traced:
            parts += (b',"propertiesWithHistory":{', self._history(record), b"}")
        parts.append(
            b',"createdAt":"%b","updatedAt":"%b","archived":%b,"url":"%b%d"'
            % (
                iso(record.created).encode(),
                iso(record.updated).encode(),
                b"false" if record.archived is None else b"true",
                self._url,
                record.record_id,
            )
        )
        if record.archived is not None:
            parts.append(b',"archivedAt":"%b"' % iso(record.archived).encode())
        parts.append(b"}")
        return b"".join(parts)

    def _history(self, record: Record) -> bytes:
        fields, slots, cap = self._untold.copy(), self._history_slots, self._cap
        for number, changes in record.history.items():
            if slot := slots[number]:
                at, key = slot
                if len(changes) == 1:
                    _, value, tail = changes[0]
                    fields[at] = b"%b%b%b]" % (key, value, tail)
                else:
                    newest = changes[: -cap - 1 : -1]
                    told = b',{"value":'.join([value + tail for _, value, tail in newest])
                    fields[at] = b"%b%b]" % (key, told)
        return b",".join(fields)


def _key(each: Property) -> bytes:
    return orjson.dumps(each.name) + b":"


def enclosed(results: list[bytes], rest: dict[str, Any]) -> bytes:
    """`{"results": [...], ...rest}`. Joined once, since a page may be megabytes."""
    end = b"]" + (b"," + orjson.dumps(rest)[1:] if rest else b"}")
    if not results:
        return b'{"results":[' + end
    first, last = b'{"results":[' + results[0], results[-1] + end
    if len(results) == 1:
        return first + end
    return b",".join([first, *results[1:-1], last])
