"""What can be wrong with a table."""

from __future__ import annotations


class TableError(Exception):
    """A table's content breaks its own spec: columns, types or keys. Never holds values."""
