"""The preflight: whether HubSpot gives, and the bucket takes, what an export needs."""

from hubspot_assets.check.finding import Finding, Status
from hubspot_assets.check.preflight import failures, lines_of, preflight

__all__ = ["Finding", "Status", "failures", "lines_of", "preflight"]
