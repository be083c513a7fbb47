"""What can go wrong in a store, in words for the person who has to mend it."""

from __future__ import annotations


class StoreError(Exception):
    """The object store could not do what was asked: one line on what, where and what to do.

    `passing` is true where the same call may well succeed later (network, overload).
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class NotFoundError(StoreError, FileNotFoundError):
    """There is no such object."""
