"""JSON that says the same when it was read and written."""

import pytest

from hubspot_assets.json_text import is_json, parsed, told


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"b": 1.10, "a": [1e400, -0.0, 12345678901234567890123]}',
         '{"a":[1e400,-0.0,12345678901234567890123],"b":1.10}'),
        (b"9" * 5000, "9" * 5000),
        (rb'["\ud83d", 1.10, "\ud83d\ude00", "a\u0000"]', '["\0",1.10,"\U0001f600","a\0"]'),
        (rb'{"\udd00": "\\u0000 \\\u0000"}', '{"\0":"\\\\u0000 \\\\\0"}'),
        (b'"\xed\xa0\xbd and \xff"', '"\0 and \0"'),
        ("\u00e9\u2028".join('""').encode(), '"\u00e9\u2028"'),
    ],
)  # fmt: skip
def test_json_says_the_same(content, text):
    assert told(parsed(content)) == text


@pytest.mark.parametrize("content", [b"", b'{"a":', b"[NaN]", b"<html>", b"[" * 100_000, b"01"])
def test_what_is_no_json(content):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever kind
        parsed(content)


@pytest.mark.parametrize("text", ["{", "NaN", "1e", "'a'", r'"\ud83d"', "[" * 100_000, ""])
def test_a_text_that_is_no_json(text):
    assert not is_json(text)
    assert is_json('{"a": 1e400}')
