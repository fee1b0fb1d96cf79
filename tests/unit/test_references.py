from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.referable_fields import referable_fields
from shared.domain.references import (
    FoundReference,
    Identified,
    find_references,
    is_by_name,
    is_identifier_shaped,
    resolve,
)
from shared.domain.resource_type import (
    Fields,
    Form,
    Identity,
    Reference,
    ResourceKey,
    ResourceType,
    Strength,
)
from shared.domain.rewriting import Replacement, rewrite
from shared.domain.sendable import referents_of, sendable, without_secrets
from tests.effort import count_calls
from tests.unit.organisations import CATALOGUE

UUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
SHORT = "aB3dE6gH"
KNOWN = frozenset({UUID, SHORT, "_6kITMwkv", "my_variable", "https://files.example/1/a.png", "plainword", "org:slug"})


def type_with(*references: Reference, **more: Any) -> ResourceType:
    return ResourceType(
        name="any",
        label="",
        icon="",
        source_api="",
        sdk_client="",
        fields=Fields(id="id", title=("name",)),
        identity=Identity.SERVER,
        references=references,
        **more,
    )


def found_in(payload: Any, *references: Reference) -> list[tuple[str, str]]:
    found = find_references(type_with(*references), payload, KNOWN.__contains__)
    return [(one.pointer, one.identifier) for one in found]


@pytest.mark.parametrize(
    ("reference", "payload", "expected"),
    [
        (Reference(to=("t",), path="$.a.b"), {"a": {"b": "anything"}}, [("/a/b", "anything")]),
        (Reference(to=("t",), path="$.a[].b[]"), {"a": [{"b": ["x", "y"]}]}, [("/a/0/b/0", "x"), ("/a/0/b/1", "y")]),
        (Reference(to=("t",), path="$.a.{*}"), {"a": {"k": "x", "l": ["no"]}}, [("/a/k", "x")]),
        (Reference(to=("t",), path="$.a.{key}", form=Form.SLUG), {"a": {"contact": 1}}, [("/a/contact", "contact")]),
        (
            Reference(to=("t",), path="$.a.**.id"),
            {"a": {"id": "1", "x": [{"y": {"id": "2"}}]}},
            [("/a/id", "1"), ("/a/x/0/y/id", "2")],
        ),
        (
            Reference(to=("t",), path="$.a[]", form=Form.PREFIXED_ID, prefix="group_"),
            {"a": ["group_g1", "user"]},
            [("/a/0", "g1")],
        ),
        (Reference(to=("t",), path="$.a", form=Form.SLUG_PREFIX), {"a": "contact:*"}, [("/a", "contact")]),
        (Reference(to=("t",), path="$.a", form=Form.SLUG_PREFIX), {"a": "contact"}, []),
        (Reference(to=("t",), path="$.a", form=Form.SLUG_PREFIX), {"a": "*"}, []),
        (Reference(to=("t",), path="$.a", form=Form.SLUG_PREFIX), {"a": "*:view"}, []),
        (Reference(to=("t",), path="$.a", form=Form.ROLE_ID), {"a": "org1:admin"}, [("/a", "org1:admin")]),
        (
            Reference(to=("t",), path="$.a.**", form=Form.ENV_TEMPLATE),
            {"a": [{"b": "x {{ env.my_variable }} {{env.other}}"}]},
            [("/a/0/b", "my_variable")],
        ),
        (
            Reference(to=("t",), path="$.a", form=Form.HANDLEBARS),
            {"a": "{{my_variable}} {{~~my_variable}} {{unknown}}"},
            [("/a", "my_variable")] * 2,
        ),
        (Reference(to=("t",), path="$.a", strength=Strength.BACK_REFERENCE), {"a": UUID}, []),
        (
            Reference(to=("t",), path="$.a", form=Form.URL),
            {"a": "see https://files.example/1/a.png, ok"},
            [("/a", "https://files.example/1/a.png")],
        ),
        (
            Reference(to=("t",), path="$.a", form=Form.URL),
            {"a": "see https://files.example/1/a.png ok"},
            [("/a", "https://files.example/1/a.png")],
        ),
        (Reference(to=("t",), path="$.v[]", when=("kind", "id")), {"kind": "id", "v": ["x"]}, [("/v/0", "x")]),
        (Reference(to=("t",), path="$.v[]", when=("kind", "id")), {"kind": "text", "v": ["x"]}, []),
    ],
)
def test_every_form_is_found_at_its_path(reference: Reference, payload: Any, expected: list[tuple[str, str]]) -> None:
    assert found_in(payload, reference) == expected


