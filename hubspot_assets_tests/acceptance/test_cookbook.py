"""The questions of docs/cookbook.md, asked of the day as a reader of that page would."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from hubspot_assets.ddl.engines import ENGINES, ddl
from hubspot_assets.deliver import deliver
from hubspot_assets.progress import Display
from hubspot_assets.settings import Settings
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY, FEW_EVENTS, set_environment

pytestmark = pytest.mark.slow  # a second day

CONTACTS, DEALS = "0-1", "0-3"
EARLIER = "2026-11-08"
PAGE = Path(__file__).parents[2] / "docs" / "cookbook.md"
RECIPES = dict(
    re.findall(
        r"^### (\d+)\. .*?^```sql\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
)


@pytest.fixture(scope="module")
def two_days(portal, exported, tmp_path_factory):
    """An export of the day, and of the same portal's deals two weeks before."""
    with pytest.MonkeyPatch.context() as patch:
        few = {"OBJECT_TYPES": "deals", "EVENT_TYPES": FEW_EVENTS}
        folder = set_environment(patch, portal, tmp_path_factory.mktemp("two_days"), **few)
        deliver(Settings(), EARLIER, ["OBJECTS_DEALS"], Display())
    shutil.copytree(exported / DAY, folder / DAY)
    return folder


@pytest.fixture(scope="module")
def cook(two_days):
    """Gives the rows of a recipe, each by its columns' names."""
    connection = duckdb.connect()
    store = open_store(two_days)
    connection.execute(ddl(ENGINES["duckdb"], store, str(two_days), "hubspot", form="csv"))
    connection.execute("SET search_path = 'hubspot'")

    def run(number):
        asked = connection.execute(RECIPES[str(number)])
        names = [each[0] for each in asked.description]
        return [dict(zip(names, row, strict=True)) for row in asked.fetchall()]

    return run


def test_there_are_twenty():
    assert list(RECIPES) == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize("number", RECIPES)
def test_a_recipe_finds_something_in_each_of_its_columns(cook, number):
    rows = cook(number)
    assert rows
    for name in rows[0]:
        assert any(row[name] is not None for row in rows), name


def test_deals_go_through_the_funnel_once(cook, plan):
    assert max(row["deals"] for row in cook(1)) <= len(plan.rows(DEALS))


def test_win_rates_are_those_of_the_portal(cook, plan):
    rows = cook(4)
    stages = {
        (pipeline.pipeline_id, stage.stage_id): dict(stage.metadata)
        for pipeline in plan.portal.pipelines(DEALS)
        for stage in pipeline.stages
    }
    closed = [
        stages[row["pipeline"], row["dealstage"]]
        for row in plan.rows(DEALS).values()
        if stages[row["pipeline"], row["dealstage"]]["isClosed"] == "true"
    ]
    assert sum(row["closed"] for row in rows) == len(closed)
    assert sum(row["won"] for row in rows) == sum(each["probability"] == "1.0" for each in closed)
    assert all(0 <= row["win_rate"] <= 100 for row in rows)


def test_two_days_differ_by_what_has_happened(cook, plan):
    rows = {row["what"]: row["deals"] for row in cook(6)}
    later = sum(deals for what, deals in rows.items() if what != "gone")
    assert later == len(plan.rows(DEALS))
    assert set(rows) - {"as before"}


def test_former_ids_of_merged_contacts_are_no_contacts(cook, plan):
    former = {int(row["former_id"]) for row in cook(14)}
    assert former.isdisjoint(plan.rows(CONTACTS))


def test_lists_have_in_the_end_the_members_that_they_have(cook, ask):
    last = {row["list"]: row["members"] for row in cook(16)}
    members = ask(
        "SELECT l.NAME, count(*) FROM LIST_MEMBERSHIPS JOIN LISTS l USING (LISTID) GROUP BY 1"
    )
    assert last == dict(members)


def test_shares_of_outcomes_add_up(cook):
    shares = {}
    for row in cook(20):
        shares[row["owner"]] = shares.get(row["owner"], 0) + row["percent"]
    assert all(abs(each - 100) < 1 for each in shares.values())
