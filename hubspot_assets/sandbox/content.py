"""What a portal holds besides records: pages, posts, files, sequences, threads, deal splits.

Everything is told as it is at a moment in epoch milliseconds, as JSON values and by id.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from hubspot_assets.sandbox.config import PortalConfig
from hubspot_assets.sandbox.conversations import Thread, all_threads, thread_told
from hubspot_assets.sandbox.life import Life
from hubspot_assets.sandbox.media import File, all_files, file_told
from hubspot_assets.sandbox.pages import Page, all_pages, page_told
from hubspot_assets.sandbox.properties import Property
from hubspot_assets.sandbox.sequences import all_sequences, sequence_told
from hubspot_assets.sandbox.splits import deal_splits_told, splits_of

DEALS = "0-3"


class Content:
    """The content of one portal. `life` gives the records of a type, `properties` its
    properties."""

    def __init__(
        self,
        config: PortalConfig,
        life: Callable[[str], Life],
        properties: Callable[[str], tuple[Property, ...]],
    ) -> None:
        self._config = config
        self._life = life
        self._properties = properties

    @cached_property
    def all_files(self) -> list[File]:
        """Files that there ever are."""
        return all_files(self._config.files, self._config.seed)

    @cached_property
    def all_threads(self) -> list[Thread]:
        """Threads that there ever are."""
        return all_threads(self._config.records, self._config.seed, self._life("0-1"))

    @cached_property
    def deal_amount(self) -> Property | None:
        """The property that holds a deal's amount."""
        return next((p for p in self._properties(DEALS) if p.name == "amount"), None)

    def pages(self, kind: str, now: int, *, archived: bool = False) -> list[Page]:
        """Pages of a kind: landing-page, site-page or blog-post."""
        return [
            each
            for each in all_pages(kind)
            if each.created <= now and each.is_archived(now) == archived
        ]

    def page_told(self, page: Page, now: int) -> dict[str, Any]:
        """A page on the wire."""
        return page_told(page, self._config.seed, now)

    def files(self, now: int) -> list[File]:
        """Files that are there."""
        return [each for each in self.all_files if each.exists(now)]

    def file_told(self, each: File, now: int) -> dict[str, Any]:
        """A file on the wire."""
        return file_told(each, self._config.portal_id, now)

    def sequences(self, now: int) -> list[dict[str, Any]]:
        """Sequences that active users have."""
        return [sequence_told(each, now) for each in all_sequences() if each.exists(now)]

    def threads(self, now: int, *, archived: bool = False) -> list[Thread]:
        """Threads that are, or are not, archived."""
        return [
            each
            for each in self.all_threads
            if each.exists(now) and each.is_archived(now) == archived
        ]

    def thread_told(self, thread: Thread, now: int) -> dict[str, Any]:
        """A thread on the wire."""
        return thread_told(thread, now)

    def splits_of(self, index: int, now: int) -> list[dict[str, Any]]:
        """The splits of the live deal with an index."""
        return deal_splits_told(self._life(DEALS), self.deal_amount, index, now)

    def deal_splits(self, now: int) -> dict[int, list[dict[str, Any]]]:
        """Splits by deal id, of the live deals that have any."""
        life = self._life(DEALS)
        found = {life.record_id(i, now): self.splits_of(i, now) for i in life.live(now)}
        return {deal: splits for deal, splits in found.items() if splits}

    def counts(self, now: int) -> dict[str, int]:
        """How many there are of each, by object type id."""
        life = self._life(DEALS)
        return {
            "0-11": len(self.threads(now)),
            "0-25": len(self.pages("landing-page", now)),
            "0-38": len(self.pages("site-page", now)),
            "0-39": len(self.pages("blog-post", now)),
            "0-57": len(self.files(now)),
            "0-58": len(self.sequences(now)),
            "0-72": sum(len(splits_of(life, index, now)) for index in life.live(now)),
        }
