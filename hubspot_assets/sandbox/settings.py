"""Owners, users and teams over HTTP."""

from hubspot_assets.sandbox.call import Answer, Call, told
from hubspot_assets.sandbox.errors import invalid, not_found
from hubspot_assets.sandbox.people import (
    Team,
    owner_told,
    team_members,
    team_node,
    team_told,
    user_told,
    users,
)
from hubspot_assets.sandbox.scopes import OWNERS, TEAMS, USERS


def list_owners(call: Call) -> Answer:
    """`GET /crm/owners`: active or archived owners by id; `after` is an id."""
    call.need(OWNERS)
    limit, archived = call.limit(100, 500), call.flag("archived")
    email = call.one("email").lower()
    found = [
        owner
        for owner in call.portal.owners()
        if owner.archived == archived
        and owner.owner_id >= call.after()
        and (not email or (owner.email or "").lower() == email)
    ]
    after = found[limit].owner_id if len(found) > limit else None
    return call.paged([owner_told(owner) for owner in found[:limit]], after)


def read_owner(call: Call) -> Answer:
    """`GET /crm/owners/{ownerId}`; with `idProperty=userId`, by user."""
    call.need(OWNERS)
    by_user = call.one("idProperty", "id")
    if by_user not in ("id", "userId"):
        raise invalid(f"Invalid value for idProperty: {by_user}")
    for owner in call.portal.owners():
        key = owner.user_id if by_user == "userId" else owner.owner_id
        if str(key) == call.params["ownerId"] and owner.archived == call.flag("archived"):
            return told(owner_told(owner))
    raise not_found()


def list_users(call: Call) -> Answer:
    """`GET /settings/users`: active people by user id."""
    call.need(USERS)
    limit, start = call.limit(100, 100), call.after()
    found = sorted(
        (user for user in users() if (user.user_id or 0) >= start), key=lambda u: u.user_id or 0
    )
    after = found[limit].user_id if len(found) > limit else None
    return call.paged([user_told(user) for user in found[:limit]], after)


def read_user(call: Call) -> Answer:
    """`GET /settings/users/{userId}`; with `idProperty=EMAIL`, by e-mail."""
    call.need(USERS)
    for user in users():
        key = user_told(user)["email"] if call.one("idProperty") == "EMAIL" else str(user.user_id)
        if key == call.params["userId"]:
            return told(user_told(user))
    raise not_found()


def list_user_teams(call: Call) -> Answer:
    """`GET /settings/users/teams`: flat and unpaged, with people."""
    call.need(TEAMS)
    return told({"results": [team_told(team) for team in call.portal.teams()]})


def list_teams(call: Call) -> Answer:
    """`GET /settings/teams`: teams with their parents."""
    call.need(TEAMS)
    limit, start = call.limit(100, 100), call.after()
    found = [team for team in call.portal.teams() if team.team_id >= start]
    after = found[limit].team_id if len(found) > limit else None
    return call.paged([team_node(team) for team in found[:limit]], after)


def read_team(call: Call) -> Answer:
    """`GET /settings/teams/{teamId}`."""
    call.need(TEAMS)
    return told(team_node(_team(call)))


def list_members(call: Call) -> Answer:
    """`GET /settings/teams/{teamId}/members`; `after` is a user id."""
    call.need(TEAMS)
    limit, start = call.limit(100, 100), call.after()
    found = [m for m in team_members(_team(call)) if int(m["userId"]) >= start]
    after = found[limit]["userId"] if len(found) > limit else None
    return call.paged(found[:limit], after)


def _team(call: Call) -> Team:
    for team in call.portal.teams():
        if str(team.team_id) == call.params["teamId"]:
            return team
    raise not_found()
