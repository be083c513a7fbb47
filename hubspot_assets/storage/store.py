"""An object store rooted at a URL: a bucket's prefix or a local folder, through one face.

Paths are relative POSIX paths below the root, as `2026-11-22/OBJECTS/_manifest.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hubspot_assets.storage.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from hubspot_assets.storage.copies import Copies


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its path, its size in bytes, and a text that changes with each rewrite."""

    path: str
    bytes: int
    version: str


class Versioned(NamedTuple):
    """An object's content, and a text that is another for another content."""

    content: bytes
    version: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A version that a bucket did not let go of, and why."""

    entry: Entry
    reason: str


class Store(Protocol):
    """Objects under one root. Safe to share between threads.

    Every method raises `StoreError` when the store cannot be reached, read or written.
    """

    def put(
        self,
        path: str,
        source: Path | bytes,
        *,
        sha256: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Write a whole object; whoever reads `path` sees the old content or the new.

        `sha256` is the content's, in hexadecimal: a bucket refuses content that came otherwise (a
        file of 64 MiB or more goes in parts, each held against a checksum of its own).
        `metadata` is kept with an object in a bucket. A folder has use for neither.
        """

    def get(self, path: str) -> bytes:
        """An object's content. Raises `NotFoundError`."""

    def beginning(self, path: str, size: int) -> bytes:
        """The first `size` bytes of an object's content, or all of it. Raises `NotFoundError`."""

    def exists(self, path: str) -> bool:
        """Whether there is an object at `path`."""

    def local_copy(self, path: str) -> AbstractContextManager[Path]:
        """The object as a file to read within the `with` block. Raises `NotFoundError`."""

    def list(self, prefix: str = "", *, versions: bool = False) -> Iterator[Entry]:
        """Every object below the folder `prefix`, ordered by path; "" is the whole store.

        With `versions` all that the store keeps: an entry for each version of an object, also
        of deleted ones, whose deletion is an entry of no bytes.
        """

    def folders(self) -> Iterator[str]:
        """The names of the folders that are directly below the root."""

    def delete(self, paths: Iterable[str], *, versions: bool = False) -> None:
        """Delete objects; one that is not there is none to worry about.

        A bucket that keeps versions keeps what is deleted, unless all `versions` are to go.
        Raises `KeptError` for versions that are there still once all others are gone, as those
        under an object lock.
        """

    def delete_former(self, prefix: str) -> int:
        """Delete all versions of the objects below `prefix` but those that are there now.

        Of objects that were deleted, all versions. Gives how many went. Raises `KeptError` for
        those that stayed once all others are gone.
        """

    def sweep(self, prefix: str) -> None:
        """Remove what writers that died in the middle of a `put` left below `prefix`."""

    def versioned(self, path: str) -> Versioned | None:
        """A small object's content and its version; None where there is no object."""

    def swap(self, path: str, content: bytes | None, version: str | None) -> str | None:
        """Replace a small object only if it still is of `version`, None: if there is none.

        The answer is the new version, and None where it was another and stays. No `content`
        deletes the object, whose version is then "". A store that knows no such conditions
        compares and writes, between which another may write: see `keeps_conditions`.
        """

    def keeps_conditions(self, path: str) -> bool:
        """Whether a `swap` that must not replace the object at `path` is refused by the store."""

    def url_of(self, path: str) -> str:
        """Where the object is: `s3://bucket/prefix/path`, or an absolute file path."""


def open_store(
    url: str | Path, s3: Callable[[], S3Client] | None = None, *, copies: Copies | None = None
) -> Store:
    """The store at `url`: `s3://bucket/prefix`, or a folder, made when first written to.

    `s3` makes the boto3 client; it is called once, when a bucket is first used. Without
    it, boto3's own chain of credentials and settings serves. Opening touches nothing. With
    `copies` a bucket's files are kept near: for who lets nobody else write them meanwhile.
    Raises `StoreError` for a URL that is neither.
    """
    from hubspot_assets.storage.folder import FolderStore
    from hubspot_assets.storage.s3 import S3Store

    text = str(url)
    if text.startswith("s3://"):
        bucket, _, prefix = text.removeprefix("s3://").partition("/")
        if not bucket:
            raise StoreError(f"{text!r} names no bucket; expected s3://bucket/prefix")
        return S3Store(bucket, prefix.strip("/"), s3, copies)
    if not text or "://" in text:
        raise StoreError(f"cannot export to {text!r}; expected s3://bucket/prefix or a folder")
    return FolderStore(Path(text).expanduser().absolute())


def checked(path: str) -> str:
    """`path` itself. Raises `ValueError` unless it is a plain relative path."""
    if not is_plain(path):
        raise ValueError(f"not a relative path inside the store: {path!r}")
    return path


def is_plain(path: str) -> bool:
    """Whether this is a path of a store: relative, of nothing but names."""
    return {"", ".", ".."}.isdisjoint(path.split("/"))
