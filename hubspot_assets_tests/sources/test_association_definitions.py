"""Association types are read where HubSpot tells of other labels, or of none: else they stay."""

from contextlib import ExitStack
from itertools import combinations_with_replacement

import pytest

from hubspot_assets.hubspot import associations
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sources.association_definitions import DEFINITIONS, extract_definitions
from hubspot_assets.sources.items import read_items
from hubspot_assets_tests.fortnights import FIRST, HOUR, MINUTE, Fortnight, day_number, kind

#: Sequences can be linked to nothing.
TYPES = ("0-1", "0-2", "0-3", "0-58")
NIGHT = 90 * MINUTE
NEVER = 10_000


class Nights(Fortnight):
    """Nights in which the association types of pairs of some types are read into one folder."""

    def __init__(self, sandbox, root, asked):
        super().__init__(sandbox, types=TYPES)
        self.root = root
        #: The ordered pairs that were asked for in the last night.
        self.asked = asked
        self.sweep_days = NEVER

    def night(self, number, **options):
        """Reads the day of that number in its night, and gives the reading."""
        day = day_number(number)
        self.asked.clear()
        self.staging = self.read(self.root, day, day.end + NIGHT, **options)
        return self.staging.complete(DEFINITIONS)

    def extract(self, client, staging, incremental="auto", *, portal="here"):
        pairs = combinations_with_replacement(map(kind, self.types), 2)
        extract_definitions(
            client,
            staging,
            pairs,
            4,
            portal=portal,
            incremental=incremental,
            sweep_days=self.sweep_days,
        )

    def told(self):
        """What is staged of each ordered pair: its types, None of one that HubSpot refuses."""
        return {
            (told["fromObjectTypeId"], told["toObjectTypeId"]): {
                (each["category"], each["typeId"], each["label"]) for each in told["definitions"]
            }
            if "definitions" in told
            else None
            for told, _ in read_items(self.staging.complete(DEFINITIONS))
        }

    def is_right(self):
        """Whether the types are those of the portal now."""
        for pair, told in self.told().items():
            types = self.portal.association_definitions(*pair)
            assert (told or set()) == {(of.category, of.type_id, of.label) for of in types}
        return True

    @property
    def linked(self):
        """The ordered pairs that can be linked."""
        return {pair for pair, told in self.told().items() if told is not None}

    @property
    def refused(self):
        """Those that can't."""
        return self.told().keys() - self.linked


@pytest.fixture
def nights(tmp_path, monkeypatch):
    """Makes them: of a portal of its own each."""
    asked, definitions = set(), associations.definitions

    def asking(client, *pair):
        asked.add(pair)
        return definitions(client, *pair)

    monkeypatch.setattr(associations, "definitions", asking)

    def make(**config):
        own = PortalConfig(records=10, now=FIRST, burst=10**6, **config)
        return Nights(portals.enter_context(serve(own)), tmp_path / "state", asked)

    with ExitStack() as portals:
        yield make


@pytest.fixture
def lived(nights):
    """A portal of which a day is read."""
    lived = nights()
    lived.night(0)
    return lived


def test_what_was_defined_stays_while_the_labels_do(lived):
    first = lived.staging.complete(DEFINITIONS)
    assert lived.asked == lived.told().keys()
    assert len(lived.linked) > len(lived.refused) > 0
    lived.sandbox.requests.clear()
    second = lived.night(1)
    # What was refused may be there by now.
    assert lived.asked == lived.refused
    assert sum(lived.sandbox.requests.values()) == 1 + 2 * len(lived.refused)
    assert second.counts["pairs_kept"] == len(lived.linked)
    assert second.counts["pairs_read"] == len(lived.refused)
    assert second.swept_at == first.swept_at
    assert second.observed_at >= second.began - MINUTE > first.began
    assert lived.is_right()


def test_a_new_label_and_one_that_reads_otherwise(lived):
    made = lived.portal.define_label("0-1", "0-3", "Referred by")
    lived.night(1)
    assert lived.asked == lived.told().keys()
    assert lived.is_right()
    lived.night(2)
    assert lived.asked == lived.refused
    types = lived.portal._association_types
    for pair in (("0-1", "0-3"), ("0-3", "0-1")):
        types[pair] = tuple(of for of in types[pair] if of.type_id != made)
    lived.portal.define_label("0-1", "0-3", "Recommended by")
    lived.night(3)
    assert lived.is_right()


def test_another_pair_is_asked_for(lived):
    lived.types = (*TYPES, "0-5")
    lived.night(1)
    assert lived.asked == lived.refused | {pair for pair in lived.told() if "0-5" in pair}
    assert lived.is_right()


def test_all_are_read_in_their_turn_or_where_it_is_wanted(lived):
    lived.night(1, incremental="off")
    assert lived.asked == lived.told().keys()
    lived.night(1, again=True)
    assert lived.asked == lived.told().keys()
    lived.night(2, portal="another")
    assert lived.asked == lived.told().keys()
    lived.sweep_days = 1
    lived.night(3, portal="another")
    assert lived.asked == lived.told().keys()


@pytest.mark.parametrize("plan", ["starter", "free"])
def test_where_hubspot_does_not_tell_of_labels_all_are_read(nights, plan):
    lived = nights(plan=plan)
    for number in (0, 1):
        lived.night(number)
        assert lived.asked == lived.told().keys()
        assert lived.is_right()


def test_labels_in_no_form_of_hubspots_tell_nothing(lived, change):
    def odd(path, _, body):
        if path.endswith("/associations/labels") and "/limits/" in path:
            body["results"][0].pop("allLabels")

    change(odd)
    for number in (1, 2):
        lived.night(number)
        assert lived.asked == lived.told().keys()


def test_a_reading_of_another_api_version_or_that_is_half_there_is_no_base(lived, monkeypatch):
    folder = lived.root / lived.staging.complete(DEFINITIONS).folder
    part = folder / "00000.items.parquet"
    part.write_bytes(part.read_bytes()[:100])
    lived.night(1)
    assert lived.asked == lived.told().keys()
    monkeypatch.setattr(HubSpot, "versions", property(lambda _: {"associations": "some other"}))
    lived.night(2)
    assert lived.asked == lived.told().keys()
    assert lived.is_right()


def test_the_moment_of_reading_is_that_of_the_pair(lived):
    lived.night(1)
    read_at = {
        (told["fromObjectTypeId"], told["toObjectTypeId"]): at
        for told, at in read_items(lived.staging.complete(DEFINITIONS))
    }
    first = (day_number(0).end + NIGHT).replace(tzinfo=None)
    assert all(read_at[pair] - first < HOUR for pair in lived.linked)
    assert all(read_at[pair] - first > HOUR for pair in lived.refused)
