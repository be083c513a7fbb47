"""The APIs of types outside the CRM objects API, from the sandbox and from small fakes."""

from datetime import UTC, datetime, timedelta
from threading import Barrier

import httpx
import orjson
import pytest

from hubspot_assets.hubspot import own_apis
from hubspot_assets.hubspot.auth import BearerToken
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import (
    BadRequest,
    IncompleteAnswer,
    MissingScope,
    NotEnabled,
    NotFound,
    Unexplained,
    UnknownObjectType,
)
from hubspot_assets.hubspot.metadata import ignore
from hubspot_assets.hubspot.own_apis import (
    CAMPAIGN_PROPERTIES,
    READERS,
    campaigns,
    deal_ids,
    deal_splits,
    files,
    form_submissions,
    forms,
    probe,
    sequences,
)
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets_tests.conftest import READ_AT
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, error, ok

SCOPES = {
    "blog_posts": "content",
    "campaigns": "marketing.campaigns.read",
    "conversations": "conversations.read",
    "files": "files.read",
    "form_submissions": "forms",
    "forms": "forms",
    "landing_pages": "content",
    "marketing_emails": "marketing.email.read",
    "sequences": "automation.sequences.read",
    "site_pages": "content",
}
#: All that the token may read where a scope is missing.
USERS = frozenset({"settings.users.read"})
GONE = error(404, message="resource not found")
NOT_ALLOWED = error(
    400,
    message="Submissions of blog_comment forms cannot be read",
    errors=[{"errorType": "FORM_TYPE_NOT_ALLOWED"}],
)


def own_types():
    return [each for each in standard_catalog().object_types if each.api not in ("crm", "none")]


@pytest.fixture
def read(shared_sandbox):
    """All that a reader gives of the shared portal."""

    def run(reader, *arguments):
        with HubSpot(BearerToken(shared_sandbox.token), shared_sandbox.url) as client:
            return [each.content for each in reader(client, *arguments)]

    return run


def fake(handler, reader, *arguments):
    """All that a reader gives of a small portal."""
    with client_of(handler, FakeTime(), max_attempts=1) as client:
        return [each.content for each in reader(client, *arguments)]


class Small:
    """A portal of a few parents (forms, users), each with its own answer to what is asked of it.

    An answer is a list of results, or a response. `archived` are the archived forms.
    """

    def __init__(self, answers, archived=()):
        self.answers = answers
        self.archived = archived

    def __call__(self, request):
        parent = request.url.params.get("userId") or request.url.path.rsplit("/", 1)[1]
        if parent in self.answers:
            found = self.answers[parent]
            return found if isinstance(found, httpx.Response) else ok({"results": found})
        archived = request.url.params.get("archived") == "true"
        ids = [each for each in self.answers if (each in self.archived) == archived]
        return ok({"results": [{"id": each} for each in ids]})


def submission(number):
    return {"submittedAt": number, "values": []}


# Forms and their submissions


def test_forms_are_of_every_kind(read, shared_sandbox):
    planned = shared_sandbox.portal.forms()
    live = [each.told for each in planned if not each.archived]
    archived = [each.told for each in planned if each.archived]
    assert len({each["formType"] for each in live}) == 4
    assert read(forms) == live
    assert read(lambda client: forms(client, archived=True)) == archived != []


def test_submissions_of_all_forms_are_read_with_their_forms(read, shared_sandbox):
    portal = shared_sandbox.portal
    planned = [
        each.told() | {"formId": form.asset_id, "id": each.conversion_id}
        for form in portal.forms()
        if form.told["formType"] != "blog_comment"
        for each in portal.submissions(
            form.asset_id, datetime(2020, 1, 1, tzinfo=UTC), READ_AT + timedelta(milliseconds=1)
        )
    ]
    found = read(form_submissions)
    assert len(found) == portal.marketing.submission_count(portal.clock.now()) > 50
    assert sorted(found, key=orjson.dumps) == sorted(planned, key=orjson.dumps)


