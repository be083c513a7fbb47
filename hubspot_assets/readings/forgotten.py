"""What was forgotten and is to stay so: a list of salted hashes in the state.

    <state root>/forgotten/list.json

Nobody stands on it in clear: a record is on it as HMAC-SHA256 of its type and id, an address as
that of itself, by a salt that is random and the list's own. What is staged later (`Reading.add`) is
held against it. Entries expire, but for those of records that HubSpot still serves.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
import polars as pl

from hubspot_assets.storage import NotFoundError, Store, StoreError

LIST = "forgotten/list.json"
#: Of a digest so much is kept: no two are alike by chance.
_DIGITS = 32


class Listed(Protocol):
    """Who is put on the list: ids of records by the id of their type, addresses in lower case, and
    the names that types have besides their ids, in upper case."""

    @property
    def ids(self) -> Mapping[str, Collection[int]]: ...
    @property
    def emails(self) -> Collection[str]: ...
    @property
    def type_names(self) -> Mapping[str, Collection[str]]: ...


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The list. `types` are the ids of types by all of their names; `records` and `addresses` tell
    of each until when it counts, None for ever. An address counts for what happened `before`."""

    salt: str
    types: Mapping[str, str] = field(default_factory=dict)
    records_until: Mapping[str, str | None] = field(default_factory=dict)
    addresses_before: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Store) -> Forgotten:
        """The list of a state, without what has expired. Raises StoreError."""
        try:
            told = orjson.loads(state.get(LIST))
            kept = cls(
                told["salt"], told["types"], told["records"],
                {each: (before, until) for each, (before, until) in told["addresses"].items()},
            )  # fmt: skip
        except NotFoundError:
            return cls(secrets.token_hex(32))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(
                f"{state.url_of(LIST)} can't be read, and it says who must not come back: bring "
                "back an earlier version of it, or delete it and forget them again"
            ) from error
        now = datetime.now(UTC).isoformat()
        return cls(
            kept.salt,
            kept.types,
            {each: until for each, until in kept.records_until.items() if (until or now) >= now},
            {each: of for each, of in kept.addresses_before.items() if of[1] >= now},
        )

    def with_more(self, people: Listed, *, before: str, until: str, for_ever: bool) -> Forgotten:
        """The list with `people`, `until` when it keeps them out; their records `for_ever`."""
        names = {name: of for of in people.ids for name in (of, *people.type_names.get(of, ()))}
        last = None if for_ever else until
        fresh = {self._of(of, each): last for of, ids in people.ids.items() for each in ids}
        kept = {each: None for each, end in self.records_until.items() if end is None}
        emails = {self._digest(each): (before, until) for each in people.emails}
        return Forgotten(
            self.salt,
            {**self.types, **names},
            {**self.records_until, **fresh, **kept},
            {**self.addresses_before, **emails},
        )

    def to_json(self) -> bytes:
        """What is kept of it."""
        told: dict[str, Any] = {
            "salt": self.salt,
            "types": self.types,
            "records": self.records_until,
            "addresses": self.addresses_before,
        }
        return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)

    def __bool__(self) -> bool:
        return bool(self.records_until or self.addresses_before)

    def records(self, object_type: str, ids: pl.Series) -> pl.Series:
        """Which of the `ids` are on it; see `people.Who`."""
        of = self.types.get(object_type.upper())
        if of is None:
            return _none(ids)
        found = [
            each for each in ids.drop_nulls().unique() if self._of(of, each) in self.records_until
        ]
        return ids.is_in(pl.Series(found, dtype=ids.dtype).implode()).fill_null(value=False)

    def addresses(self, texts: pl.Series, moments: pl.Series) -> pl.Series:
        """Which of the addresses are on it, of what happened before it; see `people.Who`."""
        if not self.addresses_before:
            return _none(texts)
        before = {
            text: datetime.fromisoformat(told[0]).replace(tzinfo=None)
            for text in texts.drop_nulls().unique()
            if (told := self.addresses_before.get(self._digest(text)))
        }
        limits = texts.replace_strict(before, default=None, return_dtype=moments.dtype)
        return (moments < limits).fill_null(value=False)

    def _of(self, type_id: str, record_id: int) -> str:
        return self._digest(f"{type_id}:{record_id}")

    def _digest(self, text: str) -> str:
        return hmac.digest(bytes.fromhex(self.salt), text.encode(), "sha256").hex()[:_DIGITS]


def _none(asked: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=len(asked), dtype=pl.Boolean, eager=True)