def test_a_condition_looks_at_the_nearest_object_that_has_the_property() -> None:
    reference = Reference(to=("t",), path="$.**.key", when=("source", "env"))
    payload = {"source": "env", "a": {"source": "other", "b": {"key": "no"}}, "c": {"key": "yes"}}
    assert found_in(payload, reference) == [("/c/key", "yes")]


@pytest.mark.parametrize(
    "text",
    [
        UUID,
        f"https://app.example/j?journeyId={UUID}&x=1",
        f"prefix{UUID}suffix",
        f"group_{SHORT}",
        f"{SHORT}:part",
        f"%22{SHORT}%22",
        json.dumps({"text": f"\n{SHORT}", "ü": "ä"}),
        json.dumps(f"ä{SHORT}"),
        '{{generateJourneyLink hash.journeyId="' + UUID + '"}}',
        "[_6kITMwkv]",
    ],
)
def test_known_ids_are_found_inside_longer_strings(text: str) -> None:
    (found,) = find_references(type_with(), {"a": [text]}, KNOWN.__contains__)
    assert text[found.start : found.end] == found.identifier
    assert found.identifier in KNOWN
    assert rewrite({"a": [text]}, [Replacement(found, "NEW")]) == {"a": [text.replace(found.identifier, "NEW")]}


def test_a_known_word_is_no_reference_outside_of_a_typed_path() -> None:
    assert found_in({"a": "plainword and my_variable"}) == []


def test_without_an_index_every_possible_reading_is_a_candidate() -> None:
    candidates = {one.identifier for one in find_references(type_with(), {"a": f"group_{SHORT} plainword"}, None)}
    assert candidates == {f"group_{SHORT}", SHORT}


def test_of_two_typed_references_at_one_place_the_first_counts() -> None:
    first, second = Reference(to=("a",), path="$.x"), Reference(to=("b",), path="$.**")
    (found,) = find_references(type_with(first, second), {"x": "id"}, KNOWN.__contains__)
    assert found.reference is first


def test_a_property_named_like_a_wildcard_is_an_ordinary_one() -> None:
    assert found_in({"a": {"{key}": "x", "[]": "y"}}, Reference(to=("t",), path="$.a.{key}", form=Form.SLUG)) == [
        ("/a/{key}", "{key}"),
        ("/a/[]", "[]"),
    ]


@pytest.mark.parametrize(
    ("value", "shaped"),
    [
        (UUID, True),
        (SHORT, True),
        ("longprefix:b", True),
        ("contact", False),
        ("opportunity", False),
        ("SHOUTING", False),
        ("https://x.example/a", True),
        ("two words1", False),
        ("Firstname", False),
        ("abc12", False),
    ],
)
def test_identifiers_are_told_from_words(value: str, shaped: bool) -> None:
    assert is_identifier_shaped(value) is shaped


def found(path: str, identifier: str, form: Form = Form.ID, *to: str, **more: Any) -> FoundReference:
    return FoundReference(
        ("a",), identifier, 0, len(identifier), Reference(to=to or ("t",), path=path, form=form, **more)
    )


def test_a_reference_names_the_known_config_of_its_likeliest_type() -> None:
    identifiers = {"x": [Identified(ResourceKey("b", "x")), Identified(ResourceKey("a", "x"))]}
    assert resolve(found("$.a", "x", Form.ID, "a", "b"), identifiers) == Identified(ResourceKey("a", "x"))
    assert resolve(found("$.a", "y", Form.ID, "a", "b"), identifiers) == Identified(ResourceKey("a", "y"))
    assert resolve(found("$.a", "y", Form.HANDLEBARS), identifiers) is None


def test_content_is_resolved_by_the_field_it_equals_and_claims_no_id() -> None:
    file = ResourceKey("t", "f1")
    identifiers = {"k": [Identified(file, "s3.key")], "f1": [Identified(file)]}
    assert resolve(found("$.a", "k", Form.CONTENT, field="s3.key"), identifiers) == Identified(file, "s3.key")
    assert resolve(found("$.a", "f1", Form.CONTENT, field="s3.key"), identifiers) is None
    assert resolve(found("$.a", "unknown", Form.CONTENT, field="s3.key"), identifiers) is None


def test_a_scanned_id_that_is_known_twice_names_nothing() -> None:
    scanned = FoundReference(("a",), SHORT, 0, 8)
    one, two = Identified(ResourceKey("a", SHORT)), Identified(ResourceKey("b", SHORT))
    assert resolve(scanned, {SHORT: [one]}) == one
    assert resolve(scanned, {SHORT: [one, two]}) is None


