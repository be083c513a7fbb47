"""What was read from HubSpot for a day, as Parquet files and a checkpoint per source.

    <state root>/staged/<day>/<source>/
        _complete.json            what was read, in which folder; absent until all of it is there
        _checkpoint.json          how far an unfinished reading has come
        <reading>/00000.<frame>.parquet

A source is what one extraction reads, as `objects/0-1` or `owners`. A new reading goes to a
folder of its own, so that the former one serves until the new one is complete.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import finalize

import orjson
import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.storage import NotFoundError, Store, StoreError
from hubspot_assets.storage.leases import Lease, take
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.counts import VALUES_UNWRITABLE


class NotStagedError(Exception):
    """Nothing complete is staged for a source and day."""

    def __init__(self, source: str, day: str) -> None:
        super().__init__(f"{source} is not staged for {day}")
        self.source = source
        self.day = day


@dataclass(frozen=True, slots=True)
class Chunk:
    """One batch of a source: a frame per name, a Parquet file each."""

    store: Store
    stem: str

    def read(self, frame: str, columns: list[str] | None = None) -> pl.DataFrame:
        """The frame called `frame`, or only its `columns`."""
        with self.store.local_copy(f"{self.stem}.{frame}.parquet") as path:
            return pl.read_parquet(path, columns=columns)


@dataclass(frozen=True, slots=True)
class Staged:
    """A complete reading of one source."""

    store: Store
    source: str
    folder: str
    chunks_staged: int
    availability: Availability
    observed_at: datetime
    counts: Mapping[str, int]

    def chunks(self) -> Iterator[Chunk]:
        """The batches, in the order in which they were read."""
        return _chunks(self.store, self.folder, self.chunks_staged)


@dataclass
class Reading:
    """A reading under way. `after` is the cursor to go on from; None at the start.

    Nobody else reads the source meanwhile: `lease` is the day's. One that can't be gone on from
    anyway notes no checkpoints.
    """

    store: Store
    source: str
    root: str
    plan: str
    folder: str
    lease: Lease
    after: str | None = None
    chunks_staged: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    sizes: list[dict[str, int]] = field(default_factory=list)
    resumable: bool = True

    def __post_init__(self) -> None:
        self._close: Callable[[], object] = lambda: None

    def begin_anew(self) -> None:
        """Drops what was staged so far."""
        self.forget_checkpoint()
        self._empty()
        self.counts.clear()

    def staged_again(self) -> Iterator[Chunk]:
        """The batches that are staged by now, whose place is taken by what is added from now on."""
        chunks = _chunks(self.store, self.folder, self.chunks_staged)
        self._empty()
        self.resumable = False
        return chunks

    def _empty(self) -> None:
        self.folder = _new_folder(self.root)
        self.after, self.chunks_staged, self.sizes = None, 0, []

    def forget_checkpoint(self) -> None:
        """Lets nobody go on with it."""
        self.lease.check()
        self.store.delete([f"{self.root}/_checkpoint.json"])

    def last_chunk(self) -> Chunk | None:
        """The batch that was staged last."""
        *_, last = (None, *_chunks(self.store, self.folder, self.chunks_staged))
        return last

    def add(self, frames: Mapping[str, pl.DataFrame], *, after: str | None) -> None:
        """Stages a batch, then notes `after`, the cursor of what follows it.

        No warehouse takes U+0000 in a text: it is staged as U+FFFD, and the values are counted.
        """
        self.lease.check()
        del self.sizes[self.chunks_staged :]
        self.sizes.append({})
        with temporary_folder() as folder:
            for name, frame in frames.items():
                file = folder / f"{name}.parquet"
                write_temporary(self._writable(frame), file)
                self.sizes[-1][name] = file.stat().st_size
                self.store.put(self._path(self.chunks_staged, name), file)
                file.unlink()
        self.chunks_staged += 1
        self.after = after
        if not self.resumable:
            return
        note = {
            "folder": self.folder,
            "plan": self.plan,
            "after": after,
            "chunks_staged": self.chunks_staged,
            "counts": self.counts,
            "sizes": self.sizes,
        }
        self.lease.check()
        self.store.put(f"{self.root}/_checkpoint.json", orjson.dumps(note))

    def _writable(self, frame: pl.DataFrame) -> pl.DataFrame:
        texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
        found = frame.select(pl.col(texts).str.contains("\0", literal=True).sum())
        values = sum(found.row(0)) if texts else 0
        if not values:
            return frame
        self.counts[VALUES_UNWRITABLE] += values
        return frame.with_columns(pl.col(texts).str.replace_all("\0", "\ufffd", literal=True))

    def finish(self, availability: Availability, observed_at: datetime) -> Staged:
        """Makes this reading the source's own, and removes what came before it.

        Raises StoreError where a chunk is not there, or the source is another's to read by now.
        """
        note = {
            "folder": self.folder,
            "chunks_staged": self.chunks_staged,
            "availability": asdict(availability),
            "observed_at": observed_at.isoformat(),
            "counts": self.counts,
        }
        there = {entry.path: entry.bytes for entry in self.store.list(self.root)}
        own = self._own_files()
        self._verify(own, there)
        self.lease.check()
        complete = f"{self.root}/_complete.json"
        self.store.put(complete, orjson.dumps(note, option=orjson.OPT_INDENT_2))
        self.store.delete(sorted(there.keys() - own.keys() - {complete}))
        self._close()
        return _staged(self.store, self.source, note)

    def _path(self, number: int, frame: str) -> str:
        return f"{self.folder}/{number:05d}.{frame}.parquet"

    def _own_files(self) -> dict[str, int]:
        """What was put and counts, by path in bytes."""
        chunks = enumerate(self.sizes[: self.chunks_staged])
        return {
            self._path(number, name): size for number, of in chunks for name, size in of.items()
        }

    def _verify(self, own: Mapping[str, int], there: Mapping[str, int]) -> None:
        for path, size in own.items():
            if there.get(path) != size:
                self.forget_checkpoint()
                raise StoreError(
                    f"{self.store.url_of(path)} is not as it was written: somebody else removes or "
                    "writes there; run again once that has ended",
                    passing=True,
                )

    def closed_by(self, close: Callable[[], object]) -> Reading:
        """The same, which calls `close` once it is finished, or given up and forgotten."""
        self._close = finalize(self, close)
        return self


class Staging:
    """The staged data of one day (ISO), which the run that has its `lease` may write.

    Without one, each reading waits for the day's.
    """

    def __init__(self, store: Store, day: str, lease: Lease | None = None) -> None:
        self.day = day
        self._store = store
        self._root = f"staged/{day}"
        self._lease = lease

    def begin(self, source: str, plan: str, *, resume: bool = True) -> Reading:
        """A new reading of `source`, or the unfinished one of the same `plan`.

        `plan` says what is asked for and of whom: a checkpoint of another plan can't be gone
        on from. Raises StoreError, also where another has the day's lease for too long.
        """
        if self._lease:
            return self._begun(self._lease, source, plan, resume=resume)
        lease = take(self._store, self.day)
        try:
            reading = self._begun(lease, source, plan, resume=resume)
        except BaseException:
            lease.release()
            raise
        return reading.closed_by(lease.release)

    def _begun(self, lease: Lease, source: str, plan: str, *, resume: bool) -> Reading:
        root = f"{self._root}/{source}"
        self._store.sweep(root)
        note = self._note(f"{root}/_checkpoint.json") if resume else None
        if note and note["plan"] == plan:
            return Reading(
                self._store,
                source,
                root,
                plan,
                note["folder"],
                lease,
                note["after"],
                note["chunks_staged"],
                Counter(note["counts"]),
                note["sizes"],
            )
        folder = _new_folder(root)
        return Reading(self._store, source, root, plan, folder, lease, resumable=resume)

    def complete(self, source: str) -> Staged:
        """The complete reading of `source`. Raises NotStagedError where there is none."""
        note = self._note(f"{self._root}/{source}/_complete.json")
        if note is None:
            raise NotStagedError(source, self.day)
        return _staged(self._store, source, note)

    def _note(self, path: str) -> dict[str, Any] | None:
        # Nothing there, or half-written, as a machine that lost power leaves it.
        with suppress(NotFoundError, orjson.JSONDecodeError):
            note: dict[str, Any] = orjson.loads(self._store.get(path))
            return note
        return None


def _new_folder(root: str) -> str:
    return f"{root}/{uuid.uuid4().hex[:12]}"


def _chunks(store: Store, folder: str, number: int) -> Iterator[Chunk]:
    return (Chunk(store, f"{folder}/{each:05d}") for each in range(number))


def write_temporary(frame: pl.DataFrame, path: Path) -> None:
    """Writes a frame as Parquet to `path` in a temporary folder. Raises StoreError."""
    try:
        frame.write_parquet(path, compression="zstd", statistics=False)
    except (OSError, pl.exceptions.ComputeError) as error:
        full = "no space left" in str(error).lower()
        raise StoreError(
            f"cannot write to the temporary folder {path.parent}: "
            + ("no space left; free some, or set TMPDIR" if full else str(error))
        ) from error


def _staged(store: Store, source: str, note: Mapping[str, Any]) -> Staged:
    return Staged(
        store,
        source,
        note["folder"],
        note["chunks_staged"],
        Availability(**note["availability"]),
        datetime.fromisoformat(note["observed_at"]),
        note["counts"],
    )
