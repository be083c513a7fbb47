"""The whole preflight, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from hubspot_assets.assets.resources import connect
from hubspot_assets.check.bucket import check_bucket, check_folder, check_role
from hubspot_assets.check.finding import Finding
from hubspot_assets.check.portal import check_portal
from hubspot_assets.portal import check_places
from hubspot_assets.progress import hanging
from hubspot_assets.settings import Settings
from hubspot_assets.storage import OtherPortalError, StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def preflight(settings: Settings, s3: Callable[[], S3Client]) -> Iterator[Finding]:
    """Tries everything an export needs, on both sides; a row each.

    `s3` makes the boto3 client that an export would use. Raises SettingsError, and
    OtherPortalError before anything is written.
    """

    def admit(portal_id: int | None) -> None:
        try:
            check_places(settings, s3, portal_id)
        except OtherPortalError:
            raise
        except StoreError:
            return  # the rows of the store tell of it

    with connect(settings) as client:
        yield from check_portal(client, settings, admit)
    places = _places(settings)
    if any(place.startswith("s3://") for place in places):
        found = list(check_role(settings, s3))
        yield from found
        if any(each.status == "failed" for each in found):
            return
    for place in places:
        if place.startswith("s3://"):
            yield from check_bucket(place, settings.s3_region, s3)
        else:
            yield from check_folder(place)


def failures(findings: Sequence[Finding]) -> list[Finding]:
    """Those that stop an export, or cost it tables."""
    return [each for each in findings if each.status == "failed"]


def lines_of(finding: Finding, width: int) -> list[str]:
    """The finding as a person reads it below the heading of where it was tried."""
    detail = f": {finding.detail}" if finding.detail else ""
    return hanging(f"  {finding.status:<9}", f"{finding.tried}{detail}", width)


def _places(settings: Settings) -> list[str]:
    """Where is written to: the export, and the state where that lies elsewhere."""
    inside = settings.state.startswith(f"{settings.export_url}/")
    return [settings.export_url] if inside else [settings.export_url, settings.state]
