"""A reading: what HubSpot told of a source between two moments, as Parquet files.

    <state root>/readings/<source>/<reading>/
        _reading.json             what was read, when; absent until all of it is there
        _checkpoint.json          how far an unfinished reading has come
        00000.<frame>.parquet     its chunks

A reading is called after the moment at which it began, so that their names stand in order, and
after what else a listing must tell: the base of which it holds the changes, or the day that it is
of (`Name`). It never changes once it is complete. The first chunks of some are a base, and those
behind them changes of it: `merging` has how they become one.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

import orjson
import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.readings.kept import Kept
from hubspot_assets.readings.merging import Chunk, StoredChunk, merged
from hubspot_assets.readings.people import Who, without
from hubspot_assets.storage import Store, StoreError
from hubspot_assets.storage.formats import NAME, known_fields
from hubspot_assets.storage.leases import Lease
from hubspot_assets.storage.temporary import temporary_folder
from hubspot_assets.tables.counts import ROWS_FORGOTTEN, VALUES_UNWRITABLE

READINGS = "readings"
NOTE, CHECKPOINT = "_reading.json", "_checkpoint.json"
#: Of both notes and the chunks of which they tell.
READING_FORMAT = 1
_MOMENT = "%Y%m%dT%H%M%S%fZ"
_NAME = re.compile(r"(\d{8}T\d{12}Z)-(\w+)(?:\.on-(\w+))?(?:\.of-([\w-]+))?")

Window = tuple[datetime, datetime]


@dataclass(frozen=True, order=True, slots=True)
class Name:
    """The name of a reading: when it `began` and a mark of its own; then the mark of the reading
    whose changes it holds (`on`), or the day of the window that it is of (`of`).

    >>> str(Name.told("20261123T013000000000Z-a1b2c3.on-9f8e7d"))
    '20261123T013000000000Z-a1b2c3.on-9f8e7d'
    """

    began: datetime
    mark: str
    on: str = ""
    of: str = ""

    @classmethod
    def new(cls, began: datetime, on: str = "", of: str = "") -> Name:
        """Another at each call."""
        return cls(began, uuid.uuid4().hex[:6], on, of)

    @classmethod
    def told(cls, text: str) -> Name | None:
        """The name that a folder has; None where it is no reading's."""
        found = _NAME.fullmatch(text)
        if not found:
            return None
        moment, mark, on, of = found.groups("")
        return cls(datetime.strptime(moment, _MOMENT).replace(tzinfo=UTC), mark, on, of)

    def __str__(self) -> str:
        own = f"{self.began.astimezone(UTC).strftime(_MOMENT)}-{self.mark}"
        return own + (f".on-{self.on}" if self.on else "") + (f".of-{self.of}" if self.of else "")


