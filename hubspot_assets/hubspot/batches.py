"""Batch reads in which every id that is asked for is accounted for.

An answer tells of an id in its results, or in its errors. An id that it tells nothing of is asked
for again, and so is, alone, one that an error names for a reason other than those that are known:
no id is taken for one that HubSpot has nothing of because its answer is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hubspot_assets.hubspot.client import Answer
from hubspot_assets.hubspot.errors import BadRequest, IncompleteAnswer

#: So many of a batch of objects may be refused one by one; more, and it is the batch.
MOST_REFUSED = 5

Input = dict[str, str]
"""What a batch asks for: `id`, and what else an API wants to know of it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What HubSpot told of some of the ids, at one moment.

    `results` are those of ids that were asked for; `refused` tells, by id, why HubSpot would not
    tell of it. There is nothing of ids that it said it does not have, or that were merged away: a
    record that was is told of under its survivor's id, which is not the one that was asked for.
    """

    results: Sequence[Mapping[str, Any]]
    received_at: datetime
    refused: Mapping[str, str]


def not_found(error: Mapping[str, Any]) -> bool:
    """Whether an error says that there is no such record."""
    return error.get("category") == "OBJECT_NOT_FOUND"


def tolerated(number: int, *, served: bool) -> int:
    """How many of a batch of `number` objects may be refused; all only of one that was `served`
    before: where nothing but refusals is known, nobody can tell that it is the objects."""
    return MOST_REFUSED if served else min(MOST_REFUSED, number - 1)


def read_batch(
    what: str,
    ask: Callable[[list[Input]], Answer],
    inputs: Sequence[Input],
    *,
    id_of: Callable[[Mapping[str, Any]], object],
    absent: Callable[[Mapping[str, Any]], bool] = not_found,
    most_refused: int = 0,
    silent: bool = False,
) -> Iterator[Batch]:
    """All that `ask` tells of `inputs`; what is told of one id may come in several parts.

    `id_of` gives the id that a result is of, `absent` whether an error says that there is nothing
    of the ids it names. So many as `most_refused` may be refused one by one, and a batch that
    HubSpot refuses is halved to find them; more, and the batch itself is at fault. Raises
    HubSpotError: IncompleteAnswer, which begins with `what`, where an id stays unaccounted for,
    unless such a `silent` answer tells that there is nothing of it.
    """
    pending = [_Request(list(inputs))] if inputs else []
    refusals = 0
    while pending:
        asked = pending.pop()
        try:
            answer = ask(asked.inputs)
        except BadRequest as error:
            if len(asked.inputs) > 1 and most_refused:
                pending += asked.halves()
                continue
            refusals += 1
            if refusals > most_refused:
                raise
            yield Batch((), datetime.now(UTC), {asked.inputs[0]["id"]: str(error)})
            continue
        results, failed, untold = _told(answer, asked.inputs, id_of, absent)
        if not asked.last:
            pending += asked.once_more(untold, failed)
            failed = {}
        elif untold and not answer.items() and not silent:
            raise IncompleteAnswer(
                f"{what}: a record was neither returned nor reported missing, twice; nothing of "
                "this source is delivered, try again"
            )
        refusals += len(failed)
        if refusals > most_refused:
            raise IncompleteAnswer(f"{what}: records failed to be read, each asked for alone, too")
        yield Batch(results, answer.received_at, failed)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for at a time, and whether it was asked for before."""

    inputs: list[Input]
    again: bool = False

    @property
    def last(self) -> bool:
        """Whether it is as much as can be done: one id, and not for the first time."""
        return self.again and len(self.inputs) == 1

    def halves(self) -> list[_Request]:
        """The same in two."""
        half = len(self.inputs) // 2
        return [_Request(each, self.again) for each in (self.inputs[half:], self.inputs[:half])]

    def once_more(self, silent: list[Input], failed: Collection[str]) -> list[_Request]:
        """What asks again: each alone that failed, together those that nothing was told of.

        Where nothing was told of any, they are asked for in two.
        """
        alone = [_Request([each], again=True) for each in self.inputs if each["id"] in failed]
        together = _Request(silent, again=True)
        if len(silent) == len(self.inputs) > 1:
            return together.halves()
        return [*alone, together] if silent else alone


def _told(
    answer: Answer,
    inputs: list[Input],
    id_of: Callable[[Mapping[str, Any]], object],
    absent: Callable[[Mapping[str, Any]], bool],
) -> tuple[list[dict[str, Any]], dict[str, str], list[Input]]:
    """The results of what was asked for, what failed and why, and what nothing was told of."""
    asked = {each["id"] for each in inputs}
    try:
        told = [(str(id_of(each)), each) for each in answer.items()]
    except (KeyError, TypeError) as wrong:
        raise IncompleteAnswer(f"{answer.where}: HubSpot gives a result without an id") from wrong
    results = [each for record_id, each in told if record_id in asked]
    known = {record_id for record_id, _ in told} & asked
    failed: dict[str, str] = {}
    for error in answer.content.get("errors") or ():
        if absent(error):
            known.update(_ids_of(error))
        else:
            why = str(error.get("message") or error.get("category"))
            failed |= dict.fromkeys(_ids_of(error), why)
    failed = {each: why for each, why in failed.items() if each in asked - known}
    silent = [each for each in inputs if each["id"] not in known | failed.keys()]
    return results, failed, silent


def _ids_of(error: Mapping[str, Any]) -> list[str]:
    """The ids that an error is about; none if it does not say."""
    context = error.get("context") or {}
    ids = context.get("ids") or context.get("fromObjectId") or [error.get("id")]
    return [str(each) for each in ids if each is not None]
