"""What follows from association types, and pages of links that are hard to follow."""

import orjson
import pytest

from hubspot_assets.hubspot.associations import Definition, inverses, read_links
from hubspot_assets.hubspot.errors import IncompleteAnswer
from hubspot_assets_tests.hubspot.fakes import FakeTime, client_of, ok


def types(*told):
    """`H279 U101:Parent`: category, id, label."""
    categories = {"H": "HUBSPOT_DEFINED", "U": "USER_DEFINED", "I": "INTEGRATOR_DEFINED"}
    parts = [each.partition(":") for text in told for each in text.split()]
    return [Definition(categories[of[0]], int(of[1:]), label or None) for of, _, label in parts]


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        ("H279", "H280", {279: 280}),
        ("H279 H1:Primary", "H280 H2:Primary", {279: 280, 1: 2}),
        ("U101:Parent", "U102:Child", {101: 102}),
        ("U27 U119:Driver", "U28 U120:Drives", {27: 28, 119: 120}),
        ("H279 U101:A I901:A", "H280 U102:A I902:A", {279: 280, 101: 102, 901: 902}),
        ("U101:Parent U103:Child", "U102:Child U104:Parent", {}),
        ("U101:A U103:B", "U102:A U104:B", {}),
        ("U101:A", "U102:A U104:B", {}),
        ("H279 H1:Primary H931:Billing", "H280 H2:Primary H930:Billing", {279: 280}),
        ("H279 H1", "H280 H2", {}),
        ("H279 H1", "H280 H2:Primary", {}),
        ("H279", "", {}),
        ("U101:A", "I902:A", {}),
    ],
)
def test_an_inverse_is_known_only_where_it_cannot_be_another(forward, backward, expected):
    found = inverses(types(forward), types(backward))
    assert {of.type_id: to.type_id for of, to in found.items()} == expected


def pages(after):
    """A portal where record 1 has links on pages that lead to each other, 2 has few."""

    asked = []

    def answer(request):
        asked.append(request)
        assert len(asked) < 10, "there is no end of it"
        results = []
        for each in orjson.loads(request.content)["inputs"]:
            result = {"from": {"id": each["id"]}, "to": []}
            if each["id"] == "1" and (following := after[each.get("after")]):
                result["paging"] = {"next": {"after": following}}
            results.append(result)
        return ok({"results": results})

    return answer


@pytest.mark.parametrize(
    "after",
    [{None: "a", "a": "a"}, {None: "a", "a": "b", "b": "a"}],
    ids=["itself", "each other"],
)
def test_pages_of_links_that_lead_back_stop_the_reading(after):
    with (
        client_of(pages(after), FakeTime()) as client,
        pytest.raises(IncompleteAnswer, match="associations of 0-1 with 0-2: a page of links"),
    ):
        list(read_links(client, "0-1", "0-2", ["1", "2"]))


@pytest.mark.parametrize("end", [{}, {"paging": None}, {"paging": {"next": None}}])
def test_the_pages_of_a_record_end_in_many_ways(end):
    asked = []

    def answer(request):
        inputs = orjson.loads(request.content)["inputs"]
        asked.append(inputs)
        more = {"paging": {"next": {"after": "a"}}} if len(inputs) > 1 else end
        return ok({"results": [{"from": {"id": each["id"]}, "to": []} | more for each in inputs]})

    with client_of(answer, FakeTime()) as client:
        list(read_links(client, "0-1", "0-2", ["1"]))
    assert asked == [[{"id": "1"}]]


def test_a_following_page_that_is_lost_is_asked_for_again_with_its_cursor():
    asked = []

    def answer(request):
        inputs = orjson.loads(request.content)["inputs"]
        asked.append(inputs)
        if len(asked) == 2:
            return ok({"results": []})
        more = {"paging": {"next": {"after": "a"}}}
        return ok({
            "results": [
                {"from": {"id": each["id"]}, "to": []} | ({} if "after" in each else more)
                for each in inputs
            ]
        })  # fmt: skip

    with client_of(answer, FakeTime()) as client:
        batches = list(read_links(client, "0-1", "0-2", ["1"]))
    assert asked == [[{"id": "1"}], *[[{"id": "1", "after": "a"}]] * 2]
    assert [len(each.results) for each in batches] == [1, 0, 1]
