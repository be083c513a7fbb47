from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hubspot_assets.hubspot import errors
from hubspot_assets_tests.hubspot.fakes import TOKEN, FakeTime, Script, client_of, error, html, ok

CORRELATION_ID = "01a0ec0d-8b75-720f-8a57-1f2f3d4c5b6a"


def raised_by(answer: httpx.Response, asked: int) -> Any:
    """The error that an answer to a list call makes, after it was given `asked` times."""
    time, script = FakeTime(), Script(answer)
    with client_of(script, time) as client, pytest.raises(errors.HubSpotError) as raised:
        client.get("objects", object_type="0-1", params={"after": "31337", "limit": 50})
    assert len(script.requests) == asked
    assert sum(time.slept) < 60
    message = str(raised.value)
    assert "\n" not in message
    assert "31337" not in message
    assert TOKEN not in message
    return raised.value


def refused(answer: httpx.Response) -> Any:
    """The refusal that an answer is; it counts because it is given twice."""
    raised = raised_by(answer, 2)
    assert isinstance(raised, errors.Refused)
    return raised


def test_a_token_that_is_not_accepted() -> None:
    raised = raised_by(
        error(
            401,
            message="Authentication credentials not found. This API supports OAuth 2.0 ...",
            category="INVALID_AUTHENTICATION",
            correlationId=CORRELATION_ID,
        ),
        1,
    )
    assert type(raised) is errors.AuthenticationError
    assert not raised.expired
    assert raised.correlation_id == CORRELATION_ID
    assert str(raised) == (
        "GET /crm/objects/2026-09/0-1: HubSpot does not accept the access token; "
        "check that it is whole and in force"
    )


def test_a_static_token_that_has_expired() -> None:
    raised = raised_by(error(401, category="EXPIRED_AUTHENTICATION"), 1)
    assert type(raised) is errors.AuthenticationError
    assert raised.expired
    assert "expired; supply a new one" in str(raised)


@pytest.mark.parametrize("key", ["requiredGranularScopes", "requiredScopes"])
def test_scopes_that_are_missing_are_named(key: str) -> None:
    raised = refused(
        error(
            403,
            {"X-HubSpot-Correlation-Id": CORRELATION_ID},
            message="This app hasn't been granted all required scopes to make this call.",
            errors=[
                {
                    "message": "One or more of the following scopes are required.",
                    "context": {key: ["crm.objects.contacts.read", "crm.lists.read"]},
                }
            ],
            category="MISSING_SCOPES",
        )
    )
    assert type(raised) is errors.MissingScope
    assert raised.scopes == ("crm.objects.contacts.read", "crm.lists.read")
    assert raised.correlation_id == CORRELATION_ID
    assert "lacks crm.objects.contacts.read or crm.lists.read; add it to" in str(raised)


@pytest.mark.parametrize(
    ("envelope", "scopes"),
    [
        ({"category": "MISSING_SCOPES"}, ()),
        ({"category": "MISSING_SCOPES", "errors": ["?", {"context": "?"}, None]}, ()),
        ({"errors": {"context": 1}, "context": {"requiredScopes": ["tickets"]}}, ("tickets",)),
        ({"errors": [{"context": {"requiredScopes": "tickets"}}]}, ("tickets",)),
        ({"errors": [{"context": {"requiredScopes": ["tickets", 7, ""]}}]}, ("tickets",)),
    ],
)
def test_scopes_are_found_in_whatever_comes(
    envelope: dict[str, Any], scopes: tuple[str, ...]
) -> None:
    raised = refused(error(403, **envelope))
    assert type(raised) is errors.MissingScope
    assert raised.scopes == scopes


PLAN = "This account does not have access to the events API; it requires an Enterprise subscription"


