"""Which path leads where, in every version of the API that HubSpot serves."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hubspot_assets.sandbox import marketing_api, metadata, records, search, settings
from hubspot_assets.sandbox.call import Answer, Call

_VERSION = re.compile(r"v[1-4]|\d{4}-\d{2}(-beta)?")
_CURRENT = frozenset({"v3", "2026-03", "2026-09"})
_TREE = frozenset({"2026-09"})
_LEGACY = frozenset({"v2"})
_FORMS = frozenset({"v3", "2026-09-beta"})
_FIRST = frozenset({"v1"})
_OAUTH = frozenset({"v1", "v3", "2026-03", "2026-09"})


@dataclass(frozen=True, slots=True)
class Route:
    """A path template without its version (`/crm/objects/{objectType}`), and what serves it.

    `budget` is what a request is counted against: general or search.
    """

    method: str
    template: str
    handler: Callable[[Call], Answer]
    versions: frozenset[str] = _CURRENT
    budget: str = "general"
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template)
        object.__setattr__(self, "pattern", re.compile(pattern))


def split_version(path: str) -> tuple[str, str]:
    """A path without its version, and the version, wherever in the path it stands.

    `/crm/v3/objects/0-1`, `/crm/objects/2026-09/0-1` and `/crm/2026-09/objects/0-1` all give
    `/crm/objects/0-1`.
    """
    parts = path.rstrip("/").split("/")
    for position in (2, 3):
        if len(parts) > position and _VERSION.fullmatch(parts[position]):
            return "/".join(parts[:position] + parts[position + 1 :]), parts[position]
    return "/".join(parts), ""


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route of a path, and the parts of it that the route names."""
    bare, version = split_version(path)
    for route in ROUTES:
        if route.method == method and version in route.versions:
            found = route.pattern.fullmatch(bare)
            if found:
                return route, found.groupdict()
    return None


_OBJECTS = "/crm/objects/{objectType}"
_PROPERTIES = "/crm/properties/{objectType}"
_PIPELINES = "/crm/pipelines/{objectType}"

#: The first match wins, so fixed words stand before names.
ROUTES = (
    Route("GET", _OBJECTS, records.list_records),
    Route("POST", f"{_OBJECTS}/search", search.search, budget="search"),
    Route("POST", f"{_OBJECTS}/batch/read", records.batch_read),
    Route("GET", f"{_OBJECTS}/{{objectId}}", records.read_record),
    Route("GET", f"{_PROPERTIES}/groups", metadata.list_groups),
    Route("GET", f"{_PROPERTIES}/groups/{{groupName}}", metadata.read_group),
    Route("POST", f"{_PROPERTIES}/batch/read", metadata.batch_read_properties),
    Route("GET", _PROPERTIES, metadata.list_properties),
    Route("GET", f"{_PROPERTIES}/{{propertyName}}", metadata.read_property),
    Route("GET", "/properties/{objectType}/properties", metadata.legacy_properties, _LEGACY),
    Route("GET", "/crm-object-schemas/schemas", metadata.list_schemas),
    Route("GET", "/crm-object-schemas/schemas/{objectType}", metadata.read_schema),
    Route("GET", "/crm/schemas", metadata.list_schemas),
    Route("GET", "/crm/schemas/{objectType}", metadata.read_schema),
    Route("GET", _PIPELINES, metadata.list_pipelines),
    Route("GET", f"{_PIPELINES}/{{pipelineId}}", metadata.read_pipeline),
    Route("GET", f"{_PIPELINES}/{{pipelineId}}/stages", metadata.list_stages),
    Route("GET", f"{_PIPELINES}/{{pipelineId}}/stages/{{stageId}}", metadata.read_stage),
    Route("GET", "/crm/owners", settings.list_owners),
    Route("GET", "/crm/owners/{ownerId}", settings.read_owner),
    Route("GET", "/settings/users", settings.list_users),
    Route("GET", "/settings/users/teams", settings.list_user_teams),
    Route("GET", "/settings/users/{userId}", settings.read_user),
    Route("GET", "/settings/teams", settings.list_teams, _TREE),
    Route("GET", "/settings/teams/{teamId}", settings.read_team, _TREE),
    Route("GET", "/settings/teams/{teamId}/members", settings.list_members, _TREE),
    Route("GET", "/crm/object-library/enablement", metadata.enablement),
    Route("GET", "/crm/object-library/enablement/{objectTypeId}", metadata.enablement_of),
    Route("GET", "/marketing/forms", marketing_api.list_forms, _FORMS),
    Route(
        "GET",
        "/form-integrations/submissions/forms/{formId}",
        marketing_api.list_submissions,
        _FIRST,
    ),
    Route("GET", "/marketing/emails", marketing_api.list_emails),
    Route("GET", "/marketing/campaigns", marketing_api.list_campaigns),
    Route("GET", "/email/public/events", marketing_api.list_email_events, _FIRST),
    Route("GET", "/account-info/details", metadata.account_details),
    Route("GET", "/account-info/api-usage/daily/private-apps", metadata.daily_usage),
)

#: Served by the application itself, which holds the tokens.
TOKEN_PATH, TOKEN_VERSIONS = "/oauth/token", _OAUTH
