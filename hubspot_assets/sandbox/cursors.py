"""Cursors that are opaque to a caller: numbers as URL-safe base64."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import unquote

from hubspot_assets.sandbox.errors import invalid


def cursor(*numbers: int) -> str:
    """A cursor that holds numbers."""
    return urlsafe_b64encode(",".join(map(str, numbers)).encode()).decode()


def cursor_numbers(text: str, count: int) -> tuple[int, ...]:
    """The numbers in a cursor, also in one that was quoted twice; 400 unless there are `count`."""
    try:
        numbers = tuple(map(int, urlsafe_b64decode(unquote(text)).decode().split(",")))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise invalid(f"Invalid cursor: {text}", subCategory="INVALID_CURSOR")
    return numbers
