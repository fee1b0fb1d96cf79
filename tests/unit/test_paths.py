from __future__ import annotations

import pytest

from shared.domain.paths import (
    covers,
    find_value,
    follow,
    merge_patch,
    parse_path,
    places_at,
    pointer_of,
    remove_paths,
    remove_places,
    replace_values,
    set_value,
    values_at,
)


def test_a_path_is_split_into_names_and_wildcards() -> None:
    assert parse_path("$.steps[].ui.**.ids[][]") == ("steps", "[]", "ui", "**", "ids", "[]", "[]")
    assert parse_path("$") == ()


def test_a_path_with_an_empty_segment_is_refused() -> None:
    with pytest.raises(ValueError, match="empty segment"):
        parse_path("a..b")


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("a.b", [1]),
        ("items[].id", ["x", "y"]),
        ("map.{*}", [{"deep": {"id": "z"}}, "w"]),
        ("map.{key}", ["k1", "k2"]),
        ("**.id", ["x", "y", "z"]),
        ("nowhere.b", []),
        ("a.b.c", []),
        ("map[]", []),
    ],
)
def test_values_are_found_at_a_path(path: str, values: list[object]) -> None:
    payload = {"a": {"b": 1}, "items": [{"id": "x"}, {"id": "y"}, 5], "map": {"k1": {"deep": {"id": "z"}}, "k2": "w"}}
    assert list(values_at(payload, path)) == values
    assert [value for _, value in places_at(payload, path)] == ([] if path.endswith("{key}") else values)


def test_places_lead_back_to_their_values() -> None:
    payload = {"items": [{"id": "x"}, {"n": [{"id": "y"}]}]}
    for steps, value in places_at(payload, "**.id"):
        assert follow(payload, steps) == value


def test_null_is_no_value() -> None:
    assert find_value({"a": [{"b": None}, {"b": 0}]}, "a[].b") == 0


def test_removing_leaves_the_original_and_everything_else() -> None:
    payload = {"a": {"b": 1, "c": 2}, "items": [{"id": "x", "n": 1}], "tags": ["t"]}
    assert remove_paths(payload, ("a.b", "items[].id", "tags[]", "none.at.all")) == {
        "a": {"c": 2},
        "items": [{"n": 1}],
        "tags": [],
    }
    assert payload["a"] == {"b": 1, "c": 2}


def test_several_items_of_an_array_are_removed_by_the_indexes_they_had() -> None:
    payload = {"a": [0, 1, {"x": [7, 8, 9]}, 3]}
    remove_places(payload, [("a", 0), ("a", 2, "x", 1), ("a", 3), ("a", 9), ("b", "c"), ()])
    assert payload == {"a": [1, {"x": [7, 9]}]}


def test_what_is_below_a_removed_part_is_gone_with_it() -> None:
    payload = {"a": [{"x": 1}, 2]}
    remove_places(payload, [("a", 0), ("a", 0, "x")])
    assert payload == {"a": [2]}


def test_values_are_replaced_in_place() -> None:
    payload = {"cases": [{"on": True}, {"on": True}, {}]}
    assert replace_values(payload, "cases[].on", lambda on: not on)
    assert payload == {"cases": [{"on": False}, {"on": False}, {}]}
    assert not replace_values(payload, "cases[].off", lambda on: on)


def test_setting_makes_the_objects_on_the_way() -> None:
    payload: dict[str, object] = {}
    set_value(payload, "a.b", 1)
    assert payload == {"a": {"b": 1}}
    set_value(payload, "a.b.c", 1)
    assert payload == {"a": {"b": {"c": 1}}}
    for path in ("a[].c", "a.{*}", "a[]", ""):
        with pytest.raises(ValueError, match="cannot set"):
            set_value(payload, path, 1)
    assert payload == {"a": {"b": {"c": 1}}}


@pytest.mark.parametrize(
    ("path", "steps", "covered"),
    [
        ("a.b", ("a", "b", 0, "c"), True),
        ("a[].b", ("a", 3, "b"), True),
        ("a[].b", ("a", "3", "b"), False),
        ("a.{*}", ("a", "any"), True),
        ("a.**.c", ("a", "x", 1, "c"), True),
        ("a.b.c", ("a", "b"), False),
    ],
)
def test_a_path_covers_what_is_at_or_below_it(path: str, steps: tuple[str | int, ...], covered: bool) -> None:
    assert covers(path, steps) is covered


def test_pointers_escape_as_rfc_6901_says() -> None:
    assert pointer_of(("a/b", 0, "m~n")) == "/a~1b/0/m~0n"


@pytest.mark.parametrize(
    ("payload", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a"], ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ],
)
def test_a_merge_patch_does_what_the_examples_of_rfc_7386_say(payload: object, patch: object, result: object) -> None:
    assert merge_patch(payload, patch) == result
