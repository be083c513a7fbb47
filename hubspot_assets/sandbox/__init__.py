"""A HubSpot portal on loopback: deterministic, of any size, and as unkind as the real one."""

from hubspot_assets.sandbox.config import Clock, PortalConfig
from hubspot_assets.sandbox.event_life import Occurrence
from hubspot_assets.sandbox.portal import (
    HistoryEntry,
    Link,
    Portal,
    PortalRecord,
    RecordChange,
    RecordFate,
)
from hubspot_assets.sandbox.server import Sandbox, run, serve

__all__ = [
    "Clock",
    "HistoryEntry",
    "Link",
    "Occurrence",
    "Portal",
    "PortalConfig",
    "PortalRecord",
    "RecordChange",
    "RecordFate",
    "Sandbox",
    "run",
    "serve",
]
