"""Whose a store is: one portal's, which `_portal.json` at its root names."""

from __future__ import annotations

import logging

import orjson

from hubspot_assets.storage.errors import NotFoundError, OtherPortalError, StoreError
from hubspot_assets.storage.formats import NAME, check_format
from hubspot_assets.storage.store import Store

MARKER = "_portal.json"
#: Of the whole of a root, be it an export or a state: its layout, and what its files mean.
FORMAT = 1
#: Where a root that has no marker, as earlier versions left it, may tell whose it is.
_CATALOGS = ("catalog.json", "_state/catalog.json")

_log = logging.getLogger(__name__)


class Owner:
    """What a store tells of whose it is: `portal_id`, None where it tells of no portal.

    `setting` is what people set the store's address by. Raises StoreError,
    and NewerFormatError where a newer version of ours keeps it otherwise.
    """

    def __init__(self, store: Store, setting: str) -> None:
        self._store, self._setting = store, setting
        marked = _told(store, MARKER)
        self._marked = marked is not None
        self.portal_id = _unmarked(store) if marked is None else marked

    def expect(self, portal_id: int | None) -> None:
        """Raises OtherPortalError where it is not `portal_id`; any is right for None."""
        if self.portal_id is None or portal_id in (None, self.portal_id):
            return
        raise OtherPortalError(
            f"{self._setting}: found {self._url}, which is portal {self.portal_id}'s, expected a "
            f"place of portal {portal_id}; set another {self._setting}, or the token of "
            f"{self.portal_id}"
        )

    def claim(self, portal_id: int) -> None:
        """Marks the store as the portal's. If something was in it, that is said, this once.

        Raises OtherPortalError where another portal has done so meanwhile.
        """
        if self._marked:
            return
        if self.portal_id is None and any(
            not name.startswith("_") for name in self._store.folders()
        ):
            _log.warning(
                "%s tells of no portal, as earlier versions left it: from now on it is that of "
                "portal %s",
                self._url,
                portal_id,
            )
        self._store.swap(MARKER, orjson.dumps({"portal_id": portal_id, NAME: FORMAT}), None)
        self.portal_id, self._marked = _told(self._store, MARKER), True
        self.expect(portal_id)

    @property
    def _url(self) -> str:
        return self._store.url_of(MARKER).removesuffix(f"/{MARKER}")


def owned(store: Store, portal_id: int | None, setting: str) -> int | None:
    """The portal whose a store is; one that tells of none becomes that of `portal_id`.

    Raises OtherPortalError where it is another portal's, and StoreError.
    """
    owner = Owner(store, setting)
    owner.expect(portal_id)
    if portal_id is not None:
        owner.claim(portal_id)
    return owner.portal_id


def _unmarked(store: Store) -> int | None:
    """Whose a store without a marker is, by its catalog or a manifest of its newest day."""
    for path in _CATALOGS:
        if (found := _told(store, path)) is not None:
            return found
    days = [name for name in store.folders() if name[:1].isdigit()]
    for entry in store.list(max(days)) if days else ():
        if entry.path.endswith("/_manifest.json"):
            return _told(store, entry.path)
    return None


def _told(store: Store, path: str) -> int | None:
    """The portal that a JSON file names; None where there is no such file, or it names none.

    Raises NewerFormatError where it is the marker of a root that this version can't read.
    """
    found = None
    try:
        told = orjson.loads(store.get(path))
        found = told.get("portal_id")
        if path == MARKER:
            check_format(told, FORMAT, store.url_of(path))
    except NotFoundError:
        return None
    except (orjson.JSONDecodeError, AttributeError):
        pass  # as one that names none
    if type(found) is int:
        return found
    if path == MARKER:
        raise StoreError(f"{store.url_of(path)} names no portal; remove it if it is not of ours")
    return None
