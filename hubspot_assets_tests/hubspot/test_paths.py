from __future__ import annotations

import csv
from importlib.resources import files

import pytest

from hubspot_assets.hubspot.errors import HubSpotError
from hubspot_assets.hubspot.paths import Paths, host_of


def test_dated_paths_come_first() -> None:
    paths = Paths()
    assert paths.path("account", "details") == "/account-info/2026-09/details"
    assert paths.path("objects", object_type="0-1") == "/crm/objects/2026-09/0-1"
    assert paths.path("owners") == "/crm/owners/2026-09"
    assert (
        paths.path("associations", "batch_read", object_type="0-1", to_object_type="0-2")
        == "/crm/associations/2026-09/0-1/0-2/batch/read"
    )


def test_each_api_can_be_set_to_another_version() -> None:
    paths = Paths({"owners": "v3", "objects": "2026-03", "associations": "v4"})
    assert paths.path("owners") == "/crm/v3/owners/"
    assert paths.path("objects", "search", object_type="0-1") == "/crm/objects/2026-03/0-1/search"
    assert (
        paths.path("associations", "labels", object_type="0-1", to_object_type="2-7")
        == "/crm/v4/associations/0-1/2-7/labels"
    )
    assert paths.path("properties", object_type="0-1") == "/crm/properties/2026-09/0-1"


def test_numbered_paths_are_those_of_the_official_client() -> None:
    paths = Paths({"users": "v3", "user_teams": "v3", "account": "v3", "limits": "v3"})
    assert paths.path("users") == "/settings/v3/users/"
    assert paths.path("user_teams") == "/settings/v3/users/teams"
    assert paths.path("account", "details") == "/account-info/v3/details"
    assert paths.path("limits", "records") == "/crm/v3/limits/records"


def test_every_row_of_the_table_is_whole() -> None:
    with files("hubspot_assets.hubspot").joinpath("paths.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({(row["api"], row["endpoint"]) for row in rows})
    for row in rows:
        assert row["budget"] in {"general", "search", "associations", ""}
        for version in row["versions"].split():
            template = row["numbered" if version.startswith("v") else "dated"]
            assert template.startswith("/")
            assert "{version}" in template


def test_path_arguments_are_encoded_and_must_be_there() -> None:
    paths = Paths()
    assert paths.path("objects", object_type="p1/ä") == "/crm/objects/2026-09/p1%2F%C3%A4"
    with pytest.raises(ValueError, match="objects list needs more for its path /crm/objects/"):
        paths.path("objects")
    with pytest.raises(ValueError, match="objects list needs a value for object_type in /crm/"):
        paths.path("objects", object_type="")
    with pytest.raises(ValueError, match="owners list has no place for object_type"):
        paths.path("owners", object_type="0-1")


def test_queries_keep_their_commas() -> None:
    url = (
        Paths()
        .endpoint("objects")
        .url(
            {"object_type": "0-1"},
            {"properties": "a,b", "archived": True, "limit": 50, "after": None, "q": "ä&b =c"},
        )
    )
    assert url == (
        "/crm/objects/2026-09/0-1?properties=a,b&archived=true&limit=50&q=%C3%A4%26b%20%3Dc"
    )


def test_unknown_names_are_one_clear_line() -> None:
    with pytest.raises(ValueError, match=r"^there is no API 'owner'; known are account, assoc.*$"):
        Paths({"owner": "v3"})
    with pytest.raises(
        ValueError, match=r"^HubSpot's API owners has no version 'v9'; it has 2026-09, 2026-03, v3$"
    ):
        Paths({"owners": "v9"})
    with pytest.raises(ValueError, match=r"^there is no endpoint objects delete; known are "):
        Paths().path("objects", "delete")


def test_base_urls() -> None:
    assert host_of("https://user:secret@localhost:8070/x") == "localhost:8070"
    for wrong in ("api.hubapi.com", "", "ftp://api.hubapi.com", "https://"):
        with pytest.raises(HubSpotError, match=r"expected https://api\.hubapi\.com"):
            host_of(wrong)


def test_a_version_leaves_out_the_endpoints_that_it_lacks() -> None:
    assert Paths().path("lists", "all") == "/crm/lists/2026-09/all"
    older = Paths({"lists": "v3"})
    assert older.path("lists", "search") == "/crm/v3/lists/search"
    assert older.has("lists", "search")
    assert not older.has("lists", "all")
    with pytest.raises(ValueError, match="there is no endpoint lists all"):
        older.endpoint("lists", "all")
