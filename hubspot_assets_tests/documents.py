"""Holds every answer of the sandbox that the tests see against what HubSpot documents."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import orjson
import pytest

from hubspot_assets.sandbox.app import Application
from hubspot_assets.sandbox.call import JSON
from hubspot_assets.sandbox.documented import breaches, type_of
from hubspot_assets.sandbox.routes import find_route

#: Of longer answers, so many of each call are looked at, and of equal ones only the first: all
#: would take the tests' time.
LONG, ENOUGH = 200_000, 20


@contextmanager
def held_against_documents() -> Iterator[set[str]]:
    """Gives the set that breaches are added to, a line each, until the context ends."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    known: set[tuple[str, int]] = set()
    answer_as_ever = Application._answer

    def answer(self, request, bare, version, body, fault, identifier):
        answered = answer_as_ever(self, request, bare, version, body, fault, identifier)
        route = find_route(request.method, request.scope["path"])
        if route is None or answered.media_type != JSON or answered.status != HTTPStatus.OK:
            return answered
        template = route[0].template
        if self.portal.config.page_dates_at:  # which no document describes
            return answered
        kind = type_of(request.method, template, version)
        seen[template] += len(answered.body) > LONG
        told_before = (kind, hash(answered.body)) in known
        if kind and not told_before and (len(answered.body) <= LONG or seen[template] <= ENOUGH):
            known.add((kind, hash(answered.body)))
            told = orjson.loads(answered.body)
            found.update(f"{request.method} {template}: {each}" for each in breaches(kind, told))
        return answered

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Application, "_answer", answer)
        yield found
