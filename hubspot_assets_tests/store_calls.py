"""What is asked of S3, counted where boto3 asks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import patch

from botocore.client import BaseClient


class Call(NamedTuple):
    """An operation, as GetObject, and the key or the prefix that it is about."""

    operation: str
    key: str

    @property
    def is_of_the_state(self) -> bool:
        """Whether it is about readings, not about what is exported."""
        return "/_state/" in self.key


@contextmanager
def noted_calls() -> Iterator[list[Call]]:
    """Notes all calls of the block; one that botocore tries again is one."""
    calls: list[Call] = []
    ask = BaseClient._make_api_call  # type: ignore[attr-defined]

    def noted(self, operation, asked):
        if self.meta.service_model.service_name == "s3":
            deleted = [each["Key"] for each in asked.get("Delete", {}).get("Objects", ())]
            key = asked.get("Key") or asked.get("Prefix") or "".join(deleted[:1])
            calls.append(Call(operation, key))
        return ask(self, operation, asked)

    with patch.object(BaseClient, "_make_api_call", noted):
        yield calls


def beyond_parts(calls: Sequence[Call]) -> tuple[int, int]:
    """How many calls there are besides those that put parts of tables, and chunks of readings: of
    the export, and of the state. Leases are renewed as time goes by, and not counted."""
    kinds = Counter(
        call.is_of_the_state
        for call in calls
        if not (call.operation == "PutObject" and call.key.endswith((".csv.gz", ".parquet")))
        and "_leases/" not in call.key
    )
    return kinds[False], kinds[True]
