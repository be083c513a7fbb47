"""Which links are of a day."""

from collections import Counter

import polars as pl
import pytest

from hubspot_assets.tables.associations import delivered

LINKS = pl.DataFrame({"fromId": [3, 1, 2, 1], "toId": [10, 10, 20, 30], "typeId": [1, 2, 3, 4]})


def ids(*numbers):
    return pl.Series("id", numbers, dtype=pl.Int64)


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ((ids(1, 2, 3), ids(10, 20, 30)), [1, 2, 3, 4]),
        ((ids(1, 3), ids(10, 20, 30)), [1, 2, 4]),
        ((ids(1, 2, 3), ids(20)), [3]),
        ((ids(1), ids(10)), [2]),
        ((None, ids(10)), [1, 2]),
        ((ids(2), None), [3]),
        ((None, None), [1, 2, 3, 4]),
        ((ids(), ids(10)), []),
    ],
)
def test_links_end_at_records_of_the_day_and_the_others_are_counted(ends, left):
    counts = Counter()
    found = delivered(LINKS, ends, counts)
    assert found["typeId"].to_list() == left
    assert found.columns == LINKS.columns
    assert counts["links_of_records_left_out"] == 4 - len(left)
