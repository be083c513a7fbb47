"""The scopes a token can be granted."""

from hubspot_assets.sandbox.facts import ObjectType, generic_types, object_types

OWNERS = ("crm.objects.owners.read",)
USERS = ("settings.users.read", "crm.objects.users.read")
TEAMS = ("settings.users.teams.read",)
LISTS = ("crm.lists.read",)
LANDING_PAGES = ("content", "content.landing_pages.read")
SITE_PAGES = ("content", "content.site_pages.read")
BLOG_POSTS = ("content",)
FILES = ("files", "files.read")
SEQUENCES = ("automation.sequences.read",)
CONVERSATIONS = ("conversations.read",)
DEAL_SPLITS = ("crm.dealsplits.read_write",)
EVENT_DEFINITIONS = ("behavioral_events.event_definitions.read_write",)
SCHEMAS = ("crm.schemas.custom.read", "crm.objects.custom.read")
FORMS = ("forms",)
MARKETING_EMAILS = ("marketing.email.read", "content")
CAMPAIGNS = ("marketing.campaigns.read",)
EMAIL_EVENTS = ("content",)


def records_scopes(kind: ObjectType) -> tuple[str, ...]:
    """Scopes of which one is needed to read a type's records."""
    return (kind.read_scope,)


def schema_scopes(kind: ObjectType) -> tuple[str, ...]:
    """Scopes of which one is needed to read a type's properties and pipelines."""
    return (kind.schema_scope, kind.read_scope)


def sensitive_scope(kind: ObjectType, level: str) -> str:
    """The scope needed to read values of a type's (highly) sensitive properties."""
    name = "custom" if kind.custom else kind.plural_name
    return f"crm.objects.{name}.{level}.read.v2"


def _every() -> frozenset[str]:
    found = {"oauth", *OWNERS, *USERS, *TEAMS}
    found |= {*LISTS, *LANDING_PAGES, *SITE_PAGES, *BLOG_POSTS, *FILES, *SEQUENCES}
    found |= {*CONVERSATIONS, *DEAL_SPLITS}
    found |= {*EVENT_DEFINITIONS}
    found |= {*FORMS, *MARKETING_EMAILS, *CAMPAIGNS, *EMAIL_EVENTS}
    for kind in (object_types(0) | generic_types()).values():
        found |= {kind.read_scope, kind.schema_scope}
        found |= {sensitive_scope(kind, level) for level in ("sensitive", "highly_sensitive")}
    return frozenset(found)


EVERY_SCOPE = _every()
