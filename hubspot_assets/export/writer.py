"""Writes a table of one day: its parts, then the manifest that publishes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import polars as pl

from hubspot_assets.export.errors import TableError
from hubspot_assets.export.manifest import (
    Part,
    TableManifest,
    manifest_path,
    missing_parts,
)
from hubspot_assets.export.parts import PART_BYTES, pack_parts
from hubspot_assets.storage.errors import StoreError
from hubspot_assets.storage.leases import Lease, held
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
    lease: Lease | None = None,
    *,
    portal_id: int | None = None,
) -> TableManifest:
    """Write one table of the day `day` (ISO date), in place of what was there.

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
        for path, data, rows, sha256 in _packed(content, part_bytes):
            if not parts and any(store.list(f"{day}/{table}")):
                store.delete([manifest_path(day), manifest_path(day, table)])
            store.put(f"{day}/{path}", data, sha256=sha256, metadata=written_by)
            parts.append(Part(path, rows, len(data), sha256))
        _tidy(store, day, table, parts)
        manifest = _manifest(portal_id, day, content, parts, run_id, code_version)
        day_lease.check()
        store.put(manifest_path(day, table), manifest.to_json(), metadata=written_by)
    return manifest


def _tidy(store: Store, day: str, table: str, parts: Sequence[Part]) -> None:
    """Remove what else is in the table's folder. Raises `StoreError` unless all parts are."""
    store.sweep(f"{day}/{table}")
    there = list(store.list(f"{day}/{table}"))
    written = {f"{day}/{part.path}" for part in parts}
    store.delete(entry.path for entry in there if entry.path not in written)
    for path in missing_parts(day, parts, there):
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
