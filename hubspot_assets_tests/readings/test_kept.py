"""What is made once and needed again, as long as there is little of it."""

from hubspot_assets.readings.kept import Kept


def test_it_is_made_once_until_there_is_too_much():
    made, kept = [], Kept(10)

    def of(key, size=4):
        def make():
            made.append(key)
            return f"{key} of {size}"

        return kept.of(key, make, lambda _: size)

    assert [of("a"), of("a"), of("b")] == ["a of 4", "a of 4", "b of 4"]
    assert [of("c"), of("c")] == ["c of 4"] * 2
    assert of("d", size=2) == of("d", size=2) == "d of 2"
    assert made == ["a", "b", "c", "c", "d"]