@pytest.mark.parametrize("answer", [[], GONE, NOT_ALLOWED], ids=["none", "gone", "not allowed"])
def test_a_form_without_submissions_takes_none_of_the_others(answer):
    portal = Small({"a": [submission(1)], "b": answer, "c": [submission(3)]})
    assert [each["formId"] for each in fake(portal, form_submissions)] == ["a", "c"]
    portal = Small({"b": answer, "c": [submission(3)]})
    assert [each["formId"] for each in fake(portal, form_submissions)] == ["c"]


def test_an_archived_form_may_have_submissions():
    portal = Small({"a": [submission(1)], "b": [submission(2)]}, archived=["a"])
    assert [each["formId"] for each in fake(portal, form_submissions)] == ["b", "a"]


def test_a_form_that_is_archived_while_it_is_listed_has_its_submissions_once():
    portal = Script(
        ok({"results": [{"id": "a"}]}),
        ok({"results": [submission(1), submission(1)]}),
        ok({"results": [{"id": "a"}, {"id": "b"}]}),
        ok({"results": [submission(2)]}),
    )
    found = fake(portal, form_submissions)
    assert [(each["formId"], each["submittedAt"]) for each in found] == [
        ("a", 1), ("a", 1), ("b", 2),
    ]  # fmt: skip


def test_forms_are_begun_at_once_but_not_by_who_wants_one_submission():
    asked, some_at_once = [], Barrier(3, timeout=20)
    portal = Small({str(each): [submission(each)] for each in range(7)})

    def answer(request):
        if "submissions" in request.url.path:
            asked.append(request)
            if len(asked) > 1:
                some_at_once.wait()
        return portal(request)

    with client_of(answer, FakeTime()) as client:
        found = form_submissions(client)
        assert next(found).content["formId"] == "0"
        assert len(asked) == 1
        assert [each.content["formId"] for each in found] == ["1", "2", "3", "4", "5", "6"]


def test_submissions_without_an_id_have_the_same_ones_in_any_order():
    told = [submission(1), submission(1), submission(1) | {"pageUrl": "/x"}, submission(2)]
    either, other = (
        [each["id"] for each in fake(Small({"a": listed}), form_submissions)]
        for listed in (told, told[::-1])
    )
    assert sorted(either) == sorted(other)
    assert len(set(either)) == 4
    assert sorted(each.rsplit(":", 1)[1] for each in either) == ["0", "0", "0", "1"]


@pytest.mark.parametrize(
    ("api", "told"),
    [("files", {}), ("forms", {"id": None}), ("users", {"id": ""})],
    ids=str,
)
def test_what_others_are_asked_by_has_an_id(api, told):
    reader = {"files": files, "forms": form_submissions, "users": sequences}[api]
    with pytest.raises(IncompleteAnswer, match=f"{api}.* without its id"):
        fake(Script(ok({"results": [told]})), reader)


def test_a_form_that_is_deleted_while_it_is_read_keeps_what_was_read():
    first = ok({"results": [submission(1)], "paging": {"next": {"after": "x"}}})
    rest = ok({"results": [submission(2)]})
    portal = Script(ok({"results": [{"id": "a"}, {"id": "b"}]}), first, GONE, GONE, rest, ok())
    found = fake(portal, form_submissions)
    assert [(each["formId"], each["submittedAt"]) for each in found] == [("a", 1), ("b", 2)]


def test_a_page_that_is_refused_in_the_middle_is_no_end():
    first = ok({"results": [submission(1)], "paging": {"next": {"after": "x"}}})
    forms = ok({"results": [{"id": "a"}, {"id": "b"}]})
    for refusal, kind in ((NOT_ALLOWED, IncompleteAnswer), (error(400), Unexplained)):
        with pytest.raises(kind):
            fake(Script(forms, first, refusal, refusal, ok()), form_submissions)


def test_forms_without_submissions_are_told_and_anything_else_is_an_error():
    told = []
    portal = Small({"a": NOT_ALLOWED, "b": [submission(2)], "c": GONE})
    assert [each["formId"] for each in fake(portal, form_submissions, told.append)] == ["b"]
    assert [type(each) for each in told] == [NotEnabled, NotFound]
    for answer in (error(400, message="no"), error(400), error(408), error(404)):
        with pytest.raises((BadRequest, Unexplained)):
            fake(Small({"a": [submission(1)], "b": answer}), form_submissions)


