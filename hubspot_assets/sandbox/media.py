"""Files of the file manager, as the files API tells them."""

from dataclasses import dataclass
from typing import Any

from hubspot_assets.sandbox.facts import value_pools
from hubspot_assets.sandbox.series import Series
from hubspot_assets.sandbox.stamps import DAY, iso

_FORMATS = (
    ("IMG", "png"),
    ("IMG", "jpg"),
    ("DOCUMENT", "pdf"),
    ("IMG", "svg"),
    ("MOVIE", "mp4"),
    ("DOCUMENT", "docx"),
    ("AUDIO", "mp3"),
    ("OTHER", "zip"),
)
_ACCESS = ("PUBLIC_INDEXABLE", "PUBLIC_NOT_INDEXABLE", "PRIVATE", "HIDDEN_PRIVATE")
_FOLDERS = ("", "/library", "/library/Events, 2024", "/قسم", "/Contracts")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is made: `edited` is when it is replaced, `deleted` when it is deleted, in
    epoch milliseconds, None for never."""

    file_id: int
    draw: int
    created: int
    edited: int | None
    deleted: int | None

    def exists(self, now: int) -> bool:
        """Whether it is there at a moment."""
        return self.created <= now and (self.deleted is None or self.deleted > now)

    def updated(self, now: int) -> int:
        """When it was last changed."""
        return self.created if self.edited is None or self.edited > now else self.edited

    @property
    def format(self) -> tuple[str, str]:
        """Type and extension."""
        return _FORMATS[self.draw % len(_FORMATS)]

    @property
    def size(self) -> int:
        """In bytes; some files are larger than four gigabytes."""
        return (self.draw >> 8) % (6_000_000_000 if self.format[0] == "MOVIE" else 9_000_000)


def all_files(count: int, seed: int) -> list[File]:
    """All files that there ever are, by id."""
    series = Series("files", count, seed, 161_000_000_003, 1_009)
    found = []
    for index in range(count):
        draw, made = series.draw(index), series.made(index)
        edited = made + 1 + (draw >> 12) % (200 * DAY) if draw & 3 == 0 else None
        deleted = made + 1 + (draw >> 20) % (500 * DAY) if draw >> 4 & 15 == 0 else None
        found.append(File(series.id(index), draw >> 5, made, edited, deleted))
    return found


def file_told(each: File, portal_id: int, now: int) -> dict[str, Any]:
    """A file as it is at a moment."""
    kind, extension = each.format
    texts = value_pools()["text"]
    name = f"{texts[each.draw % len(texts)].splitlines()[0]} {each.file_id % 1000}".replace(
        "/", "-"
    )
    folder = each.draw % len(_FOLDERS)
    path = f"{_FOLDERS[folder]}/{name}.{extension}"
    address = f"https://{portal_id}.fs1.hubspotusercontent-na1.net/hubfs/{portal_id}{path}"
    body: dict[str, Any] = {
        "id": str(each.file_id),
        "name": name,
        "path": path,
        "size": each.size,
        "type": kind,
        "extension": extension,
        "url": address,
        "defaultHostingUrl": address,
        "access": _ACCESS[each.draw % len(_ACCESS)],
        "isUsableInContent": each.draw % 7 > 0,
        "createdAt": iso(each.created),
        "updatedAt": iso(each.updated(now)),
        "archived": False,
    }
    if folder:
        body["parentFolderId"] = str(162_000_000_000 + folder)
    if kind == "IMG":
        body["encoding"] = extension
    if kind in ("IMG", "MOVIE"):
        body |= {"height": 100 + each.draw % 900, "width": 100 + (each.draw >> 3) % 1900}
    return body
