"""Every record of a type with all it holds, against what the sandbox portal says there is."""

from collections import Counter
from dataclasses import astuple
from datetime import datetime
from itertools import pairwise

import httpx
import pytest

from hubspot_assets.hubspot import ranges, records
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import IncompleteAnswer, UriTooLong
from hubspot_assets.hubspot.records import read_records
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import READ_AT
from hubspot_assets_tests.hubspot.fakes import Script, error, ok

CONTACTS = "0-1"
LIST = "GET /crm/objects/{objectType}"
BATCH = "POST /crm/objects/{objectType}/batch/read"
SEARCH = "POST /crm/objects/{objectType}/search"  # where a long list may be parted
#: The sandbox answers 414 to anything longer: half of what HubSpot's edge lets pass.
LONGEST_URI = 6_000
FEW, ALL = 120, None


def portal(contact_properties, records=130, *, ids_last=False):
    config = PortalConfig(
        records=records,
        now=READ_AT,
        burst=1_000_000,
        uri_limit=LONGEST_URI,
        contact_properties=contact_properties,
        primary_ids_last=ids_last,
        merged_ids_lead_on=not ids_last,
    )
    return serve(config)


@pytest.fixture(scope="module", params=[FEW, ALL], ids=["one list pass", "ids, then batches"])
def still(request):
    """A portal in which nothing happens, whose names fit a URL or don't."""
    with portal(request.param) as served:
        yield served


@pytest.fixture(params=[FEW, ALL], ids=["one list pass", "ids, then batches"])
def restless(request):
    """A portal of the test's own, to make things happen in."""
    with portal(request.param) as served:
        yield served


