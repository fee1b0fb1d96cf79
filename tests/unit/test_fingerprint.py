from __future__ import annotations

from typing import Any

import pytest

from shared.domain.fingerprint import canonical, equal_where_sent, fingerprint, override_fingerprint
from tests.unit.test_references import type_with

TYPE = type_with(
    strip=("id", "updated_at", "own"),
    keep_target=("own",),
    external_strip=("owner",),
    secrets=("token",),
    sets=("tags", "rules[].on", "rules"),
    stringified=("config",),
)


@pytest.mark.parametrize(
    "other",
    [
        {"b": 2, "a": 1.0, "tags": ["y", "x"]},
        {"a": 1, "b": 2, "tags": ["x", "y"], "id": "other", "updated_at": "now", "own": 1, "owner": "u", "token": "t"},
        {"a": 1, "b": 2, "tags": ["x", "y"], "c": None},
        {"a": 1, "b": 2, "tags": ["x", "y"], "config": None},
    ],
)
def test_what_says_the_same_has_the_same_fingerprint(other: dict[str, Any]) -> None:
    assert fingerprint(TYPE, {"a": 1, "b": 2, "tags": ["x", "y"]}) == fingerprint(TYPE, other)


@pytest.mark.parametrize(
    "other",
    [
        {"a": True, "list": [1, 2]},
        {"a": 1, "list": [2, 1]},
        {"a": 1, "list": [1, 2, None]},
        {"a": "1", "list": [1, 2]},
        {"a": 1, "list": [1, 2], "c": False},
        {"a": 1, "list": [1, 2], "c": ""},
    ],
)
def test_what_says_something_else_has_another_fingerprint(other: dict[str, Any]) -> None:
    assert fingerprint(TYPE, {"a": 1, "list": [1, 2]}) != fingerprint(TYPE, other)


def test_stringified_json_counts_by_its_content() -> None:
    one, other = {"config": '{"a": 1, "b": [1.0]}'}, {"config": '{"b":[1],"a":1}'}
    assert fingerprint(TYPE, one) == fingerprint(TYPE, other)
    assert canonical(TYPE, {"config": "{broken"}) == {"config": "{broken"}


def test_sets_inside_of_sets_are_sorted_first() -> None:
    one = {"rules": [{"on": ["b", "a"]}, {"on": ["c"]}]}
    other = {"rules": [{"on": ["c"]}, {"on": ["a", "b"]}]}
    assert fingerprint(TYPE, one) == fingerprint(TYPE, other)


def test_an_override_is_fingerprinted_as_it_is() -> None:
    assert override_fingerprint({"a": 1, "b": None}) == override_fingerprint({"b": None, "a": 1})
    assert override_fingerprint({"a": None}) != override_fingerprint({})


@pytest.mark.parametrize(
    ("body", "target", "equal"),
    [
        ({"a": 1}, {"a": 1.0, "default": "x"}, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "filled": True}}, True),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "filled": True}]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": False}, {"a": 0}, False),
        ({"a": 1}, {}, False),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": 1}, False),
        ({"a": {}}, {"a": []}, False),
        ({"tags": ["a", "b", "b"]}, {"tags": ["b", "a", "b"]}, True),
        ({"tags": ["a", "b", "b"]}, {"tags": ["a", "a", "b"]}, False),
        ({"rules": [{"n": 1}, {"n": 2}]}, {"rules": [{"n": 2, "x": 0}, {"n": 1, "on": []}]}, True),
        ({"rules": [{"on": ["a", "b"]}]}, {"rules": [{"on": ["b", "a"]}]}, True),
        ({"config": '{"a": 1}'}, {"config": '{ "a":1, "filled": 2 }'}, True),
        ({"config": '{"a": 1}'}, {"config": '{"a": 2}'}, False),
    ],
)
def test_only_the_fields_of_the_body_are_compared(body: dict[str, Any], target: dict[str, Any], equal: bool) -> None:
    assert equal_where_sent(TYPE, body, target) is equal
