"""That all is one portal's: what is read, what is kept of it, and what is exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import IncompleteAnswer
from hubspot_assets.settings import Settings
from hubspot_assets.storage import Store, open_store
from hubspot_assets.storage.owner import Owner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def portal_of(client: HubSpot) -> int:
    """The portal that the client's token is of. Raises HubSpotError."""
    portal_id = client.get("account", "details").content.get("portalId")
    if not isinstance(portal_id, int):
        raise IncompleteAnswer("GET account details: HubSpot does not tell which portal it is")
    return portal_id


def check_places(
    settings: Settings, s3: Callable[[], S3Client], portal_id: int | None
) -> list[Owner]:
    """Sees that the export and the state root are the portal's; without one, that they are one's.

    Raises OtherPortalError and StoreError.
    """
    owners = []
    for setting, store in _places(settings, s3):
        owner = Owner(store, setting)
        owner.expect(portal_id)
        portal_id = portal_id or owner.portal_id
        owners.append(owner)
    return owners


def _places(settings: Settings, s3: Callable[[], S3Client]) -> Iterator[tuple[str, Store]]:
    """Where is written, with the setting that says so; the export first, as the state may lie
    in it."""
    yield "EXPORT_URL", open_store(settings.export_url, s3)
    yield "STATE_URL" if settings.state_url else "EXPORT_URL", open_store(settings.state, s3)
