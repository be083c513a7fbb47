"""Submissions, pages and e-mails of which only what has changed is read: the same rows."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache

import polars as pl
import pytest

from hubspot_assets.exported import Exported
from hubspot_assets.hubspot import own_apis
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.hubspot.client import HubSpot
from hubspot_assets.hubspot.errors import BadRequest
from hubspot_assets.readings.reading import Staged
from hubspot_assets.readings.staging import Staging
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import Settings
from hubspot_assets.sources import modified
from hubspot_assets.sources.items import read_items
from hubspot_assets.sources.own_sources import own_sources
from hubspot_assets.sources.source import Ask
from hubspot_assets.storage import open_store
from hubspot_assets_tests.fortnights import FIRST, MINUTE, Fortnight, day_number

SUBMISSIONS, LANDING_PAGES, EMAILS, SITE_PAGES, POSTS = "0-15", "0-25", "0-29", "0-38", "0-39"
MODIFIED = (LANDING_PAGES, EMAILS, SITE_PAGES, POSTS)
NIGHT = 90 * MINUTE
NEVER = 10_000


@cache
def sources(portal):
    """The sources of types that have an API of their own, by type."""
    exported = Exported.of(standard_catalog(), Settings(hubspot_base_url=f"https://{portal}"))
    return {each.object_type_id: each for each in own_sources(exported)}


@dataclass
class Night:
    """A reading of one type, and the requests that it took."""

    staged: Staged
    definitions: set[str]
    asked: int

    def rows(self):
        """All records with their values, but for when they were read."""
        found = []
        for chunk in self.staged.chunks():
            records = chunk.read("records").drop("readAt")
            values = chunk.read("values").group_by("id", maintain_order=True).agg(pl.exclude("id"))
            found += records.join(values, on="id", maintain_order="left").rows()
        return found

    @property
    def read(self):
        """How many objects were read; None where all were."""
        return self.staged.counts.get("objects_read")


class Nights(Fortnight):
    """Nights in which a type is read into one folder."""

    def __init__(self, sandbox, root, type_id):
        super().__init__(sandbox)
        self.root = root
        self.type_id = type_id

    def night(
        self, number, incremental="auto", *, root=None, portal="here", again=False, days=NEVER
    ):
        """Reads the day of that number in its night, and gives the reading."""
        day = day_number(number)
        source = sources(portal)[self.type_id]
        staging = Staging(open_store(root or self.root), day, read_again=again)
        with self.at(day.end + NIGHT), self.client() as client:
            ask = Ask(client, staging, day, incremental=incremental, sweep_days=days)
            staged = source.extract(ask)
            told = read_items(staging.complete(source.also[0]))
            return Night(staged, {each.content["name"] for each in told}, client.stats.requests)

    def is_right(self, number, tmp_path):
        """Whether a night shows what a reading of all at the same moment does."""
        shown = self.night(number)
        whole = self.night(number, "off", root=tmp_path / f"whole-{number}")
        assert shown.rows() == whole.rows()
        assert shown.definitions == whole.definitions
        counts = {"records", "records_without_history", "objects_alike", "parts_refused"}
        for name in counts:
            assert shown.staged.counts.get(name, 0) == whole.staged.counts.get(name, 0), name
        assert shown.staged.availability == whole.staged.availability
        return shown, whole


@pytest.fixture
def nights(tmp_path):
    """Makes them: of a portal of its own each."""

    def make(type_id, now=FIRST, **config):
        sizes = {"records": 4_000, "contact_properties": 5} | config
        own = PortalConfig(now=now, burst=10**6, **sizes)
        return Nights(portals.enter_context(serve(own)), tmp_path / "state", type_id)

    with ExitStack() as portals:
        yield make


@pytest.fixture
def few(monkeypatch):
    """As if a page were of five objects, so that there are many pages."""
    monkeypatch.setattr(modified, "FEW", 0)
    monkeypatch.setattr(own_apis, "PAGE", 2)


@pytest.mark.samples(1)
@pytest.mark.parametrize("identified", [True, False])
def test_submissions_are_read_some_way_past_known_ones(nights, tmp_path, identified):
    lived = nights(SUBMISSIONS, conversion_ids=identified)
    first = lived.night(0)
    assert first.read is None
    for number in range(1, 3):
        shown, whole = lived.is_right(number, tmp_path)
        assert 0 < shown.read < shown.staged.counts["objects_kept"]
        assert shown.asked < whole.asked * 0.6
        assert shown.staged.base_folder == first.staged.folder
        assert shown.staged.swept_at == first.staged.began


@pytest.mark.slow
def test_a_submission_that_is_deleted_is_gone_at_once_or_when_all_is_read(nights, tmp_path, change):
    lived = nights(SUBMISSIONS)
    first = lived.night(0)
    gone = set()

    def deleted(path, _, body):
        if "/submissions/" in path:
            body["results"] = [each for each in body["results"] if each["conversionId"] not in gone]

    change(deleted)
    with lived.at(day_number(0).end + NIGHT), lived.client() as client:
        told = [each.content for each in own_apis.form_submissions(client)]
    by_form = {}
    for each in told:
        by_form.setdefault(each["formId"], []).append(each["conversionId"])
    largest = max(by_form.values(), key=len)
    assert len(largest) > 200
    gone.add(largest[3])
    shown, whole = lived.is_right(1, tmp_path)
    assert shown.staged.base_folder != first.staged.folder  # it is written together
    assert shown.asked < whole.asked * 0.6
    gone.add(largest[-1])
    late = lived.night(2)
    whole = lived.night(2, "off", root=tmp_path / "whole")
    # Nothing that is read at night tells of it.
    assert {row[0] for row in late.rows()} > {row[0] for row in whole.rows()}
    assert len(late.rows()) == len(whole.rows()) + 1
    assert lived.night(3, days=1).read is None
    shown, _ = lived.is_right(4, tmp_path)
    assert shown.read is not None


@pytest.mark.slow
def test_old_submissions_that_were_not_told_before(nights, tmp_path, change):
    lived = nights(SUBMISSIONS)
    with lived.at(day_number(0).end + NIGHT), lived.client() as client:
        told = [each.content for each in own_apis.form_submissions(client)]
    form = Counter(each["formId"] for each in told).most_common(1)[0][0]
    hidden = {each["conversionId"] for each in told if each["formId"] == form}
    hidden = set(sorted(hidden)[: len(hidden) // 2])

    def silent(path, _, body):
        if "/submissions/" in path:
            body["results"] = [
                each for each in body["results"] if each["conversionId"] not in hidden
            ]

    with pytest.MonkeyPatch.context() as patch:
        change(silent, patch=patch)
        lived.night(0)
    shown, _ = lived.is_right(1, tmp_path)
    assert shown.read > len(hidden)


@pytest.mark.slow
def test_submissions_that_come_in_another_order_are_read_to_the_end(nights, tmp_path, change):
    lived = nights(SUBMISSIONS)
    lived.night(0)

    def turned(path, _, body):
        if "/submissions/" in path:
            body["results"].reverse()

    change(turned)
    shown, whole = lived.is_right(1, tmp_path)
    assert shown.asked > whole.asked * 0.8


@pytest.mark.slow
def test_submissions_without_a_moment_are_read_to_the_end(nights, tmp_path, change):
    lived = nights(SUBMISSIONS)

    def undated(path, _, body):
        if "/submissions/" in path:
            for each in body["results"]:
                if each["conversionId"][0] in "06":
                    each.pop("submittedAt")

    change(undated)
    lived.night(0)
    shown, whole = lived.is_right(1, tmp_path)
    assert shown.asked > whole.asked * 0.8


@pytest.mark.slow
def test_a_form_that_is_gone_takes_its_submissions_along(nights, tmp_path, change):
    lived = nights(SUBMISSIONS)
    first = lived.night(0)
    gone = None

    def deleted(path, _, body):
        if path.endswith("/forms"):
            body["results"] = [each for each in body["results"] if each["id"] != gone]

    change(deleted)
    forms = first.staged.chunks()
    values = pl.concat(each.read("values", ["name", "value"]) for each in forms)
    gone = values.filter(pl.col("name") == "form_id")["value"].mode()[0]
    shown, _ = lived.is_right(1, tmp_path)
    assert shown.read is not None
    assert len(shown.rows()) < len(first.rows())


@pytest.mark.slow
@pytest.mark.parametrize("type_id", MODIFIED)
def test_what_was_modified_is_read(nights, tmp_path, few, type_id):
    lived = nights(type_id, records=20)
    lived.night(11)
    ways = []
    for number in range(12, 24):
        shown, whole = lived.is_right(number, tmp_path)
        if shown.read is not None:
            assert shown.asked < whole.asked
            assert shown.read < len(shown.rows())
            ways.append(number)
    # On other days something went, or was published.
    assert len(ways) > 8


def test_few_pages_are_read_as_ever(nights):
    lived = nights(LANDING_PAGES, records=20)
    lived.night(0)
    assert lived.night(1).read is None


@pytest.mark.samples(3)
@pytest.mark.parametrize("type_id", [LANDING_PAGES, EMAILS])
@pytest.mark.parametrize("odd", ["nothing", "no total", "another total", "refused", "undated"])
def test_a_filter_or_count_that_proves_nothing_has_all_read(
    nights, tmp_path, few, change, type_id, odd
):
    lived = nights(type_id, records=20)

    def told(path, _, body):
        if "/landing-pages" not in path and "/emails" not in path:
            return
        if odd == "nothing" and asked[-1]:
            body["results"] = []
            body.pop("paging", None)
        if odd == "no total":
            body.pop("total")
        if odd == "another total":
            body["total"] += 1
        if odd == "undated":
            for each in body["results"][:1]:
                for name in ("created", "updated", "createdAt", "updatedAt"):
                    each.pop(name, None)

    asked = []
    get = HubSpot.get

    def noting(client, api, endpoint="list", *, params=None, **path):
        asked.append("updatedAfter" in (params or {}))
        if odd == "refused" and asked[-1]:
            raise BadRequest("no such filter", status=400, where="here")
        return get(client, api, endpoint, params=params, **path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HubSpot, "get", noting)
        change(told)
        lived.night(0)
        shown, _ = lived.is_right(1, tmp_path)
        assert any(asked) or odd == "undated"
    assert shown.read is None


def test_an_email_that_was_changed(nights, tmp_path, few):
    # Its name is changed at the very end of 22 November.
    lived = nights(EMAILS, records=20)
    lived.night(12)
    shown, _ = lived.is_right(13, tmp_path)
    # Beside it, the newest one that was known proves the filter.
    assert shown.read == 2
    names = [row for row in shown.rows() if "Welcome (2026)" in str(row)]
    assert len(names) == 1


def test_a_page_that_was_archived(nights, tmp_path, few):
    lived = nights(SITE_PAGES, now=FIRST, records=20)
    # That is on 23 November at nine.
    before = len(lived.night(13).rows())
    shown, _ = lived.is_right(14, tmp_path)
    assert shown.read is None
    assert len(shown.rows()) == before - 1


def test_publishing_that_moves_no_modified_date(nights, tmp_path, few):
    # An e-mail is sent on 1 December at six.
    lived = nights(EMAILS, records=20)
    lived.night(20)
    shown, _ = lived.is_right(22, tmp_path)
    assert shown.read is None
    assert lived.night(23).read is not None


@pytest.mark.samples(1)
@pytest.mark.parametrize("type_id", [SUBMISSIONS, EMAILS])
def test_all_is_read_in_its_turn_or_where_it_is_wanted(nights, few, monkeypatch, type_id):
    lived = nights(type_id, records=300)
    lived.night(0)
    assert lived.night(1).read is not None
    assert lived.night(2, "off").read is None
    assert lived.night(2, again=True).read is None
    assert lived.night(3, days=1).read is None
    assert lived.night(4, portal="another").read is None
    assert lived.night(5, portal="another").read is not None
    versions = {"form_submissions": "some other"}
    monkeypatch.setattr(HubSpot, "versions", property(lambda _: versions))
    assert lived.night(6, portal="another").read is None


@pytest.mark.parametrize("type_id", [SUBMISSIONS, EMAILS])
@pytest.mark.parametrize("part", ["00000.records.parquet", "00000.values.parquet", "_reading.json"])
def test_a_base_that_is_half_there_is_none(nights, tmp_path, few, caplog, type_id, part):
    lived = nights(type_id, records=300)
    file = lived.root / lived.night(0).staged.folder / part
    file.write_bytes(file.read_bytes()[:200])
    shown, _ = lived.is_right(1, tmp_path)
    assert shown.read is None


@pytest.mark.slow
def test_changes_that_have_become_many_are_written_together(nights, tmp_path, monkeypatch, few):
    monkeypatch.setattr("hubspot_assets.sources.own_changes.FEW", 5)
    lived = nights(SUBMISSIONS)
    first = lived.night(0)
    monkeypatch.setattr("hubspot_assets.sources.own_changes.MOST_APART", 0)
    shown, _ = lived.is_right(3, tmp_path)
    assert shown.read > 5
    assert shown.staged.base is None
    assert shown.staged.folder != first.staged.folder
    shown, _ = lived.is_right(4, tmp_path)
    assert shown.read is not None
