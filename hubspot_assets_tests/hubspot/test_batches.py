"""Every id that a batch API is asked for is accounted for: records, associations, deal splits."""

from collections import Counter
from dataclasses import dataclass, field

import orjson
import pytest

from hubspot_assets.hubspot.associations import read_links
from hubspot_assets.hubspot.errors import BadRequest, IncompleteAnswer
from hubspot_assets.hubspot.own_apis import deal_splits
from hubspot_assets.hubspot.records import batch_read
from hubspot_assets_tests.hubspot.fakes import FakeTime, Script, client_of, error, ok

FOR_EVER = 1_000


@dataclass
class Portal:
    """A batch API that loses, fails and merges ids; remembers what it was asked for.

    `lost` and `failing` are by id, so many times; `merged` is the survivor by merged id.
    """

    missing: set[str] = field(default_factory=set)
    lost: dict[str, int] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)
    poisoned: set[str] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)
    nameless: bool = False
    asked: list[list[str]] = field(default_factory=list)

    def __call__(self, request):
        ids = [each["id"] for each in orjson.loads(request.content)["inputs"]]
        self.asked.append(ids)
        if self.poisoned & set(ids):
            return error(400, message="Invalid object id", category="VALIDATION_ERROR")
        found, gone, failed = {}, [], []
        for each in ids:
            if self.lost.get(each, 0) > 0:
                self.lost[each] -= 1
            elif self.failing.get(each, 0) > 0:
                self.failing[each] -= 1
                failed.append(each)
            elif each in self.missing:
                gone.append(each)
            else:
                survivor = self.merged.get(each, each)
                found[survivor] = self.result(survivor)
        errors = [self.absent(each) for each in gone] + [self.failed(each) for each in failed]
        return ok({"results": list(found.values()), "errors": errors})

    def result(self, record_id):
        """What the API tells of a record."""
        raise NotImplementedError

    def absent(self, record_id):
        """What it says where there is nothing to tell."""
        raise NotImplementedError

    def failed(self, record_id):
        context = {} if self.nameless else self.absent(record_id)["context"]
        return {"category": "INTERNAL_ERROR", "message": "not now", "context": context}

    def again(self):
        """What was asked for after the first request."""
        return self.asked[1:]


class Records(Portal):
    def result(self, record_id):
        return {"id": record_id, "properties": {}}

    def absent(self, record_id):
        return {"category": "OBJECT_NOT_FOUND", "context": {"ids": [record_id]}}

    def read(self, client, ids):
        page = batch_read(client, "0-1", ids, ["email"])
        assert len(page.records) + page.missing + len(page.refused) == len(ids)
        self.refused = len(page.refused)
        return [each["id"] for each in page.records]


class Splits(Portal):
    def result(self, record_id):
        split = {"id": f"{record_id}0", "properties": {"hs_deal_split_percentage": "1"}}
        return {"id": record_id, "splits": [split]}

    def absent(self, record_id):
        return {"category": "OBJECT_NOT_FOUND", "context": {"ids": [record_id]}}

    def read(self, client, ids):
        refused = []
        found = [each.content for each in deal_splits(client, ids, refused.append)]
        self.refused = len(refused)
        assert all(each["id"] == f"{each['dealId']}0" for each in found)
        return [each["dealId"] for each in found]


class Links(Portal):
    refused: dict[str, str]

    def result(self, record_id):
        of = {"category": "HUBSPOT_DEFINED", "typeId": 3, "label": None}
        return {"from": {"id": record_id}, "to": [{"toObjectId": 7, "associationTypes": [of]}]}

    def absent(self, record_id):
        return {
            "category": "OBJECT_NOT_FOUND",
            "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
            "context": {"fromObjectId": [record_id]},
        }

    def read(self, client, ids):
        batches = list(read_links(client, "0-3", "0-1", ids))
        self.refused = {key: why for each in batches for key, why in each.refused.items()}
        return [result["from"]["id"] for each in batches for result in each.results]


@pytest.fixture(params=[Records, Splits, Links], ids=["records", "deal splits", "associations"])
def api(request):
    """The class of a portal with one of the batch APIs."""
    return request.param


@pytest.fixture
def read():
    """Reads ids of a portal; the ids that it told of, each once."""

    def run(portal, *ids):
        with client_of(portal, FakeTime()) as client:
            found = Counter(portal.read(client, list(ids)))
        assert set(found.values()) <= {1}
        return set(found)

    return run


def test_what_is_told_of_is_asked_for_once(api, read):
    portal = api(missing={"2", "4"})
    assert read(portal, "1", "2", "3", "4") == {"1", "3"}
    assert portal.again() == []


def test_an_id_that_is_lost_is_asked_for_again_and_no_other(api, read):
    portal = api(lost={"2": 1})
    assert read(portal, "1", "2", "3") == {"1", "2", "3"}
    assert portal.again() == [["2"]]


def test_a_missing_id_does_not_hide_a_lost_one(api, read):
    portal = api(missing={"1"}, lost={"2": 1})
    assert read(portal, "1", "2", "3") == {"2", "3"}
    assert portal.again() == [["2"]]


def test_a_whole_answer_that_is_lost_is_asked_for_again(api, read):
    ids = [str(number) for number in range(1, 51)]
    assert read(portal := api(lost=dict.fromkeys(ids, 1)), *ids) == set(ids)
    assert len(portal.again()) <= 4


@pytest.mark.parametrize("number", [1, 2, 50])
def test_an_id_that_stays_lost_stops_the_reading_soon(api, read, number):
    ids = [str(each) for each in range(900, 900 + number)]
    portal = api(lost=dict.fromkeys(ids, FOR_EVER))
    with pytest.raises(IncompleteAnswer, match="neither returned nor reported missing") as stopped:
        read(portal, "1", *ids)
    assert not [each for each in ids if each in str(stopped.value)]
    assert len(portal.again()) <= 8


