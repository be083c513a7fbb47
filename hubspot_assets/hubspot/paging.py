"""Reading lists page by page, whatever their pages and cursors look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from operator import attrgetter

from hubspot_assets.hubspot.client import Answer
from hubspot_assets.hubspot.errors import IncompleteAnswer, no_refusals

Following = Callable[[Answer], str | None]


def by_offset(answer: Answer) -> str | None:
    """The next cursor of an API that tells `hasMore` and `offset`."""
    if not answer.content.get("hasMore"):
        return None
    if (offset := answer.content.get("offset")) in (None, ""):
        raise IncompleteAnswer(f"{answer.where}: there is more, and no offset to ask for it by")
    return str(offset)


def pages(
    ask: Callable[[str | None], Answer],
    after: str | None = None,
    following: Following = attrgetter("following"),
) -> Iterator[tuple[Answer, str | None]]:
    """The pages of a list from the cursor `after` on, each with the cursor behind it.

    `ask` gives the page behind a cursor, `following` the cursor in an answer, None at the end.
    Raises what `ask` does, but IncompleteAnswer for a refusal once a page was given, and for pages
    that run in a circle.
    """
    seen = {after}
    given = False
    while True:
        with no_refusals() if given else nullcontext():
            answer = ask(after)
        after, given = following(answer), True
        if after is not None and after in seen:
            raise IncompleteAnswer(f"{answer.where}: a page names itself as the next")
        seen.add(after)
        yield answer, after
        if after is None:
            return
