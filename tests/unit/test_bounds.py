import json
import re
import time
from typing import Any

import pytest

from shared.domain.bounds import MAX_DEPTH, check_depth, read_json, read_json_text, whole_text
from shared.domain.errors import TooDeepError


def nested(levels: int, array: bool = False) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value] if array else {"a": value}
    return value


def depth_of(value: Any) -> int:
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [below for one in level for below in (one.values() if isinstance(one, dict) else one)]
    return depth


@pytest.mark.parametrize("array", [True, False])
def test_a_payload_may_be_nested_as_deep_as_the_bound_and_no_deeper(array: bool) -> None:
    check_depth(nested(MAX_DEPTH, array))
    with pytest.raises(TooDeepError, match=re.escape(f"{MAX_DEPTH} levels")):
        check_depth(nested(MAX_DEPTH + 1, array))


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 1_000, 20_000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_what_is_nested_too_deep_is_read_as_far_as_it_takes_to_know_that(levels: int, opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    text = json.dumps([{"id": "fine", "text": 'brackets [[[ in "text"'}])[:-1]
    text += ', {"id": "odd", "v": ' + opening * levels + "1" + closing * levels + '}, {"id": "last"}]'
    fine, odd, last = read_json(text.encode())
    assert (fine, last) == ({"id": "fine", "text": 'brackets [[[ in "text"'}, {"id": "last"})
    assert odd["id"] == "odd"
    assert MAX_DEPTH < depth_of(odd) < MAX_DEPTH + 20
    with pytest.raises(TooDeepError):
        check_depth(odd)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 50_000 + "]", '["' * 50_000, "", "{broken"])
def test_deep_text_that_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_json(text)
    assert read_json_text(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1]}', {"a": [1]}),
        ("[]", []),
        ("5", None),
        ('"[1]"', None),
        ("null", None),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, nested(MAX_DEPTH, array=True)),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), None),
        ("[" * 100_000 + "]" * 100_000, None),
    ],
)
def test_a_text_holds_json_only_where_it_is_an_object_or_array_within_the_bound(text: str, value: Any) -> None:
    assert read_json_text(text) == value


def test_half_a_surrogate_pair_becomes_one_replacement_character() -> None:
    text = '{"title": "A\\ud83d", "\\udc00key": ["B\\ude00C"], "pair": "\\ud83d\\ude00", "in": {"\\ud83d": 1, "b": 2}}'
    assert read_json(text) == {
        "title": "A\ufffd",
        "\ufffdkey": ["B\ufffdC"],
        "pair": "\U0001f600",
        "in": {"\ufffd": 1, "b": 2},
    }
    assert list(read_json('{"a": 1, "\\ud83d": 2, "c": 3}')) == ["a", "\ufffd", "c"]
    assert read_json('"\\ud83d"') == "\ufffd"
    assert whole_text("Größe") == "Größe"
    assert whole_text("\ud83d\ude00") == "\ufffd\ufffd"


@pytest.mark.parametrize(
    "text", ["[" * 400_000, '"' + '\\"' * 400_000, "[" * 200_000 + '"' + '\\"' * 200_000, '["' * 200_000]
)
def test_reading_takes_time_in_proportion_to_the_text(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"."):
        read_json(text)
    # Searching from each quote anew would take minutes.
    assert time.process_time() - began < 5