def test_a_merged_id_whose_survivor_was_asked_for_is_no_error(api, read):
    portal = api(merged={"2": "3"})
    assert read(portal, "1", "2", "3") == {"1", "3"}


def test_two_merged_ids_of_one_new_survivor_are_no_error(api, read):
    portal = api(merged={"2": "9", "3": "9"}, missing={"4"})
    assert read(portal, "1", "2", "3", "4") == {"1"}


def test_a_merged_id_does_not_hide_a_lost_one(api, read):
    portal = api(merged={"2": "9"}, lost={"3": 2})
    assert read(portal, "1", "2", "3") == {"1", "3"}
    with pytest.raises(IncompleteAnswer, match="neither returned"):
        read(api(merged={"2": "9"}, lost={"3": FOR_EVER}), "1", "2", "3")


@pytest.mark.parametrize("nameless", [False, True], ids=["named", "of nobody"])
def test_an_error_that_passes_costs_nothing(api, read, nameless):
    portal = api(failing={"2": 1}, nameless=nameless)
    assert read(portal, "1", "2", "3") == {"1", "2", "3"}
    assert portal.again() == [["2"]]


def test_a_lost_id_does_not_hide_one_that_fails(api, read):
    portal = api(failing={"2": 1}, lost={"3": 1})
    assert read(portal, "1", "2", "3") == {"1", "2", "3"}
    assert sorted(portal.again()) == [["2"], ["3"]]


def test_ids_that_fail_are_asked_for_each_alone(api, read):
    portal = api(failing={"2": 1, "3": 1})
    assert read(portal, "1", "2", "3") == {"1", "2", "3"}
    assert sorted(portal.again()) == [["2"], ["3"]]


@pytest.mark.parametrize("api", [Records, Splits])
def test_an_error_that_stays_costs_its_object_alone(api, read):
    assert read(portal := api(failing={"2": FOR_EVER}), "1", "2") == {"1"}
    assert portal.refused == 1
    for number, failing in ((1, 1), (50, 6), (50, 50)):
        ids = [str(each) for each in range(number)]
        with pytest.raises(IncompleteAnswer, match="failed to be read"):
            read(api(failing=dict.fromkeys(ids[:failing], FOR_EVER)), *ids)


def test_a_record_whose_links_stay_refused_is_told_and_the_others_are_read(read):
    portal = Links(failing={"2": FOR_EVER}, missing={"4"})
    assert read(portal, "1", "2", "3", "4") == {"1", "3"}
    assert portal.refused == {"2": "not now"}
    assert portal.again() == [["2"]]


def test_an_id_that_spoils_a_batch_of_links_is_told_and_the_others_are_read(read):
    portal = Links(poisoned={"5"})
    ids = [str(each) for each in range(1, 9)]
    assert read(portal, *ids) == set(ids) - {"5"}
    assert [*portal.refused] == ["5"]
    assert "Invalid object id" in portal.refused["5"]


def test_a_pair_of_which_nothing_can_be_read_is_refused_as_a_whole(read):
    ids = [str(each) for each in range(1, 200)]
    with pytest.raises(BadRequest, match="Invalid object id"):
        read(Links(poisoned=set(ids)), *ids)
    with pytest.raises(IncompleteAnswer, match="failed to be read"):
        read(portal := Links(failing=dict.fromkeys(ids, FOR_EVER)), *ids)
    assert len(portal.asked) < 60


@pytest.mark.parametrize("api", [Records, Splits])
@pytest.mark.parametrize("poisoned", [["7"], ["0", "49"], ["1", "2", "3", "30", "31"]])
def test_an_object_that_spoils_a_batch_costs_itself_alone(api, read, poisoned):
    ids = [str(each) for each in range(50)]
    portal = api(poisoned=set(poisoned))
    assert read(portal, *ids) == set(ids) - set(poisoned)
    assert portal.refused == len(poisoned)


@pytest.mark.parametrize("api", [Records, Splits])
@pytest.mark.parametrize(("number", "poisoned"), [(1, 1), (2, 2), (50, 6), (50, 50)])
def test_a_batch_of_objects_that_is_refused_is_refused(api, read, number, poisoned):
    """No more than a few, and never all: it may be the request, or the type."""
    ids = [str(each) for each in range(number)]
    portal = api(poisoned=set(ids[:poisoned]))
    with pytest.raises(BadRequest, match="Invalid object id"):
        read(portal, *ids)
    assert len(portal.asked) < 60


def test_where_others_were_told_of_a_last_one_may_be_refused():
    with client_of(Records(poisoned={"7"}), FakeTime()) as client:
        page = batch_read(client, "0-1", ["7"], ["email"], served=True)
    assert (list(page.records), page.missing, page.refused) == ([], 0, frozenset({"7"}))
    ids = [str(each) for each in range(51)]
    with client_of(portal := Splits(poisoned={"50"}), FakeTime()) as client:
        assert len(portal.read(client, ids)) == 50
    assert portal.refused == 1


@pytest.mark.parametrize("result", [{}, {"from": 7}, {"from": {}}])
def test_a_result_of_nobody_is_one_clear_error(api, result):
    portal = api()
    with (
        client_of(Script(ok({"results": [result]})), FakeTime()) as client,
        pytest.raises(IncompleteAnswer, match=r"POST /.*: HubSpot gives a result without an id"),
    ):
        portal.read(client, ["1"])


def test_no_ids_ask_for_nothing(api, read):
    assert read(portal := api()) == set()
    assert portal.asked == []
