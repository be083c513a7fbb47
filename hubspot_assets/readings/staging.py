"""What was read from HubSpot for a day, as Parquet files and a checkpoint per source.

    <state root>/staged/<day>/<source>/
        _complete.json            what was read, in which folder; absent until all of it is there
        _checkpoint.json          how far an unfinished reading has come
        <reading>/00000.<frame>.parquet

A source is what one extraction reads, as `objects/0-1` or `owners`. A new reading goes to a
folder of its own, so that the former one serves until the new one is complete.
"""

from __future__ import annotations

import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from hubspot_assets.availability import Availability
from hubspot_assets.storage import Store, StoreError


class NotStagedError(Exception):
    """Nothing complete is staged for a source and day."""


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
        for number in range(self.chunks_staged):
            yield Chunk(self.store, f"{self.folder}/{number:05d}")


@dataclass
class Reading:
    """A reading under way. `after` is the cursor to go on from; None at the start.

    One that can't be gone on from anyway notes no checkpoints.
    """

    store: Store
    source: str
    root: str
    plan: str
    folder: str
    after: str | None = None
    chunks_staged: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    resumable: bool = True

    def add(self, frames: Mapping[str, pl.DataFrame], *, after: str | None) -> None:
        """Stages a batch, then notes `after`, the cursor of what follows it."""
        for name, frame in frames.items():
            with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
                write_temporary(frame, Path(file.name))
                path = f"{self.folder}/{self.chunks_staged:05d}.{name}.parquet"
                self.store.put(path, Path(file.name))
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
        }
        self.store.put(f"{self.root}/_checkpoint.json", orjson.dumps(note))

    def finish(self, availability: Availability, observed_at: datetime) -> Staged:
        """Makes this reading the source's own, and removes what came before it."""
        note = {
            "folder": self.folder,
            "chunks_staged": self.chunks_staged,
            "availability": asdict(availability),
            "observed_at": observed_at.isoformat(),
            "counts": self.counts,
        }
        self.store.put(
            f"{self.root}/_complete.json", orjson.dumps(note, option=orjson.OPT_INDENT_2)
        )
        keep = (f"{self.folder}/", f"{self.root}/_complete.json")
        entries = self.store.list(self.root)
        self.store.delete([entry.path for entry in entries if not entry.path.startswith(keep)])
        return _staged(self.store, self.source, note)


class Staging:
    """The staged data of one day (ISO)."""

    def __init__(self, store: Store, day: str) -> None:
        self.day = day
        self._store = store
        self._root = f"staged/{day}"

    def begin(self, source: str, plan: str, *, resume: bool = True) -> Reading:
        """A new reading of `source`, or the unfinished one of the same `plan`.

        `plan` says what is asked for and of whom: a checkpoint of another plan can't be gone
        on from.
        """
        root = f"{self._root}/{source}"
        note = self._note(f"{root}/_checkpoint.json") if resume else None
        if note and note["plan"] == plan:
            return Reading(
                self._store,
                source,
                root,
                plan,
                note["folder"],
                note["after"],
                note["chunks_staged"],
                Counter(note["counts"]),
            )
        folder = f"{root}/{uuid.uuid4().hex[:12]}"
        return Reading(self._store, source, root, plan, folder, resumable=resume)

    def complete(self, source: str) -> Staged:
        """The complete reading of `source`. Raises NotStagedError where there is none."""
        note = self._note(f"{self._root}/{source}/_complete.json")
        if note is None:
            raise NotStagedError(
                f"{source} is not staged for {self.day}: materialize its hubspot/ asset "
                "for that day first"
            )
        return _staged(self._store, source, note)

    def _note(self, path: str) -> dict[str, Any] | None:
        if not self._store.exists(path):
            return None
        try:
            note: dict[str, Any] = orjson.loads(self._store.get(path))
        except orjson.JSONDecodeError:
            return None  # half-written, as a machine that lost power leaves it
        return note


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
