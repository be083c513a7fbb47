from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hubspot_assets.hubspot import errors
from hubspot_assets_tests.hubspot.fakes import TOKEN, FakeTime, Script, client_of, error, html

CORRELATION_ID = "01a0ec0d-8b75-720f-8a57-1f2f3d4c5b6a"


def refused(answer: httpx.Response) -> Any:
    """The error that an answer to a list call makes; refusals are never asked for again."""
    time, script = FakeTime(), Script(answer)
    with client_of(script, time) as client, pytest.raises(errors.HubSpotError) as raised:
        client.get("objects", object_type="0-1", params={"after": "31337", "limit": 50})
    assert len(script.requests) == 1
    assert time.slept == []
    message = str(raised.value)
    assert "\n" not in message
    assert "31337" not in message
    assert TOKEN not in message
    return raised.value


def test_a_token_that_is_not_accepted() -> None:
    raised = refused(
        error(
            401,
            message="Authentication credentials not found. This API supports OAuth 2.0 ...",
            category="INVALID_AUTHENTICATION",
            correlationId=CORRELATION_ID,
        )
    )
    assert type(raised) is errors.AuthenticationError
    assert not raised.expired
    assert raised.correlation_id == CORRELATION_ID
    assert str(raised) == (
        "GET /crm/objects/2026-09/0-1: HubSpot does not accept the access token; "
        "check that it is whole and in force"
    )


def test_a_static_token_that_has_expired() -> None:
    raised = refused(error(401, category="EXPIRED_AUTHENTICATION"))
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


def test_forbidden_for_another_reason() -> None:
    assert type(refused(error(403, message="Not for this portal"))) is errors.Forbidden
    assert type(refused(html(403))) is errors.Forbidden


@pytest.mark.parametrize(
    "message",
    ["Unable to infer object type from: widgets", "Invalid object or event type id: 0-9999"],
)
def test_an_object_type_that_the_portal_does_not_have(message: str) -> None:
    raised = refused(error(400, message=message, correlationId=CORRELATION_ID))
    assert type(raised) is errors.UnknownObjectType
    assert isinstance(raised, errors.BadRequest)
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


def test_other_refusals() -> None:
    assert type(refused(error(404, message="resource not found"))) is errors.NotFound
    assert type(refused(html(404))) is errors.NotFound
    assert type(refused(html(414))) is errors.UriTooLong
    assert type(refused(error(409, category="OBJECT_ALREADY_EXISTS"))) is errors.BadRequest
    redirect = refused(httpx.Response(301, headers={"Location": "https://elsewhere.example/"}))
    assert "redirect (301); check the base URL" in str(redirect)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"text"', b'{"message":7,"category":[],"errors":7}', b"{", b"<"]
)
def test_every_field_of_an_error_may_be_missing(body: bytes) -> None:
    raised = refused(httpx.Response(400, content=body))
    assert type(raised) is errors.BadRequest
    assert raised.correlation_id is None
    assert str(raised) == "GET /crm/objects/2026-09/0-1: HubSpot refused the request with 400"


def test_ids_of_records_stay_out_of_messages() -> None:
    with (
        client_of(Script(error(404)), FakeTime()) as client,
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
