"""Records as frames."""

from collections import Counter

import pytest

from hubspot_assets.sources.flatten import present_values, values_frame
from hubspot_assets.sources.look import prints

MOMENTS = {"closedate"}


def record(record_id, properties):
    return {"id": str(record_id), "properties": properties}


@pytest.mark.parametrize(
    "properties",
    [
        {"name": "Ann", "city": "Bonn"},
        {"name": "", "city": None},
        {"name": 0, "city": 1.5, "wanted": False},
        {"name": {"a": [1, "ü"]}, "city": ["x"]},
        {"closedate": "2024-02-21", "name": "2024-02-21"},
        {"closedate": "2024-02-21T03:12:56.388Z"},
        {"closedate": "soon"},
        {"closedate": 1708473600000},
        {},
        None,
        ["none"],
    ],
)
def test_a_list_shows_a_record_to_be_as_it_was_read(properties):
    """Else a sweep would read it again each night."""
    told = [record(7, properties), record(5, {"name": "Bo"})]
    of_list, of_reading = Counter(), Counter()
    seen = prints(present_values(told, MOMENTS, of_list)).sort("id")
    assert seen.equals(prints(values_frame(told, MOMENTS, of_reading)).sort("id"))
    assert seen.height == (2 if isinstance(properties, dict) and any_value(properties) else 1)


def any_value(properties):
    return any(each is not None and each != "" for each in properties.values())


def test_another_value_is_another_print():
    of = [prints(present_values([record(7, {"name": name})], (), Counter())) for name in "ab"]
    assert not of[0].equals(of[1])
