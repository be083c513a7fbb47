"""The preflight: whether HubSpot gives, and the bucket takes, what an export needs."""

from hubspot_assets.check.finding import Finding, Status
from hubspot_assets.check.preflight import failures, preflight, table_of_findings

__all__ = ["Finding", "Status", "failures", "preflight", "table_of_findings"]
