"""Event types, definitions and occurrences, and marketing e-mail events."""

from datetime import UTC, datetime, timedelta

import pytest

from hubspot_assets.hubspot.email_events import email_event_types, email_events, email_fields
from hubspot_assets.hubspot.errors import IncompleteAnswer, NeedsEnterprise
from hubspot_assets.hubspot.events import (
    EventType,
    discover_event_types,
    event_definitions,
    occurrences,
    standard_event_properties,
    standard_event_types,
)
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, error, ok

START = datetime(2026, 11, 22, tzinfo=UTC)
END = START + timedelta(days=1)
EMAIL_EVENTS = set(email_event_types().values())


def page(*events, after=None, **more):
    paging = {"paging": {"next": {"after": after}}} if after else {}
    return ok({"results": list(events), **paging, **more})


def event(number, at):
    return {"id": f"e{number}", "eventType": "e_visited_page", "occurredAt": at}


def definition(name, type_id, **more):
    return {
        "fullyQualifiedName": name,
        "name": name.split("_", 1)[1],
        "objectTypeId": type_id,
        "labels": {"singular": "A thing", "plural": "Things"},
        "primaryObjectId": "0-1",
        **more,
    }


def milliseconds(moment):
    return round(moment.timestamp() * 1000)


@pytest.fixture
def read():
    """Reads with a client of a script, and gives the queries that were sent, too."""

    def run(reader, *answers):
        script = Script(*answers)
        with client_of(script, FakeTime()) as client:
            result = reader(client)
            result = result if isinstance(result, tuple) else list(result)
        return result, [dict(request.url.params) for request in script.requests]

    return run


def ids(pages):
    return [each["id"] for page in pages for each in page.events]


def test_standard_event_types_come_from_the_facts():
    types = {each.name: each for each in standard_event_types()}
    assert types["e_visited_page"].id == "4-96000"
    assert {name for name, each in types.items() if each.api == "email_events"} == EMAIL_EVENTS
    assert "hs_url" in {each["name"] for each in standard_event_properties()["e_visited_page"]}


def test_each_email_event_type_has_the_fields_that_are_its_own():
    names = {each.name for each in email_fields("CLICK")}
    assert {"hs_click_original_url", "hs_email_campaign_id", "hs_recipient"} <= names
    assert "hs_bounce_reason" not in names
    assert "hs_bounce_reason" in {each.name for each in email_fields("BOUNCE")}


def test_event_types_are_what_the_portal_reports_with_what_is_known_of_them(read):
    (types, warnings), queries = read(
        lambda client: discover_event_types(client, 17),
        ok({"eventTypes": ["e_visited_page", "pe17_paid", "e_never_heard_of", "ae5_app_event"]}),
        page(definition("pe17_paid", "6-9", description="They paid"), after="2"),
        page(definition("pe17_gone", "6-8")),
    )
    found = {each.name: each for each in types}
    assert found.keys() == EMAIL_EVENTS | {
        "e_visited_page", "pe17_paid", "e_never_heard_of", "ae5_app_event"
    }  # fmt: skip
    assert found["e_visited_page"].id == "4-96000"
    assert found["e_never_heard_of"] == EventType("e_never_heard_of")
    assert found["pe17_paid"] == EventType(
        "pe17_paid", "6-9", "Things", "0-1", custom=True, description="They paid"
    )
    assert not warnings
    assert [each.get("includeProperties") for each in queries] == [None, "false", "false"]
    assert queries[2]["after"] == "2"


def test_a_portal_without_the_events_api_has_the_events_that_are_known(read):
    (types, warnings), _ = read(
        lambda client: discover_event_types(client, 17), error(403, message="No Enterprise")
    )
    assert types == standard_event_types()
    assert len(warnings) == 1
    assert "No Enterprise" in warnings[0]


def test_custom_events_without_definitions_are_kept_without_ids(read):
    (types, warnings), _ = read(
        lambda client: discover_event_types(client, 17),
        ok({"eventTypes": ["pe17_paid"]}),
        error(403, category="MISSING_SCOPES"),
    )
    assert EventType("pe17_paid", custom=True) in types
    assert len(warnings) == 1


def test_definitions_come_with_their_properties(read):
    items, queries = read(
        lambda client: event_definitions(client, properties=True),
        page(definition("pe17_paid", "6-9", properties=[{"name": "amount", "type": "number"}])),
    )
    assert [each.content["properties"][0]["name"] for each in items] == ["amount"]
    assert queries[0]["includeProperties"] == "true"


def test_occurrences_of_a_window_are_all_those_within_it(read):
    """HubSpot may take its bounds in or leave them out: both give the same events."""
    before, first = START - timedelta(milliseconds=1), START
    last, after = END - timedelta(milliseconds=1), END
    moments = [each.isoformat().replace("+00:00", "Z") for each in (last, before, first, after)]
    pages, queries = read(
        lambda client: occurrences(client, "e_visited_page", START, END),
        page(event(1, moments[0]), event(2, moments[1]), after="a"),
        page(event(3, moments[2]), event(4, moments[3]), after="b"),
        page(),
    )
    assert ids(pages) == ["e1", "e3"]
    assert [each.after for each in pages] == ["a", "b", None]
    assert queries[0] == {
        "eventType": "e_visited_page",
        "occurredAfter": "2026-11-21T23:59:59.999Z",
        "occurredBefore": "2026-11-23T00:00:00.001Z",
        "limit": "100",
    }
    assert [each.get("after") for each in queries] == [None, "a", "b"]


def test_occurrences_go_on_from_a_cursor(read):
    _, queries = read(
        lambda client: occurrences(client, "e_visited_page", START, END, after="x"), page()
    )
    assert queries[0]["after"] == "x"


@pytest.mark.parametrize("cursors", [["a", "a"], ["a", "b", "a"]])
def test_pages_that_run_in_a_circle_are_no_answer(read, cursors):
    with pytest.raises(IncompleteAnswer):
        read(
            lambda client: occurrences(client, "e_visited_page", START, END),
            *(page(after=each) for each in cursors),
        )


def test_email_events_of_all_types_come_in_one_sweep(read):
    def answer(*created, offset="", more=False):
        events = [{"id": str(each), "type": "OPEN", "created": each} for each in created]
        return ok({"events": events, "hasMore": more, "offset": offset})

    first, end = milliseconds(START), milliseconds(END)
    pages, queries = read(
        lambda client: email_events(client, START, END),
        answer(end - 1, end, offset="q", more=True),
        answer(first, first - 1, offset="r"),
    )
    assert ids(pages) == [str(end - 1), str(first)]
    assert queries == [
        {"limit": "1000", "startTimestamp": str(first), "endTimestamp": str(end - 1)},
        {
            "limit": "1000",
            "startTimestamp": str(first),
            "endTimestamp": str(end - 1),
            "offset": "q",
        },
    ]


def test_email_events_that_run_in_a_circle_are_no_answer(read):
    with pytest.raises(IncompleteAnswer):
        read(
            lambda client: email_events(client, START, END),
            ok({"events": [], "hasMore": True, "offset": "q"}),
        )


def test_a_refusal_is_raised(read):
    refused = error(403, message="it requires an Enterprise subscription")
    with pytest.raises(NeedsEnterprise):
        read(lambda client: occurrences(client, "e_visited_page", START, END), refused)
