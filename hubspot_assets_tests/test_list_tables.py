"""Both tables of lists, delivered from a sandbox portal and read back by DuckDB."""

import json
from collections import Counter
from datetime import UTC

import duckdb
import pytest

from hubspot_assets.deliver import deliver
from hubspot_assets.hubspot import lists
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import DAY, READ_AT

TABLES = ("LISTS", "LIST_MEMBERSHIPS")


@pytest.fixture
def delivered(reach):
    """Delivers both tables of a portal: gives the rows and the manifest of one."""

    def run(sandbox):
        folder = reach(sandbox, OBJECT_TYPES="deals") / DAY
        deliver(load_settings(), DAY, TABLES, Display())

        def table(name):
            rows = duckdb.connect().sql(
                f"FROM read_csv('{folder}/{name}/*.csv.gz', header=true, all_varchar=true, "
                "allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', escape='\"')"
            )
            manifest = json.loads((folder / name / "_manifest.json").read_text())
            return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()], manifest

        return table

    return run


def moment(at):
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'milliseconds')}"


def test_lists_of_every_type_and_their_members_are_delivered(delivered, shared_sandbox):
    table = delivered(shared_sandbox)
    portal = shared_sandbox.portal
    planned = portal.lists(READ_AT)
    rows, manifest = table("LISTS")
    assert [(row["LISTID"], row["OBJECTTYPEID"], row["NAME"], row["SIZE"]) for row in rows] == [
        (str(each.facts.list_id), each.facts.object_type_id, each.facts.name, str(each.size))
        for each in planned
    ]
    assert {row["OBJECTTYPEID"] for row in rows} > {"0-1", "0-2"}
    assert {row["LISTTYPE"] for row in rows} == {"MANUAL", "DYNAMIC", "SNAPSHOT"}
    assert manifest["availability"]["status"] == "available"
    rows, manifest = table("LIST_MEMBERSHIPS")
    assert [(row["LISTID"], row["OBJECTID"], row["UPDATEDAT"]) for row in rows] == [
        (str(each.facts.list_id), str(record_id), moment(joined))
        for each in planned
        for record_id, joined in portal.members(each.facts.list_id, READ_AT)
    ]
    assert +Counter(manifest["counts"]) == {"lists_read": len(planned)}
    assert len(manifest["warnings"]) <= 1  # that it is not of that day


def test_what_of_the_members_is_missing_is_told(delivered, sandbox):
    first, second = sandbox.portal.lists(READ_AT)[:2]
    gone, other = first.facts.list_id, second.facts.list_id
    sandbox.faults.add("delete_list", path=rf"^GET /crm/lists/[^/]+/{gone}/memberships$")
    rows, manifest = delivered(sandbox)("LIST_MEMBERSHIPS")
    assert str(gone) not in {row["LISTID"] for row in rows}
    assert str(other) in {row["LISTID"] for row in rows}
    assert manifest["counts"]["lists_gone_while_reading"] == 1
    told = f"lists {gone} ({first.size} by HubSpot's count) deleted while"
    assert any(each.startswith(told) for each in manifest["warnings"])


def test_members_that_are_refused_or_not_all_there_are_told_with_hubspots_size(delivered):
    with serve(PortalConfig(records=60, now=READ_AT, burst=100_000, odd_lists=True)) as sandbox:
        table = delivered(sandbox)
        sizes = {each.facts.list_id: each.size for each in sandbox.portal.lists(READ_AT)}
        members = len(sandbox.portal.members(97, READ_AT))
        asked = sandbox.requests["POST /crm/lists/all", 200]
    rows, manifest = table("LIST_MEMBERSHIPS")
    by_list = Counter(row["LISTID"] for row in rows)
    assert (by_list["93"], by_list["97"]) == (0, members)
    assert 0 < members < sizes[97]
    counts = manifest["counts"]
    assert (counts["lists_refused"], counts["lists_not_processed"]) == (1, 1)
    assert counts["lists_of_another_size"] == 0
    warnings = [each for each in manifest["warnings"] if each.startswith("lists ")]
    assert [each.split(":")[0] for each in warnings] == [
        f"lists 93 ({sizes[93]} by HubSpot's count) without members here",
        f"lists 97 ({members} read, {sizes[97]} by HubSpot's count) with a part of the members",
    ]
    assert "ADHOC" in warnings[0]
    assert "IN_PROGRESS" in warnings[1]
    rows, _ = table("LISTS")
    told = {row["LISTID"]: (row["LISTTYPE"], row["PROCESSINGSTATUS"], row["SIZE"]) for row in rows}
    assert told["93"] == ("ADHOC", "COMPLETE", str(sizes[93]))
    assert told["97"] == ("DYNAMIC", "IN_PROGRESS", str(sizes[97]))
    assert asked == 1


def test_a_list_that_a_page_repeats_is_there_once(delivered, sandbox, monkeypatch):
    monkeypatch.setattr(lists, "PAGE", 5)
    sandbox.faults.add("repeated_record", path="^POST /crm/lists/[^/]+/all", skip=1)
    table = delivered(sandbox)
    rows, manifest = table("LISTS")
    planned = [str(each.facts.list_id) for each in sandbox.portal.lists(READ_AT)]
    assert [row["LISTID"] for row in rows] == planned
    assert manifest["counts"]["lists_repeated"] == 1
    assert "1 lists that HubSpot told twice are here once" in manifest["warnings"]


def test_a_token_without_the_scope_gives_empty_tables_that_say_so(delivered):
    without = frozenset({"crm.lists.read"})
    config = PortalConfig(records=60, now=READ_AT, burst=100_000, without_scopes=without)
    with serve(config) as sandbox:
        table = delivered(sandbox)
    for name in TABLES:
        rows, manifest = table(name)
        assert rows == []
        assert manifest["availability"]["status"] == "missing_scope"
        assert "crm.lists.read" in manifest["availability"]["detail"]