@pytest.mark.parametrize(
    ("answer", "kind", "availability"),
    [
        (error(403, message="Not for you", category="FORBIDDEN"), "Forbidden", "missing_scope"),
        (error(403, category="MISSING_SCOPES"), "MissingScope", "missing_scope"),
        (error(403, message=PLAN), "NeedsEnterprise", "needs_enterprise"),
        (error(403, message=PLAN, category="FORBIDDEN"), "NeedsEnterprise", "needs_enterprise"),
        (error(400, message="Invalid object or event type id: 0-1"), "UnknownObjectType", None),
        (
            error(
                400,
                message="Object type 0-1 is not enabled for portal 7",
                category="VALIDATION_ERROR",
            ),
            "NotEnabled",
            "not_enabled",
        ),
        (
            error(400, message="?", errors=[{"errorType": "FORM_TYPE_NOT_ALLOWED"}]),
            "NotEnabled",
            "not_enabled",
        ),
        (error(404, message="resource not found"), "NotEnabled", "not_enabled"),
        (error(404, category="OBJECT_NOT_FOUND"), "NotEnabled", "not_enabled"),
    ],
)
def test_what_hubspot_says_of_a_portal_counts_when_it_says_it_twice(
    answer: httpx.Response, kind: str, availability: str | None
) -> None:
    raised = refused(answer)
    assert isinstance(raised, errors.NotServed)
    assert type(raised).__name__ == kind
    assert raised.availability == (availability or "not_enabled")


OWN_404 = error(404, message="resource not found")


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        # Six attempts for what may pass, three for what hardly does.
        (html(403), 6),
        (error(403), 6),
        (error(403, message="Not for this portal"), 6),
        (html(408), 6),
        (error(409, category="OBJECT_ALREADY_EXISTS"), 6),
        (html(421), 6),
        (html(425), 6),
        (html(451), 6),
        (error(488, message="Hub is unknown to this Hublet"), 6),
        (html(301), 3),
        (html(302), 3),
        (html(307), 3),
        (html(400), 3),
        (error(400), 3),
        (html(405), 3),
        (error(405, message="Method Not Allowed"), 3),
        (html(406), 3),
        (html(410), 3),
        # Twice where it is due, then once in each of two older versions of the API.
        (html(404), 4),
        (error(404), 4),
        (error(404, message="Not Found"), 4),
        (html(418), 3),
    ],
)
def test_anything_else_says_nothing_of_the_portal(answer: httpx.Response, asked: int) -> None:
    raised = raised_by(answer, asked)
    assert type(raised) is errors.Unexplained
    assert raised.status == answer.status_code
    assert f"gave up after {asked} attempts, the last with {answer.status_code}; " in str(raised)


@pytest.mark.parametrize("status", [302, 400, 403, 404, 405, 408, 409, 410, 421, 425, 451, 488])
@pytest.mark.parametrize("answer", [html, error])
def test_what_passes_is_no_answer_of_any_kind(status: int, answer: Any) -> None:
    script = Script(answer(status), ok({"results": [{"id": "7"}]}))
    with client_of(script, FakeTime()) as client:
        assert client.get("objects", object_type="0-1").items() == [{"id": "7"}]
    assert len({each.url.path for each in script.requests}) == 1


@pytest.mark.parametrize(
    "answer",
    [
        error(403, category="MISSING_SCOPES"),
        error(400, message="Unable to infer object type from: deals"),
        error(400, message="Invalid input JSON on line 1", category="VALIDATION_ERROR"),
        OWN_404,
    ],
)
def test_a_refusal_that_is_not_repeated_is_none(answer: httpx.Response) -> None:
    script = Script(answer, ok({"results": []}))
    with client_of(script, FakeTime()) as client:
        assert client.get("objects", object_type="0-1").items() == []