def test_an_id_goes_before_the_alias_of_another_config() -> None:
    alias, own = Identified(ResourceKey("t", "other"), "key"), Identified(ResourceKey("t", SHORT))
    assert resolve(found("$.a", SHORT), {SHORT: [alias, own]}) == own
    assert resolve(FoundReference(("a",), SHORT, 0, 8), {SHORT: [alias, own]}) == own


def test_a_scanned_word_or_key_names_a_config_only_by_an_id_that_the_server_assigned() -> None:
    word = {name: replace(type_with(), name=name, identity=identity) for name, identity in IDENTITIES.items()}
    for text, in_key, type_name, path, named in (
        ("opportunity", False, "server", "id", True),
        ("opportunity", False, "portable", "id", False),
        ("opportunity", False, "server", "key", False),
        (SHORT, False, "portable", "id", True),
        (SHORT, False, "server", "key", True),
        (SHORT, True, "server", "id", True),
        (SHORT, True, "server", "key", False),
    ):
        key = ResourceKey(type_name, text if path == "id" else "other")
        scanned = FoundReference(("a",), text, 0, len(text), in_key=in_key)
        assert (resolve(scanned, {text: [Identified(key, path)]}, word) is not None) is named, (text, in_key, type_name)


def test_what_only_the_scan_found_is_by_name_where_its_identifier_is_portable() -> None:
    word = {name: replace(type_with(), name=name, identity=identity) for name, identity in IDENTITIES.items()}
    word["file"] = replace(type_with(strip=("public_url",)), name="file", identity=Identity.SERVER)
    scanned = FoundReference(("a",), SHORT, 0, 8)
    for type_name, path, by_name in (
        ("server", "id", False),
        ("client", "id", False),
        ("portable", "id", True),
        ("role", "id", True),
        ("server", "code", True),
        ("file", "public_url", False),
    ):
        identified = Identified(ResourceKey(type_name, SHORT if path == "id" else "other"), path)
        assert is_by_name(scanned, identified, word) is by_name, (type_name, path)


def test_an_id_that_is_made_of_slugs_names_its_config_only_where_an_id_is_expected() -> None:
    label = ResourceKey("taxonomy_classification", "region:north")
    identifiers = {label.id: [Identified(label)]}
    for type_name, payload, by_name in (
        ("product", {"_purpose": [label.id]}, False),
        ("product", {"remarks": f"see {label.id}."}, True),
        ("taxonomy_classification", {"enabled_purposes": [label.id]}, True),
        ("taxonomy_classification", {"parents": [label.id]}, False),
        ("target", {"entity_filters": [{"key": "_purpose", "value": label.id}]}, True),
    ):
        reached = referents_of(RESOURCE_TYPES[type_name], payload, identifiers, RESOURCE_TYPES)
        assert reached == {label: by_name}, (type_name, payload)


IDENTITIES = {
    "server": Identity.SERVER,
    "client": Identity.CLIENT,
    "portable": Identity.PORTABLE,
    "role": Identity.ORG_PREFIXED,
}


def test_what_is_left_out_is_the_smallest_part_that_makes_sense() -> None:
    item = Reference(to=("t",), path="$.links[].ref.id", unit=2)
    value = Reference(to=("t",), path="$.one")
    payload = {"links": [{"ref": {"id": "a"}}, {"ref": {"id": "b"}}, {"ref": {"id": "c"}}], "one": "d", "text": UUID}
    places = find_references(type_with(item, value), payload, KNOWN.__contains__)
    gone = [Replacement(one, None) for one in places if one.identifier != "b"]
    assert rewrite(payload, gone) == {"links": [{"ref": {"id": "b"}}], "text": UUID}


@pytest.mark.parametrize("turned", [False, True])
def test_a_sibling_has_its_value_from_the_reference_beside_it_whatever_was_found_in_it(turned: bool) -> None:
    by_key = Reference(to=("t",), path="$.key", form=Form.CONTENT, field="key", siblings={"url": "url"})
    payload = {"key": "source/abcd1234", "url": "https://file.example/source/abcd1234/a.png"}
    pinned = Replacement(
        FoundReference(("key",), "source/abcd1234", 0, 15, by_key),
        "target/wxyz6789",
        {"url": "https://file.example/t/b.png"},
    )
    scanned = Replacement(FoundReference(("url",), "abcd1234", 28, 36), "wxyz6789")
    found = rewrite(payload, [scanned, pinned] if turned else [pinned, scanned])
    assert found == {"key": "target/wxyz6789", "url": "https://file.example/t/b.png"}


