"""Lists and their members, staged.

The source `lists` holds an item per list, and one of `objectTypeId` and `refused` per object type
whose lists HubSpot refuses. The source `list_memberships` holds chunks of two frames:

* `members`: listId, recordId Int64, objectTypeId String, joinedAt, readAt Datetime(ms). A row per
  member of a list, by list and record id, from chunk to chunk, too.
* `lists`: listId Int64, size Int64 as HubSpot told it, members Int64 as read (null where they
  could not be), refused String (why not; null for a list that was deleted meanwhile), status String
  (how far HubSpot is with a list whose members are not all there yet, else null), signals String
  (what it told of the list's changes, by which the next reading sees whether it keeps its members).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from hubspot_assets.availability import AVAILABLE
from hubspot_assets.hubspot import lists
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.concurrent import in_order
from hubspot_assets.hubspot.errors import (
    BadRequest,
    IncompleteAnswer,
    NotFound,
    NotServed,
    Refused,
)
from hubspot_assets.hubspot.lists import MembersPage
from hubspot_assets.hubspot.metadata import Read
from hubspot_assets.moments import milliseconds
from hubspot_assets.readings.merging import DamagedError
from hubspot_assets.readings.ordering import in_key_order
from hubspot_assets.readings.reading import Reading, Staged, write_temporary
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.flatten import MOMENT
from hubspot_assets.sources.items import read_items, stage_items
from hubspot_assets.sources.kept_members import (
    ADDITIONAL,
    SIGNALS,
    MembersBefore,
    Signals,
    Told,
    kept_lists,
    signals_of,
)
from hubspot_assets.sources.resuming import plan_of
from hubspot_assets.sources.source import Report, quiet, unavailable
from hubspot_assets.sources.turns import base_of
from hubspot_assets.storage import NotFoundError
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.counts import (
    LISTS_GONE,
    LISTS_KEPT,
    LISTS_OF_ANOTHER_SIZE,
    LISTS_OF_TYPES_REFUSED,
    LISTS_PARTIAL,
    LISTS_READ,
    LISTS_REFUSED,
    LISTS_REPEATED,
    LISTS_UNTOLD,
    MOMENTS_UNREAD,
)

log = logging.getLogger(__name__)

LISTS, MEMBERSHIPS = "lists", "list_memberships"
#: What a list is to tell beyond its own fields.
EXTRA = (lists.SIZE, "hs_classic_list_id", *ADDITIONAL)
#: The processing status of a list whose members are all there.
COMPLETE = "COMPLETE"

#: A chunk is staged once it holds so many members.
CHUNK_MEMBERS = 200_000
#: What a member takes in memory, on disk and in order.
MEMBER_BYTES = 24
#: So many members of a list are held in memory; those of a longer one are on disk until staged.
HELD_MEMBERS = 50_000
#: So many lists may be read while a long one before them is, whose pages come one after another.
HELD_LISTS = 32

_MEMBERS_SCHEMA = {"recordId": pl.Int64(), "joinedAt": pl.Int64()}
LISTS_SCHEMA = {
    "listId": pl.Int64(),
    "size": pl.Int64(),
    "members": pl.Int64(),
    "refused": pl.String(),
    "status": pl.String(),
    SIGNALS: pl.String(),
}


def extract_lists(
    client: HubSpot, staging: Staging, object_type_ids: Iterable[str], *, workers: int = 8
) -> Staged:
    """Stages all lists; `object_type_ids` are the types whose lists are known to be possible.

    Raises HubSpotError and StoreError.
    """
    reading = staging.begin(LISTS, "items", resume=False)
    try:
        listing = lists.lists(client, object_type_ids, EXTRA)
    except NotServed as error:
        return reading.finish(unavailable(error), datetime.now(UTC))
    reading.counts[LISTS_REPEATED] = listing.repeated
    reading.counts[LISTS_UNTOLD] = listing.untold
    reading.counts[LISTS_OF_TYPES_REFUSED] = len(listing.refused)
    asked = datetime.now(UTC)
    refusals = (
        Read({"objectTypeId": type_id, "refused": f"no lists of {type_id}: {error}"}, asked)
        for type_id, error in listing.refused.items()
    )
    told = in_order(partial(lists.sized, client), listing.lists, workers)
    return stage_items(reading, [*told, *refusals])


def extract_memberships(
    client: HubSpot,
    staging: Staging,
    *,
    portal: str,
    workers: int,
    report: Report = quiet,
    incremental: str = "auto",
    sweep_days: int = 7,
) -> Staged:
    """Stages the members of all staged lists, several lists at a time.

    A list of which nothing has moved since an earlier reading of the same `portal` keeps its
    members (`kept_members`), unless `incremental` is "off"; every `sweep_days` days all are read.
    One that is deleted meanwhile, or whose members HubSpot refuses, has none; both are counted.
    Goes on from the last whole list of a reading that was to read the same. Raises HubSpotError,
    IncompleteAnswer where all are deleted meanwhile, and StoreError.
    """
    told = staging.complete(LISTS)
    listed = sorted(_listed(told))
    plan = plan_of(client, portal, MEMBERSHIPS)
    base = base_of(staging, MEMBERSHIPS, plan, incremental, sweep_days)
    kept: Mapping[int, int] = {}
    if base:
        try:
            kept = kept_lists(staging, base, [Told(each.list_id, each.signals) for each in listed])
        except (NotFoundError, DamagedError) as error:
            log.warning("%s: all members are read: %s", MEMBERSHIPS, error)
    # A checkpoint is of these lists alone, of which the same ones are kept.
    of_lists = plan_of(client, [each.list_id for each in listed], sorted(kept), base and base.name)
    reading = staging.begin(MEMBERSHIPS, f"{plan} {of_lists}")
    if not told.availability.served:
        return reading.finish(told.availability, told.observed_at)
    if base and kept:
        reading.swept_at = base.swept_at
    done, reading.chunks_staged = _after(reading)
    chunk = _MembersChunk(reading)
    with (
        temporary_folder() as folder,
        closing(_rosters(client, listed[done:], folder, workers, base, kept)) as rosters,
    ):
        for number, roster in enumerate(rosters, start=done + 1):
            chunk.add(roster, number)
            report(MEMBERSHIPS, reading.counts["memberships"])
        if listed and reading.counts[LISTS_GONE] == len(listed):
            raise IncompleteAnswer(
                f"memberships: HubSpot tells of {len(listed):,} lists, and a moment later of none "
                "of them; nothing of this source is delivered, try again"
            )
        chunk.stage()
    if chunk.refusal and not (reading.counts[LISTS_READ] or kept):
        if not isinstance(chunk.refusal, NotServed):
            raise chunk.refusal
        return reading.finish(unavailable(chunk.refusal), datetime.now(UTC))
    return reading.finish(AVAILABLE, max(told.observed_at, chunk.read_at))


class _Listed(NamedTuple):
    """A list to be read; `size` is what HubSpot told of it, `status` how far it is with it, and
    `signals` are of its changes."""

    list_id: int
    object_type_id: str
    size: int | None
    status: str | None = None
    signals: Signals | None = None


def _listed(staged: Staged) -> Iterator[_Listed]:
    for content, _ in read_items(staged):
        if "listId" in content:
            size = str((content.get("additionalProperties") or {}).get(lists.SIZE))
            status = content.get("processingStatus")
            yield _Listed(
                int(content["listId"]),
                content["objectTypeId"],
                int(size) if size.isdecimal() else None,
                None if status in (None, COMPLETE) else str(status),
                signals_of(content),
            )


def _after(reading: Reading) -> tuple[int, int]:
    """How many lists, and how many chunks of whole lists, an unfinished reading has staged."""
    if reading.after is None:
        return 0, 0
    done, chunks = reading.after.split()
    return int(done), int(chunks)


def _rosters(
    client: HubSpot,
    listed: Sequence[_Listed],
    folder: Path,
    workers: int,
    base: Staged | None,
    kept: Mapping[int, int],
) -> Generator[_Roster, None, None]:
    """The members of each list, in order: those of `kept` ones from `base`."""

    def read(each: _Listed) -> _Roster:
        roster = _Roster(each, folder)
        if each.list_id in kept:
            return roster
        try:
            for page in lists.members(client, str(each.list_id)):
                roster.add(page)
        except NotFound:
            roster.give_up(None)
        except (NotServed, BadRequest) as error:
            roster.give_up(error)
        return roster

    before = MembersBefore(base) if base else None
    for roster in in_order(read, listed, workers, HELD_LISTS):
        if before and roster.list.list_id in kept:
            roster.keep(before, kept[roster.list.list_id])
        yield roster


class _Roster:
    """The members of one list: in memory while they are few, else in files of `folder`."""

    def __init__(self, of: _Listed, folder: Path) -> None:
        self.list = of
        self.known = True
        self.refusal: Refused | None = None
        self.read_at = datetime.min.replace(tzinfo=UTC)
        self._folder = folder
        self.before: MembersBefore | None = None
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._files: list[Path] = []

    @property
    def large(self) -> bool:
        """Whether the members are more than are held in memory."""
        return bool(self._files) or self._rows >= HELD_MEMBERS

    def keep(self, before: MembersBefore, members: int) -> None:
        """Takes in that the list has those `members` that an earlier reading holds."""
        self.before, self._rows = before, members

    def add(self, page: MembersPage) -> None:
        """Takes a page of members in."""
        self.read_at = page.received_at
        self._held.append(_page_frame(page))
        self._rows += len(page.members)
        if self._rows >= HELD_MEMBERS:
            path = self._folder / f"{self.list.list_id}.{len(self._files)}.parquet"
            write_temporary(pl.concat(self._held), path)
            self._files.append(path)
            self._held, self._rows = [], 0

    def give_up(self, refusal: Refused | None) -> None:
        """Drops what was read of a list that is gone or, if `refusal` tells why, refused."""
        self.clear()
        self.known, self.refusal = False, refusal

    def frames(self) -> Iterator[pl.DataFrame]:
        """The members by record id, each once."""
        if self.before:
            yield from self.before.of(self.list.list_id)
            return
        readers: list[Callable[[], pl.DataFrame]]
        readers = [partial(pl.read_parquet, path) for path in self._files]
        if self._held:
            readers.append(partial(pl.concat, self._held))
        yield from in_key_order(readers, ["recordId"], most_bytes=CHUNK_MEMBERS * MEMBER_BYTES)

    def clear(self) -> None:
        """Frees memory and disk."""
        for path in self._files:
            path.unlink()
        self._held, self._rows, self._files = [], 0, []


def _page_frame(page: MembersPage) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "recordId": [int(each["recordId"]) for each in page.members],
            "joinedAt": [milliseconds(each.get("membershipTimestamp")) for each in page.members],
        },
        schema=_MEMBERS_SCHEMA,
    ).with_columns(
        pl.col("joinedAt").cast(MOMENT),
        readAt=pl.lit(page.received_at.replace(tzinfo=None), dtype=MOMENT),
    )


class _MembersChunk:
    """Members on their way into chunks: one of many whole lists, or of a part of a large one."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._done = 0
        self.refusal: Refused | None = None
        self.read_at = datetime.min.replace(tzinfo=UTC)
        self._clear()

    def _clear(self) -> None:
        self._members: list[pl.DataFrame] = []
        self._lists: list[tuple[int | str | None, ...]] = []
        self._rows = 0

    def add(self, roster: _Roster, done: int) -> None:
        """Takes the members of a list in, the `done`-th; stages what is a chunk by now."""
        if roster.large:
            self.stage()
        of, members = roster.list, 0
        for frame in roster.frames():
            members += frame.height
            self._members.append(_with_list(frame, of))
            self._rows += frame.height
            if roster.large:  # its own list is not whole yet
                self._put(self._reading.after)
        roster.clear()
        self._count(roster, members)
        self._done = done
        self.read_at = max(self.read_at, roster.read_at)
        if self._rows >= CHUNK_MEMBERS:
            self.stage()

    def _count(self, roster: _Roster, members: int) -> None:
        of, counts, refusal = roster.list, self._reading.counts, roster.refusal
        if roster.known:
            counts[LISTS_KEPT if roster.before else LISTS_READ] += 1
            counts["memberships_kept"] += members if roster.before else 0
            counts["memberships"] += members
            counts[LISTS_PARTIAL] += of.status is not None
            counts[LISTS_OF_ANOTHER_SIZE] += of.status is None and of.size not in (None, members)
        elif refusal:
            counts[LISTS_REFUSED] += 1
            self.refusal = refusal
        else:
            counts[LISTS_GONE] += 1
        why = str(refusal) if refusal else None
        known = members if roster.known else None
        signals = of.signals and of.signals.text
        self._lists.append((of.list_id, of.size, known, why, of.status, signals))

    def stage(self) -> None:
        """Stages the whole lists that were taken in."""
        if self._lists:
            self._put(f"{self._done} {self._reading.chunks_staged + 1}")

    def _put(self, after: str | None) -> None:
        members = pl.concat(self._members or [_no_members()])
        if unread := members["joinedAt"].null_count():
            self._reading.counts[MOMENTS_UNREAD] += unread
        frames: dict[str, Any] = {
            "members": members,
            "lists": pl.DataFrame(self._lists, schema=LISTS_SCHEMA, orient="row"),
        }
        self._reading.add(frames, after=after)
        self._clear()


def _with_list(members: pl.DataFrame, of: _Listed) -> pl.DataFrame:
    return members.select(
        pl.lit(of.list_id, dtype=pl.Int64).alias("listId"),
        "recordId",
        pl.lit(of.object_type_id, dtype=pl.String).alias("objectTypeId"),
        "joinedAt",
        "readAt",
    )


def _no_members() -> pl.DataFrame:
    of = _Listed(0, "", None)
    return _with_list(_page_frame(MembersPage((), datetime.now(UTC))), of).clear()
