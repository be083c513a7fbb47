"""Nights that read what has changed alone deliver the rows of nights that read everything."""

from collections import Counter

import duckdb
import orjson
import pytest

from hubspot_assets.deliver import deliver
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets.sources import modified
from hubspot_assets_tests.fortnights import FIRST, HOUR, MINUTE, Fortnight, day_number

TYPES = "contacts,companies,0-15,0-25,0-29"
TABLES = (
    "ASSOCIATION_DEFINITIONS",
    "LISTS",
    "LIST_MEMBERSHIPS",
    "OBJECTS_FORM_SUBMISSIONS",
    "OBJECTS_LANDING_PAGES",
    "OBJECTS_MARKETING_EMAILS",
)
MEMBERS = "GET /crm/lists/{listId}/memberships"
SUBMISSIONS = "GET /form-integrations/submissions/forms/{formId}"
LABELS = "GET /crm/associations/{objectType}/{toObjectType}/labels"
#: A list of contacts whom nobody joins any more.
SNAPSHOT = 19


class Portal:
    """A portal whose days are delivered by what has changed, and whole."""

    def __init__(self, sandbox, root, reach):
        self.fortnight = Fortnight(sandbox)
        self.sandbox = sandbox
        self.root = root
        self._reach = reach

    def deliver(self, number, incremental, asleep_since=None):
        """The folder of a day delivered in its night, and what was asked for, by call."""
        day, folder = day_number(number), self.root / incremental
        self._reach(
            self.sandbox,
            OBJECT_TYPES=TYPES,
            EXPORT_URL=str(folder),
            INCREMENTAL=incremental,
            SWEEP_DAYS="10000",
        )
        self.sandbox.requests.clear()
        with self.fortnight.at(night(number)):
            if asleep_since:
                self.sandbox.portal.clock.set(asleep_since)
            deliver(load_settings(), day.name, TABLES, Display())
        asked: Counter[str] = Counter()
        for (request, _), times in self.sandbox.requests.items():
            asked[request] += times
        return folder / day.name, asked

    def both(self, number, asleep_since=None):
        """What was asked for in a night, by what has changed and for all, of the same rows."""
        here, asked = self.deliver(number, "auto", asleep_since)
        there, asked_for_all = self.deliver(number, "off", asleep_since)
        for table in TABLES:
            assert rows(here / table) == rows(there / table), table
            assert told(here / table) == told(there / table), table
        return asked, asked_for_all


def night(number):
    """The moment at which a day is read."""
    return day_number(number).end + 90 * MINUTE


def rows(folder):
    """The rows of a table that was delivered, in their order, but for when they were read."""
    files = f"read_csv('{folder}/**/*.csv.gz', header=true, all_varchar=true, parallel=false, "
    files += "delim=',', quote='\"', escape='\"', max_line_size=50000000)"
    return duckdb.sql(f"SELECT * EXCLUDE INGESTEDAT FROM {files}").fetchall()


def told(folder):
    """What a table's manifest says of its rows."""
    manifest = orjson.loads((folder / "_manifest.json").read_bytes())
    counts = {name: number for name, number in manifest["counts"].items() if number}
    if "lists_kept" in counts:
        counts["lists_read"] += counts.pop("lists_kept")
    return counts, manifest["availability"], manifest["point_in_time"], manifest["warnings"]


@pytest.mark.slow
def test_a_night_as_any_and_one_in_which_nothing_happened(tmp_path, reach, monkeypatch):
    monkeypatch.setattr(modified, "FEW", 0)
    config = PortalConfig(records=600, now=FIRST, contact_properties=5, burst=10**6)
    with serve(config) as sandbox:
        portal, lived = sandbox.portal, Portal(sandbox, tmp_path, reach)
        lived.both(0)
        members = {record_id for record_id, _ in portal.members(SNAPSHOT, night(0))}
        one, other, *_ = (each for each in portal.live_ids("0-1", night(0)) if each in members)
        portal.merge("0-1", one, other, night(0) + 5 * HOUR)
        portal.define_label("0-1", "0-2", "Referred by")
        asked, asked_for_all = lived.both(1)
        assert asked[MEMBERS] < asked_for_all[MEMBERS]
        assert asked[SUBMISSIONS] < asked_for_all[SUBMISSIONS]
        assert asked[LABELS] == asked_for_all[LABELS]  # there is a new one
        asked, asked_for_all = lived.both(2, asleep_since=night(1))
        forms = portal.forms(night(1))
    silent = [each for each in forms if each.told["formType"] == "blog_comment"]
    # One page of each form; a refusal counts when it is repeated.
    assert asked[SUBMISSIONS] == len(forms) + len(silent) < asked_for_all[SUBMISSIONS]
    assert (asked[LABELS], asked_for_all[LABELS]) == (0, 4)
    assert asked[MEMBERS] < asked_for_all[MEMBERS] / 2