def test_portals_whose_submissions_are_all_refused_are_not_portals_without_any():
    with pytest.raises(NotFound):
        fake(Small({"a": GONE, "b": GONE}), form_submissions)
    assert fake(Small({}), form_submissions) == []
    assert fake(Small({"a": GONE, "b": []}), form_submissions) == []
    assert fake(Small({"a": NOT_ALLOWED}), form_submissions) == []


# Campaigns


def test_campaigns_have_their_properties_beside_their_fields(read, shared_sandbox):
    planned = shared_sandbox.portal.campaigns()
    found = {each["id"]: each for each in read(campaigns)}
    assert found.keys() == {each.asset_id for each in planned}
    for each in planned:
        told = found[each.asset_id]
        assert "properties" not in told
        assert told["createdAt"] == each.told["createdAt"]
        for name in CAMPAIGN_PROPERTIES.split(","):
            assert told[name] == each.told["properties"][name]


# Files


def test_more_files_than_a_cursor_reaches_are_all_read():
    config = PortalConfig(records=1, files=12_000, now=READ_AT, burst=100_000)
    with serve(config) as sandbox, HubSpot(BearerToken(sandbox.token), sandbox.url) as client:
        found = [int(each.content["id"]) for each in files(client)]
        planned = [int(each["id"]) for each in sandbox.portal.files(READ_AT)]
    assert len(planned) > 10_000
    assert found == sorted(planned)


@pytest.mark.parametrize("number", [0, 1, 4, 5, 6, 10, 11])
def test_slices_of_files_meet_without_gap_or_overlap(monkeypatch, number):
    monkeypatch.setattr(own_apis, "FILES_IN_REACH", 5)
    ids = [str(3 * each) for each in range(number)]

    def portal(request):
        first = int(request.url.params.get("idGte", 0))
        return ok({"results": [{"id": each} for each in ids if int(each) >= first]})

    assert [each["id"] for each in fake(portal, files)] == ids


def test_files_in_another_order_are_all_read_while_the_cursor_reaches_them(monkeypatch):
    monkeypatch.setattr(own_apis, "FILES_IN_REACH", 5)
    portal = Script(ok({"results": [{"id": "9"}, {"id": "2"}, {"id": "5"}]}))
    assert [each["id"] for each in fake(portal, files)] == ["9", "2", "5"]


def test_many_files_in_another_order_are_an_error(monkeypatch):
    monkeypatch.setattr(own_apis, "FILES_IN_REACH", 3)
    with pytest.raises(IncompleteAnswer, match="by id"):
        fake(Script(ok({"results": [{"id": "9"}, {"id": "2"}, {"id": "5"}, {"id": "7"}]})), files)


def test_slices_that_do_not_begin_where_they_are_asked_to_are_an_error(monkeypatch):
    monkeypatch.setattr(own_apis, "FILES_IN_REACH", 3)
    with pytest.raises(IncompleteAnswer, match="by id"):
        fake(Script(ok({"results": [{"id": str(each)} for each in range(4)]})), files)


# Sequences


def test_sequences_that_users_share_come_once(read, shared_sandbox):
    planned = shared_sandbox.portal.sequences(READ_AT)
    found = read(sequences)
    assert sorted(found, key=lambda each: int(each["id"])) == planned
    asked = sum(
        number
        for (route, _), number in shared_sandbox.requests.items()
        if route.startswith("GET /automation/sequences")
    )
    assert asked > 1


@pytest.mark.parametrize("answer", [GONE, error(400, message="no seat")])
def test_a_user_without_sequences_takes_none_of_the_others(answer):
    portal = Small({"1": answer, "2": [{"id": "7"}], "3": [{"id": "7"}, {"id": "8"}]})
    assert [each["id"] for each in fake(portal, sequences)] == ["7", "8"]
    with pytest.raises((NotFound, BadRequest)):
        fake(Small({"1": answer, "2": answer}), sequences)


# Deal splits


