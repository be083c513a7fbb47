"""Answers of status 200 that are not what was asked for: one clear error, whatever reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from hubspot_assets.hubspot import associations, catalog, metadata, own_apis
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.email_events import email_events
from hubspot_assets.hubspot.errors import IncompleteAnswer, NotEnabled
from hubspot_assets.hubspot.events import discover_event_types, event_definitions, occurrences
from hubspot_assets.hubspot.lists import lists, members
from hubspot_assets.hubspot.paths import Paths
from hubspot_assets.hubspot.records import batch_read, read_records
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, error, ok

WINDOW = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)

READERS: dict[str, Callable[..., object]] = {
    "owners": metadata.owners,
    "user_teams": metadata.user_teams,
    "team_tree": metadata.team_tree,
    "pipelines": lambda client: metadata.pipelines(client, "0-3"),
    "properties": lambda client: metadata.properties(client, "0-3"),
    "records": lambda client: read_records(client, "0-3", ["dealname"]),
    "batch read": lambda client: batch_read(client, "0-3", ["7"], ["dealname"]),
    "labels": lambda client: associations.definitions(client, "0-1", "0-3"),
    "links": lambda client: associations.read_links(client, "0-1", "0-3", ["7"]),
    "lists": lambda client: lists(client, ["0-1"], ()).lists,
    "members": lambda client: members(client, "7"),
    "deal splits": lambda client: own_apis.deal_splits(client, ["7"]),
    "event types": lambda client: discover_event_types(client, 7),
    "event definitions": lambda client: event_definitions(client, properties=True),
    "occurrences": lambda client: occurrences(client, "e_visited_page", *WINDOW),
    "email events": lambda client: email_events(client, *WINDOW),
    "schemas": lambda client: list(catalog.changed_types(client, [])),
    **own_apis.READERS,
}


def read(
    reader: Callable[[HubSpot], object], *answers: httpx.Response, **options: object
) -> object:
    with client_of(Script(*answers), FakeTime(), **options) as client:
        found = reader(client)
        return list(found) if isinstance(found, Iterator) else found


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "body",
    [
        b"{}", b"[]", b"null", b'"text"', b"7", b'{"results": null}', b'{"results": {}}',
        b'{"results": [7], "events": [7], "eventTypes": [7], "lists": [7]}',
    ],
)  # fmt: skip
def test_a_body_of_another_shape_is_one_clear_error(reader: str, body: bytes) -> None:
    with pytest.raises(IncompleteAnswer, match=r"^(GET|POST) /\S+: HubSpot's answer"):
        read(READERS[reader], httpx.Response(200, content=body))


def test_a_search_of_another_shape_is_one_clear_error() -> None:
    searched = {"paths": Paths({"lists": "v3"})}
    for body in ({}, {"lists": None}, [], {"lists": [], "hasMore": True, "total": 7}):
        with pytest.raises(IncompleteAnswer, match="POST /crm/v3/lists/search: "):
            read(READERS["lists"], ok(body), **searched)


def test_more_events_without_a_place_to_go_on_from_are_an_error() -> None:
    with pytest.raises(IncompleteAnswer, match="no offset to ask for it by"):
        read(READERS["email events"], ok({"events": [], "hasMore": True}))


@pytest.mark.parametrize(
    "paging",
    [
        {}, {"paging": None}, {"paging": {}}, {"paging": {"next": None}}, {"paging": {"next": {}}},
        {"paging": {"next": {"after": None}}}, {"paging": {"next": {"after": ""}}},
    ],
)  # fmt: skip
def test_the_end_of_a_list_may_be_told_in_many_ways(paging: dict[str, object]) -> None:
    page = ok({"results": [], "paging": {"next": {"after": 7}}})
    for reader in ("records", "members", "lists", "occurrences", "team_tree"):
        script = Script(page, ok({"results": []} | paging))
        with client_of(script, FakeTime()) as client:
            assert isinstance(list(READERS[reader](client)), list)  # type: ignore[call-overload]
        first, second = script.requests[:2]
        assert b"7" in second.url.query + second.content
        assert first != second


@pytest.mark.parametrize("reader", ["records", "members", "lists", "occurrences", "team_tree"])
@pytest.mark.parametrize(
    "refusal",
    [
        error(403, category="MISSING_SCOPES"),
        error(403, message="it requires an Enterprise subscription"),
        error(400, message="Invalid object or event type id: 0-3"),
        error(400, message="Invalid cursor", category="VALIDATION_ERROR"),
    ],
)
def test_a_refusal_behind_a_page_is_no_answer(reader: str, refusal: httpx.Response) -> None:
    page = ok({"results": [], "paging": {"next": {"after": "7"}}})
    with pytest.raises(IncompleteAnswer, match="HubSpot has served a part of it before"):
        read(READERS[reader], page, refusal)


def test_archived_owners_are_not_refused_where_live_ones_are_told() -> None:
    scope = error(403, category="MISSING_SCOPES")
    with pytest.raises(IncompleteAnswer, match="HubSpot has served a part of it before"):
        read(metadata.owners, ok({"results": []}), scope)


def test_sensitive_properties_are_refused_for_their_own_sake_alone() -> None:
    """A portal without them says so; that it does not have the type is no such answer."""
    found = ok({"results": [{"name": "dealname"}]})
    told: list[Exception] = []

    def properties(client: HubSpot) -> object:
        return metadata.properties(client, "0-3", told.append)

    off = error(400, message="Sensitive data is not enabled", category="VALIDATION_ERROR")
    answers = [found, off, off, off, off, found, off, off, off, off]
    assert len(read(properties, *answers)) == 2  # type: ignore[arg-type]
    assert [type(each) for each in told] == [NotEnabled] * 4
    for refusal in (
        error(404, message="resource not found"),
        error(400, message="Unable to infer object type from: 0-3"),
    ):
        with pytest.raises(IncompleteAnswer, match="but it has properties"):
            read(properties, found, refusal)