def test_keys_and_siblings_are_rewritten_too() -> None:
    keyed = Reference(to=("t",), path="$.map.{key}", form=Form.ID)
    pinned = Reference(to=("t",), path="$.map.{*}.ref.id", siblings={"version": "version"})
    payload = {"map": {"k": {"ref": {"id": "a", "version": 3}}, "other": 1}}
    places = find_references(type_with(keyed, pinned), payload, KNOWN.__contains__)
    values = {"k": Replacement(places[0], "K"), "a": Replacement(places[1], "A", {"version": 9})}
    result = rewrite(payload, [values[one.identifier] for one in places[:2]])
    assert result == {"map": {"K": {"ref": {"id": "A", "version": 9}}, "other": 1}}
    assert list(result["map"]) == ["K", "other"]
    assert payload["map"]["k"]["ref"] == {"id": "a", "version": 3}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.lists(st.sampled_from(sorted(KNOWN)), max_size=3))
def test_what_is_not_rewritten_is_byte_for_byte_what_it_was(value: Any, known: list[str]) -> None:
    payload = {"free": value, "ids": [f"<{one}>" for one in known]}
    places = find_references(type_with(), payload, KNOWN.__contains__)
    assert json.dumps(rewrite(payload, [Replacement(one, one.identifier) for one in places])) == json.dumps(payload)
    assert json.dumps(rewrite(payload, [Replacement(one, None) for one in places])) == json.dumps(payload)


def test_a_secret_that_is_only_an_environment_template_is_none() -> None:
    resource_type = type_with(secrets=("auth[].password", "token"))
    payload = {"auth": [{"password": "{{ env.pw }}"}, {"password": "x{{ env.pw }}"}], "token": None, "n": 1}
    assert without_secrets(resource_type, payload) == {"auth": [{"password": "{{ env.pw }}"}, {}], "n": 1}


def test_only_what_may_leave_the_organisation_is_sendable() -> None:
    resource_type = type_with(
        Reference(to=("group",), path="$.shared[]", form=Form.PREFIXED_ID, prefix="group_"),
        strip=("id", "items[].at", "own"),
        external_strip=("shared[]", "owner"),
        keep_target=("own",),
        secrets=("token",),
        drop_without={"options[]": "value"},
    )
    payload = {
        "id": "1",
        "items": [{"at": 1, "n": 2}],
        "shared": ["u1", "group_g1", "u2"],
        "owner": "u1",
        "own": 1,
        "token": "t",
        "options": [{"value": 0}, {"value": None}, {}],
        "name": "n",
    }
    assert sendable(resource_type, payload) == {
        "items": [{"n": 2}],
        "shared": ["group_g1"],
        "options": [{"value": 0}],
        "name": "n",
    }
    assert sendable(type_with(keep_only=("name",)), payload) == {"name": "n"}


def test_a_closure_follows_what_is_sent_and_knows_what_is_reached_by_name_only() -> None:
    page = CATALOGUE["page"]
    payload = {
        "page_id": "p",
        "settings": {"theme_id": "t1", "mirror_id": UUID},
        "words": ["contact"],
        "notes": [SHORT, "contact"],
    }
    identifiers = {
        SHORT: [Identified(ResourceKey("word", SHORT))],
        UUID: [Identified(ResourceKey("page", "other"), "settings.mirror_id")],
    }
    assert referents_of(page, payload, identifiers) == {
        ResourceKey("theme", "t1"): False,
        ResourceKey("word", "contact"): True,
        ResourceKey("word", SHORT): False,
    }


def test_fields_that_others_refer_to_are_known_from_the_whole_catalogue() -> None:
    assert set(referable_fields(CATALOGUE, "asset")) == {"public_url", "s3.key", "s3.bucket"}
    assert referable_fields(CATALOGUE, "mapping") == ("version",)


def test_the_effort_of_walking_a_payload_grows_with_its_size() -> None:
    block = {"label": "Some words for a block " * 4, "options": {"products": [UUID, "other"], "hint": f"x {UUID} y"}}
    walked = type_with(Reference(to=("t",), path="$.steps[].ui.**.products[]"))

    def effort(blocks: int) -> int:
        payload = {"steps": [{"ui": {"elements": [block] * 10}} for _ in range(blocks // 10)]}
        return count_calls(find_references, walked, payload, KNOWN.__contains__)

    few, many = effort(20), effort(200)
    print(f"\n{few:,} and {many:,} calls")
    assert many < 10 * few * 1.5