@pytest.mark.parametrize("status", [477, 488])
def test_a_portal_that_moves_is_waited_for_as_long_as_it_asks(status: int) -> None:
    time, script = FakeTime(), Script(error(status, {"Retry-After": "7"}), ok())
    with client_of(script, time) as client:
        client.get("owners")
    assert time.slept == [7]
    away = Script(error(status, {"Retry-After": "86400"}))
    with client_of(away, FakeTime()) as client, pytest.raises(errors.GaveUp) as raised:
        client.get("owners")
    assert len(away.requests) == 1
    assert "moving to another data centre; HubSpot asks to come back at 2026-11-2" in str(
        raised.value
    )


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (lambda client: client.get("owners"), errors.Unexplained),
        (lambda client: client.get("lists", "memberships", list_id="7"), errors.NotFound),
        (lambda client: client.get("sequences", params={"userId": "7"}), errors.NotFound),
        (lambda client: client.get("pipelines", object_type="0-3"), errors.NotEnabled),
        (
            lambda client: client.get(
                "associations", "labels", object_type="0-1", to_object_type="0-2"
            ),
            errors.Unexplained,
        ),
    ],
)
def test_what_is_not_found_is_what_the_request_named(asked: Any, kind: type[Exception]) -> None:
    with client_of(Script(OWN_404), FakeTime()) as client, pytest.raises(kind) as raised:
        asked(client)
    assert type(raised.value) is kind


def test_a_path_that_is_not_there_is_found_in_an_older_version() -> None:
    def portal(request: httpx.Request) -> httpx.Response:
        return ok({"results": []}) if request.url.path == "/crm/v3/owners/" else html(404)

    script = Script(portal)
    with client_of(script, FakeTime()) as client:
        for _ in range(2):
            assert client.get("owners", params={"limit": 5}).items() == []
    paths = [each.url.path for each in script.requests]
    dated = ["/crm/owners/2026-09", "/crm/owners/2026-09", "/crm/owners/2026-03"]
    assert paths == [*dated, "/crm/v3/owners/", "/crm/v3/owners/"]
    assert {each.url.query for each in script.requests} == {b"limit=5"}


@pytest.mark.parametrize(
    "message",
    ["Unable to infer object type from: widgets", "Invalid object or event type id: 0-9999"],
)
def test_an_object_type_that_the_portal_does_not_have(message: str) -> None:
    raised = refused(error(400, message=message, correlationId=CORRELATION_ID))
    assert type(raised) is errors.UnknownObjectType
    assert isinstance(raised, errors.NotEnabled)
    assert message in str(raised)


def test_a_bad_request_says_what_hubspot_said_but_shortly_and_without_addresses() -> None:
    raised = refused(
        error(
            400,
            message="Bad value ada@example.com\nfor " + "x" * 1000,
            category="VALIDATION_ERROR",
        )
    )
    assert type(raised) is errors.BadRequest
    assert raised.category == "VALIDATION_ERROR"
    assert raised.status == 400
    assert "refused the request with 400: Bad value … for xxx" in str(raised)
    assert len(str(raised)) < 350


def test_a_url_that_is_too_long_is_not_sent_again() -> None:
    assert type(raised_by(html(414), 1)) is errors.UriTooLong


def test_a_redirect_names_what_to_check() -> None:
    answer = httpx.Response(301, headers={"Location": "https://elsewhere.example/"})
    assert "check the base URL" in str(raised_by(answer, 3))


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"text"', b'{"message":7,"category":[],"errors":7}', b"{", b"<"]
)
@pytest.mark.parametrize("status", [400, 403, 404])
def test_every_field_of_an_error_may_be_missing(status: int, body: bytes) -> None:
    raised = raised_by(httpx.Response(status, content=body), {400: 3, 403: 6, 404: 4}[status])
    assert type(raised) is errors.Unexplained
    assert raised.correlation_id is None


def test_ids_of_records_stay_out_of_messages() -> None:
    with (
        client_of(Script(OWN_404), FakeTime()) as client,
        pytest.raises(errors.NotFound, match=r"^GET /crm/objects/2026-09/0-1/{record_id}: "),
    ):
        client.get("objects", "one", object_type="0-1", record_id="4711")


def test_errors_survive_the_way_to_another_process() -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    for original in (
        errors.DailyLimitReached("no more", resumes_at=midnight, correlation_id="x"),
        errors.MissingScope("lacks", scopes=("tickets",), where="GET /"),
        errors.GaveUp("gave up", status=502, attempts=6),
        errors.Unreachable("cannot connect", host="localhost"),
    ):
        copy = pickle.loads(pickle.dumps(original))
        assert type(copy) is type(original)
        assert str(copy) == str(original)
        assert vars(copy) == vars(original)