def test_splits_are_those_of_the_deals_that_are_asked_for(read, shared_sandbox):
    planned = shared_sandbox.portal.deal_splits(READ_AT)
    ids = read_ids(shared_sandbox)
    assert ids == [str(each) for each in shared_sandbox.portal.live_ids("0-3", READ_AT)]
    found = read(deal_splits, ids)
    assert {(each["dealId"], each["id"]) for each in found} == {
        (str(deal), each["id"]) for deal, splits in planned.items() for each in splits
    }
    [first, *_] = planned
    assert {each["dealId"] for each in read(deal_splits, [str(first)])} == {str(first)}
    for each in found:
        assert float(each["hs_deal_split_percentage"]) > 0


def read_ids(sandbox):
    with HubSpot(BearerToken(sandbox.token), sandbox.url) as client:
        return list(deal_ids(client))


def test_deals_are_asked_for_a_hundred_at_a_time():
    sizes = []

    def portal(request):
        asked = [each["id"] for each in orjson.loads(request.content)["inputs"]]
        sizes.append(len(asked))
        split = {"id": "1", "properties": {"hs_deal_split_percentage": "1"}, "archived": False}
        told = {each: [split] if each in ("0", "100", "200") else [] for each in asked}
        return ok({"results": [{"id": each, "splits": of} for each, of in told.items()]})

    found = fake(portal, deal_splits, map(str, range(201)))
    assert sizes == [100, 100, 1]
    assert [each["dealId"] for each in found] == ["0", "100", "200"]
    assert found[0] == {
        "id": "1", "dealId": "0", "hs_deal_split_percentage": "1", "archived": False,
    }  # fmt: skip
    assert fake(portal, deal_splits, []) == []


def test_deals_that_are_gone_meanwhile_have_no_splits(read):
    assert read(deal_splits, ["1", "2"]) == []


# All of them


@pytest.mark.parametrize("api", READERS)
def test_a_missing_scope_is_named(api):
    config = PortalConfig(records=5, now=READ_AT, scopes=USERS)
    with (
        serve(config) as sandbox,
        HubSpot(BearerToken(sandbox.token), sandbox.url) as client,
        pytest.raises(MissingScope) as raised,
    ):
        list(READERS[api](client, ignore))
    assert SCOPES[api] in raised.value.scopes


@pytest.mark.parametrize("api", READERS)
def test_an_api_that_is_not_there_is_not_one_that_the_portal_lacks(api):
    with pytest.raises(Unexplained, match="no such path, in no version"):
        fake(Script(GONE), READERS[api])


@pytest.mark.parametrize("api", [each for each in READERS if each != "form_submissions"])
def test_a_page_that_names_itself_as_the_next_is_no_end(api):
    page = {"results": [{"id": "7"}], "paging": {"next": {"after": "x"}}}
    with pytest.raises(IncompleteAnswer, match="names itself"):
        fake(Script(ok(page)), READERS[api])


def test_submissions_that_never_end_are_no_end():
    page = {"results": [submission(1)], "paging": {"next": {"after": "x"}}}
    with pytest.raises(IncompleteAnswer, match="names itself"):
        fake(Script(ok({"results": [{"id": "a"}]}), ok(page)), form_submissions)


@pytest.mark.parametrize("api", READERS)
@pytest.mark.parametrize("paging", [{}, {"paging": None}, {"paging": {"next": None}}])
def test_the_last_page_may_say_so_in_many_ways(api, paging):
    parents = ok({"results": [{"id": "7"}]} | paging)
    assert len(fake(Script(parents), READERS[api])) == 1


@pytest.mark.parametrize("object_type", own_types(), ids=lambda each: each.id)
def test_a_type_that_has_an_api_of_its_own_is_found_there(shared_sandbox, object_type):
    with HubSpot(BearerToken(shared_sandbox.token), shared_sandbox.url) as client:
        assert probe(client, object_type) <= datetime.now(UTC)


@pytest.mark.parametrize("object_type", own_types(), ids=lambda each: each.id)
def test_a_type_that_is_served_nowhere_is_refused(object_type):
    unknown = error(400, message=f"Unable to infer object type from: {object_type.id}")
    with client_of(Script(unknown), FakeTime()) as client, pytest.raises(UnknownObjectType):
        probe(client, object_type)
