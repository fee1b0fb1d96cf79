from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.bounds import MAX_DEPTH
from shared.domain.fingerprint import (
    _pairs_up,
    canonical,
    canonical_again,
    catalogue_version,
    equal_where_sent,
    fingerprint,
    override_fingerprint,
)
from shared.domain.resource_type import Reference, ResourceType
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


@pytest.mark.parametrize(
    "changed",
    [
        {"strip": (*TYPE.strip, "more")},
        {"sets": (*TYPE.sets, "more")},
        {"secrets": (*TYPE.secrets, "more")},
        {"stringified": ()},
        {"keep_only": ("a",)},
        {"drop_without": {"rules": "on"}},
        {"external_strip": ()},
        {"references": (Reference(to=("any",), path="$.owner.id"),)},
    ],
)
def test_what_an_entry_declares_about_content_decides_its_catalogue_version(changed: dict[str, Any]) -> None:
    assert catalogue_version(replace(TYPE, **changed)) != catalogue_version(TYPE)


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "Other"},
        {"link": "/other/{id}"},
        {"strip": tuple(reversed(TYPE.strip))},
        {"references": (Reference(to=("any",), path="$.elsewhere"),)},
    ],
)
def test_what_says_nothing_about_content_leaves_the_catalogue_version(changed: dict[str, Any]) -> None:
    assert catalogue_version(replace(TYPE, **changed)) == catalogue_version(TYPE)


def test_every_type_has_a_catalogue_version() -> None:
    assert all(len(catalogue_version(resource_type)) == 12 for resource_type in RESOURCE_TYPES.values())


PAYLOAD = {
    "id": "x",
    "a": 1.0,
    "n": None,
    "tags": ["y", "x"],
    "rules": [{"on": ["b", "a"]}, {"n": 2.0}],
    "config": '{"b": [1.0, null], "id": "x", "c": null}',
    "more": {"x": 1},
    "list": ["b", "a"],
}


@pytest.mark.parametrize("config", ['{"b": [1.0], "c": null}', '"5"', "5", "{broken", '"[1]"', "[" * 100, "", None])
def test_canonical_content_of_todays_entry_stays_as_it_is(config: Any) -> None:
    content = canonical(TYPE, {**PAYLOAD, "config": config})
    assert canonical_again(TYPE, content) == content


@pytest.mark.parametrize(
    "today",
    [
        replace(TYPE, strip=(*TYPE.strip, "more")),
        replace(TYPE, sets=(*TYPE.sets, "list")),
        replace(TYPE, stringified=(*TYPE.stringified, "more.text")),
        replace(TYPE, strip=(*TYPE.strip, "config.id")),
    ],
)
def test_older_canonical_content_becomes_what_todays_entry_makes_of_the_payload(today: ResourceType) -> None:
    payload = {**PAYLOAD, "more": {"text": '{"a": 1.0}'}}
    assert canonical_again(today, canonical(TYPE, payload)) == canonical(today, payload)


@pytest.mark.parametrize(
    ("ours", "theirs", "equal"),
    [
        ([{"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2, "c": 3}, {"a": 1, "c": 3}], True),
        ([{"a": 1}, {"b": 2}, {"c": 3}], [{"a": 1, "b": 2}, {"b": 2, "c": 3}, {"c": 3, "a": 1}], True),
        ([{"a": 1}, {"a": 1}], [{"a": 1, "b": 2}, {"b": 2}], False),
        ([{"a": 1}], [{"a": 1}, {"a": 1}], True),
        ([1], [True], False),
        ([{"a": 0}], [{"a": False}], False),
        ([1], [1.0], True),
        (["a"], [["a"]], False),
        ([{"a": None}], [{}], True),
    ],
)
def test_items_of_a_set_pair_up_wherever_each_can_have_a_partner(
    ours: list[Any], theirs: list[Any], equal: bool
) -> None:
    for turned in (ours, ours[::-1]):
        assert _pairs_up(turned, theirs, (), frozenset()) is equal


def test_sets_of_many_items_pair_up() -> None:
    ours = [{"n": number % 2, **({} if number % 3 else {"x": number})} for number in range(600)]
    theirs = [{"n": number % 2, "x": number, "y": number} for number in range(600)]
    assert equal_where_sent(replace(TYPE, sets=("s",)), {"s": ours}, {"s": theirs})
    assert not equal_where_sent(replace(TYPE, sets=("s",)), {"s": [*ours[1:], {"n": 3}]}, {"s": theirs})


@pytest.mark.parametrize(("empty", "equal"), [([], False), ({}, False), ("", False), (None, True)])
def test_an_empty_value_is_not_a_missing_one(empty: Any, equal: bool) -> None:
    assert equal_where_sent(TYPE, {"a": empty}, {}) is equal


def test_the_deepest_payload_with_the_deepest_text_can_be_compared() -> None:
    deep: Any = []
    for _ in range(MAX_DEPTH - 3):
        deep = [deep]
    payload = {"in": {"config": "[" * MAX_DEPTH + "]" * MAX_DEPTH}, "deep": deep}
    entry = replace(TYPE, stringified=("in.config",), sets=("deep",))
    assert equal_where_sent(entry, payload, payload)
    assert canonical_again(entry, canonical(entry, payload)) == canonical(entry, payload)