@pytest.fixture
def batched():
    """A portal of the test's own whose names don't fit a URL; who is merged away is missing."""
    with portal(ALL, ids_last=True) as served:
        yield served


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """Of a portal that is half as large there are as many pages, and all is read in ranges."""
    for name in ("PAGE_WITH_HISTORY", "BATCH", "PAGE_OF_IDS"):
        monkeypatch.setattr(records, name, getattr(records, name) // 2)
    monkeypatch.setattr(ranges, "ALONE", 1)
    monkeypatch.setattr(ranges, "PAGES", 2)


def client(sandbox):
    return HubSpot(BearerToken(sandbox.token), sandbox.url, sleep=lambda _: None)


def names(sandbox, object_type_id=CONTACTS):
    kind = sandbox.portal.find_type(object_type_id)
    return sorted(sandbox.portal.readable_properties(kind))


def pages(sandbox, object_type_id=CONTACTS, **options):
    with client(sandbox) as hubspot:
        asked = names(sandbox, object_type_id)
        return list(read_records(hubspot, object_type_id, asked, workers=3, **options))


def ids(some):
    return [int(record["id"]) for page in some for record in page.records]


def live(sandbox, object_type_id=CONTACTS):
    return list(sandbox.portal.live_ids(object_type_id, READ_AT))


def answers(sandbox):
    found = Counter()
    for (request, _), number in sandbox.requests.items():
        found[request] += number
    return found


@pytest.mark.parametrize(
    ("size", "plan"), [(5_000, {LIST}), (5_001, {LIST, BATCH})], ids=["5000", "5001"]
)
def test_names_of_5000_bytes_go_into_the_url_and_longer_ones_into_bodies(batched, size, plan):
    known = names(batched)
    asked = []
    while known and len(",".join([*asked, known[0]])) <= size - 50:
        asked.append(known.pop(0))
    asked.append("x" * (size - len(",".join(asked)) - 1))
    assert len(",".join(asked)) == size
    with client(batched) as hubspot:
        found = list(read_records(hubspot, CONTACTS, asked))
    assert ids(found) == live(batched)
    assert answers(batched).keys() - {SEARCH} == plan


def values_of(record):
    return {name: value for name, value in record["properties"].items() if value}


def histories_of(record):
    return {
        name: [
            (
                each["value"] or "",
                datetime.fromisoformat(each["timestamp"]),
                each["sourceType"],
                each.get("sourceId"),
                each.get("sourceLabel"),
                each.get("updatedByUserId"),
            )
            for each in history
        ]
        for name, history in record["propertiesWithHistory"].items()
        if history
    }


def assert_whole(sandbox, object_type_id, found):
    """Every live record is there once, with the values and histories that the portal planned."""
    assert sorted(ids(found)) == live(sandbox, object_type_id)
    readable = names(sandbox, object_type_id)
    for each in (each for page in found for each in page.records):
        planned = sandbox.portal.record(object_type_id, int(each["id"]), READ_AT)
        assert values_of(each) == {
            name: value for name, value in planned.properties.items() if value and name in readable
        }
        assert histories_of(each) == {
            name: [astuple(entry) for entry in history]
            for name, history in planned.histories.items()
            if history and name in readable
        }


def test_every_live_record_comes_once_with_all_its_values_and_histories(still):
    assert len(live(still)) > 100
    assert_whole(still, CONTACTS, pages(still))


@pytest.mark.parametrize("more", [[], ["x" * 5_000]], ids=["one list pass", "ids, then batches"])
def test_records_of_a_custom_type_come_once_with_all_their_values_and_histories(batched, more):
    cars = "2-4410002"
    assert len(live(batched, cars)) > 5
    with client(batched) as hubspot:
        found = list(read_records(hubspot, cars, names(batched, cars) + more))
    assert_whole(batched, cars, found)
    assert (BATCH in answers(batched)) == bool(more)


def test_every_type_of_a_portal_is_read_with_all_its_names_in_uris_of_6000_bytes(batched):
    kinds = [each for each in batched.portal.object_types() if batched.portal.is_enabled(each)]
    fitting = 0
    for object_type_id in (each.object_type_id for each in kinds):
        batched.requests.clear()
        found = pages(batched, object_type_id)
        assert ids(found) == live(batched, object_type_id)
        assert {status for _, status in batched.requests} == {200}
        fits = len(",".join(names(batched, object_type_id)).encode()) <= 5_000
        if live(batched, object_type_id):
            assert (BATCH in answers(batched)) != fits, object_type_id
        fitting += fits
    assert 0 < fitting < len(kinds)


def test_an_address_one_byte_too_long_is_refused_by_this_portal(batched):
    """What the tests above rely on."""
    with client(batched) as hubspot, pytest.raises(UriTooLong):
        hubspot.get("objects", params={"properties": "x" * LONGEST_URI}, object_type=CONTACTS)


def test_later_pages_hold_higher_ids(still):
    found = [ids([page]) for page in pages(still)]
    assert len(found) > 4
    for earlier, later in pairwise(found):
        assert max(earlier) < min(later)


def test_reading_can_go_on_behind_every_whole_page(still):
    found = pages(still)
    ends = [number for number, page in enumerate(found) if page.whole]
    assert len(ends) > 2
    assert ends[-1] == len(found) - 1
    assert [number for number in ends if found[number].after is None] == ends[-1:]
    for number in ends[:-1]:
        rest = pages(still, after=found[number].after)
        assert sorted(ids(found[: number + 1]) + ids(rest)) == live(still)


@pytest.mark.parametrize("asked", [["hs_object_id"], ["x" * 6_000]], ids=["list", "batches"])
def test_a_type_without_records_gives_one_empty_page(batched, asked):
    type_ids = [each.object_type_id for each in batched.portal.object_types()]
    empty = next(each for each in type_ids if not live(batched, each))
    with client(batched) as hubspot:
        (page,) = read_records(hubspot, empty, asked)
    assert (list(page.records), page.after, page.whole, page.missing) == ([], None, True, 0)


@pytest.mark.parametrize("fault", ["archive_first", "merge_first"])
def test_a_record_that_ends_between_two_pages_costs_no_other(restless, fault):
    before = live(restless)
    restless.faults.add(fault, path="^GET .*/0-1$", skip=1)
    found = pages(restless)
    assert not restless.faults.pending()
    after = live(restless)
    assert len(after) == len(before) - 1
    assert sorted(ids(found)) == after
    assert sum(page.missing for page in found) == 0


@pytest.mark.parametrize("fault", ["archive_first", "merge_first"])
def test_a_record_that_ends_between_list_and_batch_is_counted_as_gone(batched, fault):
    before = live(batched)
    batched.faults.add(fault, path="/batch/read$", skip=2)
    found = pages(batched)
    assert not batched.faults.pending()
    after = live(batched)
    assert len(after) == len(before) - 1
    assert sorted(ids(found)) == after
    assert sum(page.missing for page in found) == 1
    assert batched.requests[BATCH, 207] == 1


def test_records_that_a_batch_loses_without_a_word_are_asked_for_again(batched):
    undisturbed = len(pages(batched))
    assert answers(batched)[BATCH] == undisturbed
    batched.requests.clear()
    batched.faults.add("lost_id", path="/batch/read$", skip=1)
    assert sorted(ids(pages(batched))) == live(batched)
    assert answers(batched)[BATCH] == undisturbed + 1


def test_a_record_that_is_lost_twice_stops_the_reading(batched):
    batched.faults.add("lost_id", path="/batch/read$", times=1000)
    with pytest.raises(IncompleteAnswer) as stopped:
        pages(batched)
    assert "batch read of 0-1: a record was neither returned" in str(stopped.value)
    for record_id in live(batched):
        assert str(record_id) not in str(stopped.value)


def scripted(*bodies):
    script = Script(*(ok(body) for body in bodies))
    transport = httpx.MockTransport(script)
    return HubSpot(BearerToken("a-token"), transport=transport, sleep=lambda _: None), script


@pytest.mark.parametrize("asked", [["email"], ["x" * 6_000]], ids=["list", "batches"])
def test_a_page_that_names_itself_as_the_next_stops_the_reading(asked):
    hubspot, script = scripted({"results": [], "paging": {"next": {"after": "77"}}})
    with pytest.raises(IncompleteAnswer, match="a page names itself"):
        list(read_records(hubspot, CONTACTS, asked))
    assert sum(each.method == "GET" for each in script.requests) == 2


def test_pages_that_name_each_other_as_the_next_stop_the_reading():
    def answer(request):
        following = {"7": "8", "8": "7"}.get(request.url.params.get("after"), "7")
        return httpx.Response(200, json={"results": [], "paging": {"next": {"after": following}}})

    script = Script(answer)
    hubspot = HubSpot(BearerToken("a-token"), transport=httpx.MockTransport(script))
    with pytest.raises(IncompleteAnswer, match="names itself"):
        list(read_records(hubspot, CONTACTS, ["email"]))
    assert len(script.requests) == 3


def test_records_that_spoil_their_pages_cost_themselves_alone(monkeypatch):
    """Only of their pages are ids asked for, wherever in the list they are."""
    with portal(FEW) as sandbox:
        there = live(sandbox)
        bad = {there[0], there[1], there[60], there[-1]}
        told = [f'"id":"{each}"'.encode() for each in bad]
        send = httpx.HTTPTransport.handle_request

        def handle(transport, request):
            answer = send(transport, request)
            content = answer.read()
            if b"propertiesWithHistory" in content and any(each in content for each in told):
                return error(400, message="a value is not valid", category="VALIDATION_ERROR")
            return httpx.Response(answer.status_code, headers=answer.headers, content=content)

        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
        found = pages(sandbox)
        assert ids(found) == [each for each in there if each not in bad]
        assert {int(each) for page in found for each in page.refused} == bad
        assert len(found) == -(-len(there) // records.PAGE_WITH_HISTORY)
        assert [page.after for page in found].count(None) == 1
