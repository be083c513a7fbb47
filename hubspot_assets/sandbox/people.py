"""Owners, users and teams."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from hubspot_assets.sandbox.facts import rows
from hubspot_assets.sandbox.stamps import iso, milliseconds, parse_iso


@dataclass(frozen=True, slots=True)
class Owner:
    """A person or a queue that owns records. `teams` are ids, the primary one first when
    `has_primary_team`."""

    owner_id: int
    type: str
    user_id: int | None
    email: str | None
    first_name: str | None
    last_name: str | None
    archived: bool
    primary_team: int | None
    other_teams: tuple[int, ...]
    super_admin: bool
    created_ms: int

    @property
    def teams(self) -> tuple[int, ...]:
        """All teams, the primary one first."""
        return (() if self.primary_team is None else (self.primary_team,)) + self.other_teams


@dataclass(frozen=True, slots=True)
class Team:
    """A team; `parent_team_id` is None at the top."""

    team_id: int
    name: str
    parent_team_id: int | None


@cache
def _owners() -> tuple[Owner, ...]:
    return tuple(
        Owner(
            owner_id=int(row["owner_id"]),
            type=row["type"],
            user_id=int(row["user_id"]) if row["user_id"] else None,
            email=row["email"] or None,
            first_name=row["first_name"] or None,
            last_name=row["last_name"] or None,
            archived=row["archived"] == "true",
            primary_team=int(row["primary_team"]) if row["primary_team"] else None,
            other_teams=tuple(map(int, row["other_teams"].split())),
            super_admin=row["super_admin"] == "true",
            created_ms=milliseconds(parse_iso(row["created_at"])),
        )
        for row in rows("owners.csv")
    )


@cache
def _teams() -> tuple[Team, ...]:
    return tuple(
        Team(
            int(row["team_id"]),
            row["name"],
            int(row["parent_team_id"]) if row["parent_team_id"] else None,
        )
        for row in rows("teams.csv")
    )


def all_owners() -> list[Owner]:
    """All owners, archived ones too, by id."""
    return sorted(_owners(), key=lambda each: each.owner_id)


def all_teams() -> list[Team]:
    """All teams, by id."""
    return sorted(_teams(), key=lambda each: each.team_id)


def owner_told(owner: Owner) -> dict[str, Any]:
    """An owner as the owners API tells it."""
    told: dict[str, Any] = {
        "id": str(owner.owner_id),
        "type": owner.type,
        "firstName": owner.first_name or "",
        "lastName": owner.last_name or "",
        "createdAt": iso(owner.created_ms),
        "updatedAt": iso(owner.created_ms + 86_400_123),
        "archived": owner.archived,
    }
    if owner.user_id is not None:
        told["userIdIncludingInactive"] = owner.user_id
        if not owner.archived:
            told["userId"] = owner.user_id
    if owner.email is not None:
        told["email"] = owner.email
    if owner.teams:
        names = {team.team_id: team.name for team in _teams()}
        told["teams"] = [
            {"id": str(team), "name": names[team], "primary": team == owner.primary_team}
            for team in owner.teams
        ]
    return told


def user_told(owner: Owner) -> dict[str, Any]:
    """An active person as the users API tells it."""
    told: dict[str, Any] = {
        "id": str(owner.user_id),
        "email": owner.email or f"user{owner.user_id}@example.com",
        "roleIds": [],
        "superAdmin": owner.super_admin,
        "seatNames": ["CORE"],
    }
    if owner.first_name:
        told["firstName"] = owner.first_name
    if owner.last_name:
        told["lastName"] = owner.last_name
    if owner.primary_team:
        told["primaryTeamId"] = str(owner.primary_team)
    if owner.other_teams:
        told["secondaryTeamIds"] = [str(team) for team in owner.other_teams]
    return told


def users() -> list[Owner]:
    """Active people, by user id."""
    return [each for each in all_owners() if each.user_id is not None and not each.archived]


def team_told(team: Team) -> dict[str, Any]:
    """A team with its people, as the flat teams API tells it."""
    return {
        "id": str(team.team_id),
        "name": team.name,
        "userIds": [str(u.user_id) for u in users() if u.primary_team == team.team_id],
        "secondaryUserIds": [str(u.user_id) for u in users() if team.team_id in u.other_teams],
    }


def team_node(team: Team) -> dict[str, Any]:
    """A team as the tree of teams tells it."""
    told: dict[str, Any] = {"id": str(team.team_id), "name": team.name}
    if team.parent_team_id is not None:
        told["parentTeamId"] = str(team.parent_team_id)
    return told


def team_members(team: Team) -> list[dict[str, str]]:
    """Members of a team: DEFAULT where it is the person's primary team, else EXTRA."""
    return [
        {"userId": str(u.user_id), "type": "DEFAULT" if u.primary_team == team.team_id else "EXTRA"}
        for u in users()
        if team.team_id in u.teams
    ]
