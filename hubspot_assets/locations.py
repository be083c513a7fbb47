"""A code location per portal of PORTALS_FILE: the attribute `portal_<name>`.

Dagster hands the name of the attribute to the processes of a location's runs, wherever they are.
"""

import dagster as dg

from hubspot_assets.definitions import PortalDefinitions
from hubspot_assets.portals_file import LOCATION


def __getattr__(attribute: str) -> object:
    if not attribute.startswith(LOCATION):
        raise AttributeError(f"module {__name__} has no attribute {attribute}")
    return dg.definitions(PortalDefinitions(attribute.removeprefix(LOCATION)).load)