class Base(NamedTuple):
    """The first `chunks` of the reading in `folder`, over which others hold changes."""

    folder: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A complete reading of one source. `window` is the time that it is of, if it is of one;
    `swept_at` when all of the source was last looked through: by it, or by one before it. Of its
    files some are `kept`."""

    store: Store
    source: str
    folder: str
    began: datetime
    plan: str
    window: Window | None
    base: Base | None
    chunks_staged: int
    availability: Availability
    observed_at: datetime
    counts: Mapping[str, int]
    swept_at: datetime
    kept: Kept

    @classmethod
    def of(
        cls, store: Store, source: str, folder: str, note: Mapping[str, Any], kept: Kept
    ) -> Staged:
        """What `_reading.json` says. Raises KeyError, TypeError or ValueError where it is none."""
        return cls(
            store,
            source,
            folder,
            datetime.fromisoformat(note["began"]),
            note["plan"],
            _window(note),
            Base(*note["base"]) if note["base"] else None,
            note["chunks_staged"],
            Availability(**known_fields(Availability, note["availability"])),
            datetime.fromisoformat(note["observed_at"]),
            note["counts"],
            datetime.fromisoformat(note["swept_at"]),
            kept,
        )

    @property
    def name(self) -> str:
        """What the reading is called."""
        return self.folder.rpartition("/")[2]

    @property
    def base_folder(self) -> str:
        """Where the base is of which changes are held, be they held together or apart."""
        return self.base.folder if self.base else self.folder

    @property
    def changes(self) -> list[StoredChunk]:
        """The chunks that hold changes."""
        first = self.base.chunks if self.base and self.base.folder == self.folder else 0
        own = _chunks(self.store, self.folder, self.chunks_staged, self.kept)
        return own[first:] if self.base else []

    def chunks(self) -> Iterator[Chunk]:
        """The batches, in the order in which they were read, those that changed as they are now."""
        if self.base is None:
            return iter(_chunks(self.store, self.folder, self.chunks_staged, self.kept))
        return merged(_chunks(self.store, *self.base, self.kept), self.changes)


@dataclass
class Reading:
    """A reading under way. `after` is the cursor to go on from; None at the start.

    Nobody else reads meanwhile: `lease` is the state's. One that can't be gone on from anyway notes
    no checkpoints. `swept_at` is its own beginning unless it looks at a part of the source alone.
    `finished` hears of it once it is complete. Of those who were `forgotten` nothing is staged.
    What is `kept` of its files is for who reads it once it is complete.
    """

    store: Store
    source: str
    folder: str
    began: datetime
    plan: str
    window: Window | None
    lease: Lease
    after: str | None = None
    chunks_staged: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    sizes: list[dict[str, int]] = field(default_factory=list)
    resumable: bool = True
    base: Base | None = None
    swept_at: datetime | None = None
    finished: Callable[[Staged], object] = lambda _: None
    forgotten: Who | None = None
    kept: Kept = field(default_factory=Kept)

    def __post_init__(self) -> None:
        self._close: Callable[[], object] = lambda: None
        self._put: dict[str, int] = {}
        self._was_begun_before = self.chunks_staged > 0

    @classmethod
    def going_on(
        cls, store: Store, source: str, folder: str, note: Mapping[str, Any], lease: Lease
    ) -> Reading:
        """One of which a checkpoint tells: of a base it has none yet."""
        return cls(
            store,
            source,
            folder,
            datetime.fromisoformat(note["began"]),
            note["plan"],
            _window(note),
            lease,
            note["after"],
            note["chunks_staged"],
            Counter(note["counts"]),
            note["sizes"],
        )

    def begin_anew(self) -> None:
        """Drops what was staged so far."""
        self.forget_checkpoint()
        self._empty()
        self.counts.clear()

    def staged_again(self) -> Iterator[Chunk]:
        """The batches that are staged by now, whose place is taken by what is added from now on."""
        chunks = self.staged()
        self.forget_checkpoint()
        self.folder = f"{self.folder.rpartition('/')[0]}/{Name.new(self.began)}"
        self._empty()
        self.resumable = False
        return iter(chunks)

    def _empty(self) -> None:
        self.after, self.chunks_staged, self.sizes = None, 0, []

    def changes_from_here(self) -> None:
        """What is added from now on are changes of what is staged by now."""
        self.base = Base(self.folder, self.chunks_staged)

    def hold_everything(self) -> None:
        """What is added is all there is, not the changes of a base."""
        self.base = None

    def staged(self) -> list[StoredChunk]:
        """The batches that are staged by now."""
        return _chunks(self.store, self.folder, self.chunks_staged, Kept())

    def forget_checkpoint(self) -> None:
        """Lets nobody go on with it."""
        self.lease.check()
        self.store.delete([f"{self.folder}/{CHECKPOINT}"])

    def last_chunk(self) -> Chunk | None:
        """The batch that was staged last."""
        *_, last = (None, *self.staged())
        return last

    def add(self, frames: Mapping[str, pl.DataFrame], *, after: str | None) -> None:
        """Stages a batch, then notes `after`, the cursor of what follows it.

        No warehouse takes U+0000 in a text: it is staged as U+FFFD, and the values are counted.
        """
        self.lease.check()
        if self.forgotten:
            frames, rows = without(self.source, frames, self.forgotten)
            self.counts.update(+Counter({ROWS_FORGOTTEN: rows}))
        del self.sizes[self.chunks_staged :]
        self.sizes.append({})
        chunk = _chunk(self.store, self.folder, self.chunks_staged, self.kept)
        with temporary_folder() as folder:
            for name, frame in frames.items():
                file, written = folder / f"{name}.parquet", self._writable(frame)
                write_temporary(written, file)
                path, size = chunk.file(name), file.stat().st_size
                self.sizes[-1][name] = self._put[path] = size
                self.store.put(path, file)
                chunk.keep(name, written, size)
                file.unlink()
        self.chunks_staged += 1
        self.after = after
        if self.resumable:
            self.lease.check()
            note = self._note() | {"after": after, "sizes": self.sizes}
            checkpoint = orjson.dumps(note)
            self._put[f"{self.folder}/{CHECKPOINT}"] = len(checkpoint)
            self.store.put(f"{self.folder}/{CHECKPOINT}", checkpoint)

    def finish(self, availability: Availability, observed_at: datetime) -> Staged:
        """Makes this reading complete, and so one that serves.

        Raises StoreError where a chunk is not there, or another reads by now.
        """
        note = self._note() | {
            "availability": asdict(availability),
            "observed_at": observed_at.isoformat(),
        }
        there, own = self._there(), self._own_files()
        self._verify(own, there)
        self.lease.check()
        complete = orjson.dumps(note, option=orjson.OPT_INDENT_2)
        self.store.put(f"{self.folder}/{NOTE}", complete)
        self.store.delete(sorted(there.keys() - own.keys()))
        told = orjson.loads(complete)
        staged = Staged.of(self.store, self.source, self.folder, told, self.kept)
        self.finished(staged)
        self._close()
        return staged

    def closed_by(self, close: Callable[[], object]) -> Reading:
        """The same, which calls `close` once it is finished, or given up and forgotten."""
        self._close = finalize(self, close)
        return self

    def _note(self) -> dict[str, Any]:
        return {
            NAME: READING_FORMAT,
            "source": self.source,
            "began": self.began.isoformat(),
            "plan": self.plan,
            "window": self.window,
            "base": self.base and list(self.base),
            "swept_at": (self.swept_at or self.began).isoformat(),
            "chunks_staged": self.chunks_staged,
            "counts": self.counts,
        }

    def _writable(self, frame: pl.DataFrame) -> pl.DataFrame:
        texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
        found = frame.select(pl.col(texts).str.contains("\0", literal=True).sum())
        values = sum(found.row(0)) if texts else 0
        if not values:
            return frame
        self.counts[VALUES_UNWRITABLE] += values
        return frame.with_columns(pl.col(texts).str.replace_all("\0", "\ufffd", literal=True))

    def _own_files(self) -> dict[str, int]:
        """What was put and counts, by path in bytes."""
        chunks = zip(self.staged(), self.sizes, strict=False)
        return {chunk.file(name): size for chunk, of in chunks for name, size in of.items()}

    def _there(self) -> dict[str, int]:
        """What is there of it, by path in bytes; what was put in one go needs no second look."""
        if self._was_begun_before or self.chunks_staged > 1:
            return {entry.path: entry.bytes for entry in self.store.list(self.folder)}
        return {
            path: size for path, size in self._put.items() if path.startswith(f"{self.folder}/")
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


def _window(note: Mapping[str, Any]) -> Window | None:
    start, end = map(datetime.fromisoformat, note["window"] or ("0001-01-01", "0001-01-01"))
    return (start, end) if note["window"] else None


def _chunks(store: Store, folder: str, number: int, kept: Kept) -> list[StoredChunk]:
    return [_chunk(store, folder, each, kept) for each in range(number)]


def _chunk(store: Store, folder: str, number: int, kept: Kept) -> StoredChunk:
    return StoredChunk(store, f"{folder}/{number:05d}", kept)


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
