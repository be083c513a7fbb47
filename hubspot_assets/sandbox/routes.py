"""Which path leads where, in every version of the API that HubSpot serves."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hubspot_assets.sandbox import (
    associations,
    content_calls,
    events,
    legacy,
    list_calls,
    marketing_api,
    metadata,
    records,
    search,
    settings,
)
from hubspot_assets.sandbox.call import Answer, Call

_VERSION = re.compile(r"v[1-4]|\d{4}-\d{2}(-beta)?")
_CURRENT = frozenset({"v3", "2026-03", "2026-09"})
_TREE = _NEWEST = frozenset({"2026-09"})
_LINKS = frozenset({"v4", "2026-03", "2026-09"})
_NAMED_LINKS = frozenset({"v3"})
_LEGACY = frozenset({"v2"})
_V3 = frozenset({"v3"})
_DATED = _CURRENT - _V3
_BEFORE_2026_09 = frozenset({"v3", "2026-03"})
_FORMS = frozenset({"v3", "2026-09-beta"})
_FIRST = frozenset({"v1"})
_OAUTH = frozenset({"v1", "v3", "2026-03", "2026-09"})


@dataclass(frozen=True, slots=True)
class Route:
    """A path template without its version (`/crm/objects/{objectType}`), and what serves it.

    `budget` is what a request is counted against: general, search or associations.
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
_ONES_LINKS = f"{_OBJECTS}/{{objectId}}/associations/{{toObjectType}}"
_PAIR = "/crm/associations/{objectType}/{toObjectType}"
_PROPERTIES = "/crm/properties/{objectType}"
_OCCURRENCES, _DEFINITIONS = "/events/event-occurrences", "/events/event-definitions"
_PIPELINES = "/crm/pipelines/{objectType}"
_LIST = "/crm/lists/{listId}"
_MEMBER = "/crm/lists/records"
_THREADS = "/conversations/conversations/threads"

#: The first match wins, so fixed words stand before names.
ROUTES = (
    Route("GET", _OBJECTS, records.list_records),
    Route("POST", f"{_OBJECTS}/search", search.search, budget="search"),
    Route("POST", f"{_OBJECTS}/batch/read", records.batch_read),
    Route("GET", f"{_OBJECTS}/{{objectId}}", records.read_record),
    Route("GET", "/crm/properties/0-45", list_calls.properties_of_lists),
    Route("GET", _ONES_LINKS, associations.list_named_links, _NAMED_LINKS),
    Route("GET", _ONES_LINKS, associations.list_links, _LINKS, "associations"),
    Route("POST", f"{_PAIR}/batch/read", associations.batch_read, _LINKS, "associations"),
    Route("GET", f"{_PAIR}/labels", associations.list_labels, _LINKS, "associations"),
    Route("GET", f"{_PROPERTIES}/groups", metadata.list_groups),
    Route("GET", f"{_PROPERTIES}/groups/{{groupName}}", metadata.read_group),
    Route("POST", f"{_PROPERTIES}/batch/read", metadata.batch_read_properties),
    Route("GET", _PROPERTIES, metadata.list_properties),
    Route("GET", f"{_PROPERTIES}/{{propertyName}}", metadata.read_property),
    Route("GET", "/properties/forms?/properties", marketing_api.legacy_properties, _LEGACY),
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
    Route("GET", "/crm/lists", list_calls.read_lists),
    Route("POST", "/crm/lists/all", list_calls.all_lists, _NEWEST),
    Route("POST", "/crm/lists/search", list_calls.search_lists, _CURRENT - _NEWEST),
    Route("POST", "/crm/lists/search", list_calls.search_lists_strictly, _NEWEST),
    Route(
        "GET", f"{_MEMBER}/{{objectTypeId}}/{{recordId}}/memberships", list_calls.lists_of_record
    ),
    Route("POST", f"{_MEMBER}/memberships/batch/read", list_calls.batch_read_memberships),
    Route("GET", _LIST, list_calls.read_list),
    Route("GET", f"{_LIST}/memberships", list_calls.memberships),
    Route("GET", f"{_LIST}/memberships/join-order", list_calls.memberships_by_joining),
    Route("GET", "/cms/pages/landing-pages", content_calls.list_landing_pages),
    Route("GET", "/cms/pages/site-pages", content_calls.list_site_pages),
    Route("GET", "/cms/blogs/posts", content_calls.list_posts),
    Route("GET", "/files/files/search", content_calls.search_files),
    Route("GET", "/automation/sequences", content_calls.list_sequences, _DATED | {"v4"}),
    Route("GET", _THREADS, content_calls.list_threads, _NEWEST | _V3),
    Route("GET", f"{_THREADS}/{{threadId}}", content_calls.read_thread, _NEWEST | _V3),
    Route("GET", f"{_THREADS}/{{threadId}}/messages", content_calls.list_messages, _NEWEST | _V3),
    Route("POST", "/deal-splits/batch/read", content_calls.read_deal_splits, _DATED),
    Route("POST", "/crm/objects/deals/splits/batch/read", content_calls.read_deal_splits, _V3),
    Route("GET", "/crm/limits/associations/labels", associations.label_limits),
    Route("GET", "/crm/limits/records", metadata.record_limits),
    Route("GET", "/events/events", events.list_occurrences, _V3),
    Route("GET", "/events/events/event-types", events.list_types, _V3),
    Route("GET", _OCCURRENCES, events.list_occurrences),
    Route("GET", f"{_OCCURRENCES}/event-types", events.list_types),
    Route("GET", _DEFINITIONS, events.list_definitions, _BEFORE_2026_09),
    Route("GET", f"{_DEFINITIONS}/{{eventName}}", events.read_definition, _BEFORE_2026_09),
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
    Route("GET", "/crm-pipelines/pipelines/{objectType}", legacy.list_pipelines, _FIRST),
    Route("GET", "/engagements/engagements/paged", legacy.list_engagements, _FIRST),
    Route("GET", "/engagements/engagements/{engagementId}", legacy.read_engagement, _FIRST),
    Route("GET", "/account-info/details", metadata.account_details),
    Route("GET", "/account-info/api-usage/daily/private-apps", metadata.daily_usage),
)

#: Served by the application itself, which holds the tokens.
TOKEN_PATH, TOKEN_VERSIONS = "/oauth/token", _OAUTH
