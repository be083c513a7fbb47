"""Writes a table of one day: its parts, then the manifest that publishes them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from hubspot_assets.export.errors import TableError
from hubspot_assets.export.manifest import (
    Part,
    TableManifest,
    manifest_path,
)
from hubspot_assets.export.parts import PART_BYTES, pack_parts
from hubspot_assets.storage.store import Store
from hubspot_assets.tables.content import Frames, TableContent
from hubspot_assets.tables.counts import warnings


def write_table(
    store: Store,
    day: str,
    content: TableContent,
    run_id: str,
    code_version: str,
    part_bytes: int = PART_BYTES,
) -> TableManifest:
    """Write one table of the day `day` (ISO date), in place of what was there.

    The manifests of the table and of its day are gone before the first part is replaced,
    and the table's comes back after the last: who waits for it never sees half a table.
    Until there is a part to put, nothing is touched. What earlier attempts left in the table's
    folder, and this one does not write, is removed.

    Raises `TableError` for content that is not as its spec says, `StoreError` where the
    store fails, and whatever making the rows raises. The table is then left as it was, or
    without a manifest; other tables and days are not concerned.
    """
    table = content.spec.name
    written_by = metadata_of(run_id, code_version)
    parts: list[Part] = []
    before: set[str] = set()
    for path, data, rows, sha256 in _packed(content, part_bytes):
        if not parts:
            before = {entry.path for entry in store.list(f"{day}/{table}")}
            if before:
                store.delete([manifest_path(day), manifest_path(day, table)])
        store.put(f"{day}/{path}", data, sha256=sha256, metadata=written_by)
        parts.append(Part(path, rows, len(data), sha256))
    written = {manifest_path(day, table), *(f"{day}/{part.path}" for part in parts)}
    store.delete(sorted(before - written))
    store.sweep(f"{day}/{table}")
    findings = content.findings
    findings.warnings.extend(warnings(findings.counts))
    manifest = TableManifest(
        table=table,
        day=day,
        as_of=content.as_of,
        observed_at=findings.observed_at,
        point_in_time=content.point_in_time,
        columns=content.spec.columns,
        key=content.spec.key,
        rows=sum(part.rows for part in parts),
        bytes=sum(part.bytes for part in parts),
        parts=tuple(parts),
        availability=content.availability,
        sources=dict(sorted(findings.sources.items())),
        counts=dict(sorted(findings.counts.items())),
        warnings=tuple(findings.warnings),
        run_id=run_id,
        code_version=code_version,
    )
    store.put(manifest_path(day, table), manifest.to_json(), metadata=written_by)
    return manifest


def metadata_of(run_id: str, code_version: str) -> dict[str, str]:
    """What an object in a bucket tells of who wrote it, in its user metadata."""
    return {"run-id": run_id, "code-version": code_version}


def _packed(content: TableContent, part_bytes: int) -> Iterator[tuple[str, bytes, int, str]]:
    """Every part: path within the day's folder, bytes, rows, SHA-256."""
    spec = content.spec
    seen: set[str] = set()
    for folder, frames in content.folders:
        if folder in seen or (seen and "" in {folder, *seen}):
            raise TableError(
                f"{spec.name}: the sub-folder {folder!r} comes after {sorted(seen)};"
                " each comes once, and '' alone"
            )
        seen.add(folder)
        top = f"{spec.name}/{folder}" if folder else spec.name
        for number, part in enumerate(pack_parts(_collected(frames), spec, part_bytes)):
            yield f"{top}/part-{number:05d}.csv.gz", part.data, part.rows, part.sha256
    if not seen:
        for part in pack_parts((), spec, part_bytes):
            yield f"{spec.name}/part-00000.csv.gz", part.data, part.rows, part.sha256


def _collected(frames: Frames) -> Iterator[pl.DataFrame]:
    for frame in frames:
        if isinstance(frame, pl.LazyFrame):
            yield from frame.collect_batches(maintain_order=True)
        else:
            yield frame
