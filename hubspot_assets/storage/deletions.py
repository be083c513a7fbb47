"""How a bucket deletes: many objects at once, or one by one where a store can't do better."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hubspot_assets.storage.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Said = tuple[str, str]  # code and words of a refusal

log = logging.getLogger(__name__)

_AT_ONCE = 1000  # the most keys DeleteObjects takes


class Deletions:
    """Deletes objects of a bucket; `ask` asks it for a key, and raises `StoreError`.

    Remembers whether the store knows DeleteObjects. Objects are as boto3 has them there.
    """

    def __init__(self, bucket: str, ask: Callable[[str, Callable[[S3Client], Any]], Any]) -> None:
        self._bucket = bucket
        self._ask = ask
        self._many = True  # until the store shows that it does not

    def delete(self, objects: Sequence[Any]) -> Iterator[tuple[Any, StoreError]]:
        """Delete objects; gives those that are refused, each with the reason.

        Many at once. What is refused so is tried alone, and that answer counts: some stores know
        no DeleteObjects, others judge it by the bucket. Only if one alone is refused too, others
        that were refused with the same words are not tried.
        """
        for start in range(0, len(objects), _AT_ONCE):
            alike: dict[Said | None, StoreError] = {}
            for item, said in self._delete_many(objects[start : start + _AT_ONCE]):
                refused = alike.get(said) or self._delete_one(item)
                if refused:
                    if said:
                        alike[said] = refused
                    yield item, refused
                elif not said and self._many:
                    self._many = False
                    log.info(
                        "s3://%s refuses DeleteObjects: objects are deleted one by one",
                        self._bucket,
                    )

    def _delete_many(self, some: Sequence[Any]) -> list[tuple[Any, Said | None]]:
        """Those of at most a thousand objects that are left, with what was said of each.

        All of them, with nothing, where they were refused together.
        """
        together: list[tuple[Any, Said | None]] = [(item, None) for item in some]
        if not self._many:
            return together
        try:
            answer = self._ask(
                some[0]["Key"],
                lambda client: client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": some, "Quiet": True}
                ),
            )
        except StoreError as error:
            if error.passing:
                raise
            return together
        said = {
            each.get("Key"): (each.get("Code", ""), each.get("Message", ""))
            for each in answer.get("Errors", ())
        }
        if said.keys() - {item["Key"] for item in some}:
            return together
        return [(item, said[item["Key"]]) for item in some if item["Key"] in said]

    def _delete_one(self, item: Any) -> StoreError | None:  # noqa: ANN401  (boto3's)
        """Why it can't be deleted; None where it is."""
        try:
            self._ask(
                item["Key"],
                lambda client: client.delete_object(Bucket=self._bucket, **item),
            )
        except NotFoundError:
            return None
        except StoreError as error:
            if error.passing:
                raise
            return error
        return None
