"""Lists and their members, staged.

The source `lists` holds an item per list, and one of `objectTypeId` and `refused` per object type
whose lists HubSpot refuses. The source `list_memberships` holds chunks of two frames:

* `members`: listId, recordId Int64, objectTypeId String, joinedAt, readAt Datetime(ms). A row per
  member of a list, by list and record id, from chunk to chunk, too.
* `lists`: listId Int64, size Int64 as HubSpot told it, members Int64 as read (null where they
  could not be), refused String (why not; null for a list that was deleted meanwhile), status String
  (how far HubSpot is with a list whose members are not all there yet, else null).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
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
from hubspot_assets.readings.ordering import in_key_order
from hubspot_assets.readings.reading import Reading, Staged, write_temporary
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sources.flatten import MOMENT
from hubspot_assets.sources.items import read_items, stage_items
from hubspot_assets.sources.resuming import plan_of
from hubspot_assets.sources.source import Report, quiet, unavailable
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.counts import (
    LISTS_GONE,
    LISTS_OF_ANOTHER_SIZE,
    LISTS_OF_TYPES_REFUSED,
    LISTS_PARTIAL,
    LISTS_READ,
    LISTS_REFUSED,
    LISTS_REPEATED,
    LISTS_UNTOLD,
    MOMENTS_UNREAD,
)

LISTS, MEMBERSHIPS = "lists", "list_memberships"
#: What a list is to tell beyond its own fields.
EXTRA = ("hs_list_size", "hs_classic_list_id")
#: The processing status of a list whose members are all there.
COMPLETE = "COMPLETE"

#: A chunk is staged once it holds so many members.
CHUNK_MEMBERS = 200_000
#: What a member takes in memory, on disk and in order.
MEMBER_BYTES = 24
#: So many members of a list are held in memory; those of a longer one are on disk until staged.
HELD_MEMBERS = 50_000

_MEMBERS_SCHEMA = {"recordId": pl.Int64(), "joinedAt": pl.Int64()}
LISTS_SCHEMA = {
    "listId": pl.Int64(),
    "size": pl.Int64(),
    "members": pl.Int64(),
    "refused": pl.String(),
    "status": pl.String(),
}


def extract_lists(client: HubSpot, staging: Staging, object_type_ids: Iterable[str]) -> Staged:
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
    return stage_items(reading, [*listing.lists, *refusals])


def extract_memberships(
    client: HubSpot, staging: Staging, *, portal: str, workers: int, report: Report = quiet
) -> Staged:
    """Stages the members of all staged lists, several lists at a time.

    A list that is deleted meanwhile, or whose members HubSpot refuses, has none; both are counted.
    Goes on from the last whole list of a reading of the same `portal` and lists. Raises
    HubSpotError, IncompleteAnswer where all are deleted meanwhile, and StoreError.
    """
    told = staging.complete(LISTS)
    listed = sorted(_listed(told))
    plan = plan_of(client, portal, [each.list_id for each in listed])
    reading = staging.begin(MEMBERSHIPS, plan)
    if not told.availability.served:
        return reading.finish(told.availability, told.observed_at)
    done, reading.chunks_staged = _after(reading)
    chunk = _MembersChunk(reading)
    with (
        temporary_folder() as folder,
        closing(_rosters(client, listed[done:], folder, workers)) as rosters,
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
    if chunk.refusal and not reading.counts[LISTS_READ]:
        if not isinstance(chunk.refusal, NotServed):
            raise chunk.refusal
        return reading.finish(unavailable(chunk.refusal), datetime.now(UTC))
    return reading.finish(AVAILABLE, max(told.observed_at, chunk.read_at))


class _Listed(NamedTuple):
    """A list to be read; `size` is what HubSpot told of it, `status` how far it is with it."""

    list_id: int
    object_type_id: str
    size: int | None
    status: str | None = None


def _listed(staged: Staged) -> Iterator[_Listed]:
    for content, _ in read_items(staged):
        if "listId" in content:
            size = str((content.get("additionalProperties") or {}).get("hs_list_size"))
            status = content.get("processingStatus")
            yield _Listed(
                int(content["listId"]),
                content["objectTypeId"],
                int(size) if size.isdecimal() else None,
                None if status in (None, COMPLETE) else str(status),
            )


def _after(reading: Reading) -> tuple[int, int]:
    """How many lists, and how many chunks of whole lists, an unfinished reading has staged."""
    if reading.after is None:
        return 0, 0
    done, chunks = reading.after.split()
    return int(done), int(chunks)


def _rosters(
    client: HubSpot, listed: Sequence[_Listed], folder: Path, workers: int
) -> Generator[_Roster, None, None]:
    def read(each: _Listed) -> _Roster:
        roster = _Roster(each, folder)
        try:
            for page in lists.members(client, str(each.list_id)):
                roster.add(page)
        except NotFound:
            roster.give_up(None)
        except (NotServed, BadRequest) as error:
            roster.give_up(error)
        return roster

    yield from in_order(read, listed, workers)


class _Roster:
    """The members of one list: in memory while they are few, else in files of `folder`."""

    def __init__(self, of: _Listed, folder: Path) -> None:
        self.list = of
        self.known = True
        self.refusal: Refused | None = None
        self.read_at = datetime.min.replace(tzinfo=UTC)
        self._folder = folder
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._files: list[Path] = []

    @property
    def large(self) -> bool:
        """Whether the members are more than are held in memory."""
        return bool(self._files)

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
        self._lists: list[tuple[int, int | None, int | None, str | None, str | None]] = []
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
            counts[LISTS_READ] += 1
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
        self._lists.append((of.list_id, of.size, known, why, of.status))

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
