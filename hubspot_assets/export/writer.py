"""Writes a table of one day: its parts, then the manifest that publishes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import count

import polars as pl

from hubspot_assets.export.complete import drop_day
from hubspot_assets.export.errors import TableError
from hubspot_assets.export.manifest import (
    File,
    Format,
    Part,
    TableManifest,
    manifest_path,
    missing,
    parquet_folder,
)
from hubspot_assets.export.parquet import WRITER, ParquetFiles
from hubspot_assets.export.parts import PART_BYTES, PackedPart, pack_parts
from hubspot_assets.export.together import pack_folders
from hubspot_assets.storage.errors import StoreError
from hubspot_assets.storage.leases import Lease, held
from hubspot_assets.storage.store import Store
from hubspot_assets.tables.content import Frames, TableContent
from hubspot_assets.tables.counts import NUMBERS_UNFIT, warnings


def write_table(
    store: Store,
    day: str,
    content: TableContent,
    run_id: str,
    code_version: str,
    part_bytes: int = PART_BYTES,
    lease: Lease | None = None,
    *,
    portal_id: int | None = None,
    parquet: bool = False,
) -> TableManifest:
    """Write one table of the day `day` (ISO date), in place of what was there.

    With `parquet` the same rows are written as Parquet files, too; else those are gone that were
    written before.

    The manifests of the table and of its day are gone before the first part is replaced,
    and the table's comes back after the last: who waits for it never sees half a table.
    Until there is a part to put, nothing is touched. What earlier attempts left in the table's
    folder, and this one does not write, is removed. Nobody else writes the day meanwhile: the
    run has its `lease`, or the day's is waited for.

    Raises `TableError` for content that is not as its spec says, `StoreError` where the store
    fails, has lost a part by the end or the lease is another's, and whatever making the rows
    raises. The table is then left as it was, or without a manifest; other tables and days are
    not concerned.
    """
    table = content.spec.name
    written_by = metadata_of(run_id, code_version)
    with nullcontext(lease) if lease else held(store, day) as day_lease:
        parts: list[Part] = []
        files: list[File] = []
        was_there = False
        for path, format_, packed in _packed(day, content, part_bytes, parquet=parquet):
            if not parts and (was_there := any(store.list(f"{day}/{table}"))):
                if store.exists(manifest_path(day)):
                    drop_day(store, day)
                store.delete([manifest_path(day), manifest_path(day, table)])
            store.put(path, packed.data, sha256=packed.sha256, metadata=written_by)
            told = packed.rows, len(packed.data), packed.sha256
            if format_ == "csv":
                parts.append(Part(path.removeprefix(f"{day}/"), *told))
            else:
                files.append(File(path, format_, *told))
        _tidy(store, f"{day}/{table}", {f"{day}/{part.path}": part.bytes for part in parts})
        if files or was_there:
            _tidy(store, parquet_folder(day, table), {file.path: file.bytes for file in files})
        manifest = _manifest(portal_id, day, content, parts, files, run_id, code_version)
        day_lease.check()
        store.put(manifest_path(day, table), manifest.to_json(), metadata=written_by)
    return manifest


def _tidy(store: Store, folder: str, written: Mapping[str, int]) -> None:
    """Remove what else is in a folder. Raises `StoreError` unless all that was `written` is."""
    store.sweep(folder)
    there = list(store.list(folder))
    store.delete(entry.path for entry in there if entry.path not in written)
    for path in missing(written, there):
        raise StoreError(
            f"{store.url_of(path)} is not as it was written a moment ago: somebody else removes "
            "or writes there; run again once that has ended",
            passing=True,
        )


def _manifest(
    portal_id: int | None,
    day: str,
    content: TableContent,
    parts: Sequence[Part],
    files: Sequence[File],
    run_id: str,
    code_version: str,
) -> TableManifest:
    findings = content.findings
    findings.warnings.extend(warnings(findings.counts))
    return TableManifest(
        portal_id=portal_id,
        table=content.spec.name,
        day=day,
        as_of=content.as_of,
        observed_at=findings.observed_at,
        point_in_time=content.point_in_time,
        settled=content.settled,
        columns=content.spec.columns,
        key=content.spec.key,
        rows=sum(part.rows for part in parts),
        bytes=sum(part.bytes for part in parts),
        parts=tuple(parts),
        files=tuple(files),
        written_with=WRITER,
        availability=content.availability,
        sources=dict(sorted(findings.sources.items())),
        counts=dict(sorted(findings.counts.items())),
        warnings=tuple(findings.warnings),
        run_id=run_id,
        code_version=code_version,
    )


def metadata_of(run_id: str, code_version: str) -> dict[str, str]:
    """What an object in a bucket tells of who wrote it, in its user metadata."""
    return {"run-id": run_id, "code-version": code_version}


def _packed(
    day: str, content: TableContent, part_bytes: int, *, parquet: bool
) -> Iterator[tuple[str, Format, PackedPart]]:
    """Every object with its path, the first of which is CSV."""
    spec = content.spec
    if parquet:
        for folder, rows in _folders(content):
            yield from _with_parquet(day, content, folder, rows, part_bytes)
        return
    for folder, parts in pack_folders(_folders(content), spec, part_bytes):
        yield from _named(day, spec.name, folder, parts)


def _folders(content: TableContent) -> Iterator[tuple[str, Iterator[pl.DataFrame]]]:
    """The sub-folders and their rows, each once; a table without rows has one."""
    seen: set[str] = set()
    for folder, frames in content.folders:
        if folder in seen or (seen and "" in {folder, *seen}):
            raise TableError(
                f"{content.spec.name}: the sub-folder {folder!r} comes after {sorted(seen)};"
                " each comes once, and '' alone"
            )
        seen.add(folder)
        yield folder, _collected(frames)
    if not seen:
        yield "", iter(())


def _named(
    day: str, table: str, folder: str, parts: Iterable[PackedPart]
) -> Iterator[tuple[str, Format, PackedPart]]:
    top = f"{day}/{table}/{folder}" if folder else f"{day}/{table}"
    for number, part in enumerate(parts):
        yield f"{top}/part-{number:05d}.csv.gz", "csv", part


def _with_parquet(
    day: str, content: TableContent, folder: str, rows: Iterator[pl.DataFrame], part_bytes: int
) -> Iterator[tuple[str, Format, PackedPart]]:
    """The parts of one sub-folder, and between them and behind them its Parquet files."""
    spec = content.spec
    files = ParquetFiles(spec)
    beside = f"{parquet_folder(day, spec.name)}/{folder or 'part'}"
    paths = (f"{beside}-{number:05d}.parquet" for number in count())
    parts = pack_parts(rows, spec, part_bytes, files.take)
    for part in _named(day, spec.name, folder, parts):
        yield part
        for file in files.made():
            yield next(paths), "parquet", file
    for file in files.rest():
        yield next(paths), "parquet", file
    if files.unfit:
        counts = content.findings.counts
        counts[NUMBERS_UNFIT] = counts.get(NUMBERS_UNFIT, 0) + files.unfit


def _collected(frames: Frames) -> Iterator[pl.DataFrame]:
    for frame in frames:
        if isinstance(frame, pl.LazyFrame):
            yield from frame.collect_batches(maintain_order=True)
        else:
            yield frame
        del frame  # which may be large, before the next is made
