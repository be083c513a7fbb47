"""A store in a local folder."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from hubspot_assets.storage.errors import NotFoundError, StoreError
from hubspot_assets.storage.store import Entry, Versioned, checked

_UNFINISHED, _GUARD = ".unfinished-", ".guard-"
#: So often a folder is made that others remove as an empty one.
_TRIES = 10
_LOCKABLE = os.O_RDWR | os.O_CREAT
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


T = TypeVar("T")


class FolderStore:
    """Objects are files below `root`. A file appears whole, by renaming."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(
        self,
        path: str,
        source: Path | bytes,
        *,
        sha256: str | None = None,  # noqa: ARG002  (files keep neither)
        metadata: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> None:
        target = self._file(path)
        unfinished = target.with_name(f"{_UNFINISHED}{uuid4().hex}")
        try:
            with _told("write", target):
                if isinstance(source, Path):
                    _in_its_folder(unfinished, partial(shutil.copyfile, source))
                else:
                    _in_its_folder(unfinished, methodcaller("write_bytes", source))
                unfinished.replace(target)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise

    def get(self, path: str) -> bytes:
        file = self._file(path)
        with _told("read", file):
            return file.read_bytes()

    def beginning(self, path: str, size: int) -> bytes:
        file = self._file(path)
        with _told("read", file), file.open("rb") as opened:
            return opened.read(size)

    def exists(self, path: str) -> bool:
        return self._file(path).is_file()

    @contextmanager
    def local_copy(self, path: str) -> Iterator[Path]:
        file = self._file(path)
        if not file.is_file():
            raise NotFoundError(f"there is no file {file}")
        yield file

    def list(
        self,
        prefix: str = "",
        *,
        versions: bool = False,  # noqa: ARG002  (a file has one)
    ) -> Iterator[Entry]:
        entries = (
            self._entry(file)
            for file in self._files(prefix)
            if not file.name.startswith((_UNFINISHED, _GUARD))
        )
        yield from sorted((entry for entry in entries if entry), key=lambda entry: entry.path)

    def folders(self) -> Iterator[str]:
        with _told("list", self._root), suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(path.name for path in self._root.iterdir() if path.is_dir())

    def delete(
        self,
        paths: Iterable[str],
        *,
        versions: bool = False,  # noqa: ARG002  (a file has one)
    ) -> None:
        for path in paths:
            file = self._file(path)
            with _told("delete", file), suppress(FileNotFoundError, NotADirectoryError):
                file.unlink()
            self._remove_empty_folders(file.parent)

    def delete_former(self, prefix: str) -> int:  # noqa: ARG002  (a file has one version)
        return 0

    def sweep(self, prefix: str) -> None:
        for file in self._files(prefix):
            if file.name.startswith(_UNFINISHED):
                with _told("delete", Path(file)):
                    Path(file).unlink(missing_ok=True)

    def versioned(self, path: str) -> Versioned | None:
        file = self._file(path)
        with suppress(NotFoundError), _told("read", file):
            content = file.read_bytes()
            return Versioned(content, _digest(content))
        return None

    def swap(self, path: str, content: bytes | None, version: str | None) -> str | None:
        target = self._file(path)
        with _told("write", target):
            with _guarding(target) as (guard, _):
                found = self.versioned(path)
                if version != (found.version if found else None):
                    return None
                if content is None:
                    target.unlink(missing_ok=True)
                else:
                    guard.write_bytes(content)
                    guard.replace(target)
            self._remove_empty_folders(target.parent)
        return "" if content is None else _digest(content)

    def keeps_conditions(self, path: str) -> bool:
        target = self._file(path)
        with _told("write", target), _guarding(target) as (_, locked):
            return locked

    def url_of(self, path: str) -> str:
        return str(self._file(path))

    def _file(self, path: str) -> Path:
        return self._root / checked(path)

    def _files(self, prefix: str) -> Iterator[os.DirEntry[str]]:
        top = self._file(prefix.rstrip("/")) if prefix else self._root
        with _told("list", top):
            yield from _walk(str(top))

    def _entry(self, file: os.DirEntry[str]) -> Entry | None:
        """None where the file has gone since it was seen."""
        with suppress(FileNotFoundError):
            status = file.stat()
            path = os.path.relpath(file.path, self._root).replace(os.sep, "/")
            return Entry(path, status.st_size, f"{status.st_ino}-{status.st_mtime_ns}")
        return None

    def _remove_empty_folders(self, folder: Path) -> None:
        """A bucket knows no empty folders, so none are left here. The root stays."""
        with suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Every file below a folder; nothing below one that is gone."""
    with suppress(FileNotFoundError), os.scandir(folder) as found:
        for each in found:
            if each.is_dir(follow_symlinks=False):
                yield from _walk(each.path)
            else:
                yield each


def _in_its_folder(file: Path, make: Callable[[Path], T]) -> T:
    """What `make` gives, which makes a file. Its folder is made if need be, while others may be
    removing it, or one above it, as an empty one."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return make(file)
        # Where it is seen to be in the way it may be gone before it is seen to be a folder.
        with suppress(FileNotFoundError, FileExistsError):
            file.parent.mkdir(parents=True, exist_ok=True)
    return make(file)


@contextmanager
def _guarding(target: Path) -> Iterator[tuple[Path, bool]]:
    """A file beside `target` that one writer has at a time, and whether that can be relied on.

    The lock is the file's, not its name's: the file is removed, or becomes `target`, while it
    is locked, and who waited for it looks again. A dead writer's lock is gone, on NFS too.
    """
    guard = target.with_name(f"{_GUARD}{target.name}")
    descriptor = _locked(guard)
    if descriptor is None:
        yield guard.with_name(f"{_UNFINISHED}{uuid4().hex}"), False
        return
    try:
        yield guard, True
        if _is_at(descriptor, guard):
            guard.unlink()
    finally:
        os.close(descriptor)


def _locked(file: Path) -> int | None:
    """The descriptor of the file, made if need be and locked; None where there are no locks."""
    while True:
        descriptor = _in_its_folder(
            file, partial(os.open, flags=os.O_RDWR | os.O_CREAT, mode=0o666)
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, file):
                return descriptor
        except OSError as error:
            os.close(descriptor)
            if error.errno not in _NO_LOCKS:
                raise
            return None
        os.close(descriptor)


def _is_at(descriptor: int, file: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), file.stat())
    return False


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _told(doing: str, file: Path) -> Iterator[None]:
    """Turn an operating system's error into one that says what to do."""
    try:
        yield
    except OSError as error:
        if doing == "read" and isinstance(error, FileNotFoundError):
            raise NotFoundError(f"there is no file {file}") from error
        raise StoreError(f"cannot {doing} {file}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "no space left on the disk; free some, or export elsewhere"
        case errno.EACCES | errno.EPERM:
            return "permission denied; let this user write there, or export elsewhere"
        case errno.EROFS:
            return "the file system is read-only; export elsewhere"
        case errno.ENOTDIR | errno.EEXIST:
            return "a file stands where a folder is needed; move it, or export elsewhere"
        case _:
            return error.strerror or type(error).__name__
