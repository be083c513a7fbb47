"""A base and its changes, as one."""

import polars as pl
import pytest

from hubspot_assets.readings.merging import DamagedError, StoredChunk, merged
from hubspot_assets.storage import open_store


@pytest.fixture
def stored(tmp_path):
    """Stores chunks of things, each with a word: `stored("base", {1: "a"}, {2: "b"})`."""

    def run(name, *chunks):
        for number, of in enumerate(chunks):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            things = pl.DataFrame({"id": list(of)}, schema={"id": pl.Int64})
            words = [{"id": each, "word": word} for each, text in of.items() for word in text]
            schema = {"id": pl.Int64, "word": pl.String}
            things.write_parquet(folder / f"{number}.records.parquet")
            pl.DataFrame(words, schema=schema).write_parquet(folder / f"{number}.values.parquet")
        store = open_store(tmp_path)
        return [StoredChunk(store, f"{name}/{number}") for number in range(len(chunks))]

    return run


def whole(base, changes):
    """The words of each thing, and that both frames are of the same things in order."""
    found = {}
    for chunk in merged(base, changes):
        ids = chunk.read("records")["id"].to_list()
        values = chunk.read("values")
        assert values["id"].is_sorted()
        assert set(values["id"]) <= set(ids)
        assert chunk.read("values", ["word"]).equals(values.select("word"))
        assert not found.keys() & set(ids)
        assert ids == sorted(ids)
        words = values.group_by("id", maintain_order=True).agg(pl.col("word").str.join(""))
        found |= dict.fromkeys(ids, "") | dict(words.iter_rows())
    assert list(found) == sorted(found)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        [{3: "C"}],
        [{1: "A", 9: "I"}, {12: "L"}],
        [{0: "z", 2: "bb", 5: ""}],
        [{4: "D"}, {6: "F", 7: "G", 8: "H"}, {9: "I", 20: "T"}, {21: "U", 30: "X"}],
        [{11: "K"}, {13: "M"}],
        [{}, {3: ""}],
        [{2: "b", 4: "d"}, {40: "n"}],
    ],
)
def test_changes_take_the_place_of_what_they_change(stored, changes):
    before = [{1: "a", 3: "cd"}, {}, {4: "", 6: "f"}, {9: "i", 10: "jk"}]
    expected = {each: word for chunk in (*before, *changes) for each, word in chunk.items()}
    found = whole(stored("base", *before), stored("changes", *changes))
    assert found == expected


def test_a_file_that_is_cut_off_is_called_damaged(stored, tmp_path):
    (chunk,) = stored("base", {1: "a"})
    path = tmp_path / "base" / "0.values.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DamagedError, match=r"0\.values\.parquet is damaged"):
        chunk.read("values")
