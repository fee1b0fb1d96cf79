import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.edges import identifiers_of
from shared.domain.errors import InvalidRequestError
from shared.domain.identifiers import identifying_fields
from shared.domain.index_items import (
    MAX_CONFIGS_PER_IDENTIFIER,
    ItemKind,
    StoredItem,
    digest_of,
    identified_in,
    identifier_items,
    owner_of,
    plan_changes,
)
from shared.domain.index_state import new_build_token
from shared.domain.node_query import resource_type_named
from shared.domain.read_config import MAX_POINTERS, Candidate, ReadConfig, UnindexableConfigError, read_config
from tests.fakes.types import CATALOGUE, FORM

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
FRESH, STALE = 10_000_000, 100

keys = st.tuples(st.just(ItemKind.NODE), st.sampled_from(["form", "theme"]), st.sampled_from("abcd"))
contents = st.fixed_dictionaries({"value": st.integers(0, 2)})
desired_items = st.dictionaries(keys, contents, max_size=6)
stored_items = st.dictionaries(keys, st.tuples(contents, st.sampled_from([FRESH, STALE])), max_size=6)


def read(payload, **more):
    return read_config(FORM, {"id": "f-1", "name": "Form", **payload}, None, ("slug",), NOW)


def stored(items):
    return {key: StoredItem(digest_of(content), expires) for key, (content, expires) in items.items()}


@given(desired_items, stored_items, st.sets(st.sampled_from(["form", "theme"])))
def test_law_applying_the_changes_gives_what_is_desired_and_what_is_kept(desired, before, kept):
    changes = plan_changes(desired, stored(before), lambda key: key.type in kept, now=0)
    after = {key: content for key, (content, _) in before.items()}
    after |= {key: content for key, content, _ in changes.puts}
    for key in changes.deletes:
        del after[key]

    expected = {key: content for key, (content, _) in before.items() if key[1] in kept} | desired
    assert after == expected


@given(desired_items)
def test_law_a_second_plan_writes_nothing(desired):
    first = plan_changes(desired, {}, lambda _: False, now=0)
    written = {key: StoredItem(digest, FRESH) for key, _, digest in first.puts}

    assert len(plan_changes(desired, written, lambda _: False, now=0)) == 0


@given(desired_items, stored_items)
def test_law_only_what_differs_or_ages_is_written(desired, before):
    changes = plan_changes(desired, stored(before), lambda _: False, now=0)
    unchanged = {k for k, c in desired.items() if before.get(k) == (c, FRESH)}

    assert {key for key, _, _ in changes.puts} == set(desired) - unchanged


def test_kept_items_that_age_are_touched_and_not_rewritten():
    key = (ItemKind.NODE, "form", "a")
    changes = plan_changes({}, {key: StoredItem("x", STALE)}, lambda _: True, now=0)

    assert (changes.touches, changes.kept, changes.deletes, changes.puts) == ([key], [key], [], [])


def test_an_inverse_edge_belongs_to_the_config_that_uses():
    assert owner_of((ItemKind.USED_BY, "theme", "t", "form", "f")) == ("form", "f")
    assert owner_of((ItemKind.EDGE, "form", "f", "theme", "t")) == ("form", "f")
    assert owner_of((ItemKind.IDENTIFIER, "x")) is None


def test_what_is_kept_of_a_payload_survives_a_checkpoint():
    config = read({"slug": "contact", "theme": "t-1", "_manifest": ["b"], "tags": ["x"], "enabled": True})

    assert ReadConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_keeps_candidates_with_their_places_and_without_secrets():
    config = read({"theme": "t-1", "linked": ["f-2", "f-2"], "secret": "Aa345678", "note": "id Bb345678."})

    assert config.candidates == {
        Candidate("t-1", 0): ("/theme",),
        Candidate("f-2", 1): ("/linked/0", "/linked/1"),
        Candidate("Bb345678", -1): ("/note",),
    }


def test_bounds_the_number_of_places():
    (pointers,) = read({"linked": ["f-2"] * 200}).candidates.values()

    assert len(pointers) == MAX_POINTERS


def test_the_content_hash_ignores_secrets_and_follows_content():
    assert read({"secret": "a"}).content_hash == read({"secret": "b"}).content_hash
    assert read({"theme": "a"}).content_hash != read({"theme": "b"}).content_hash


@pytest.mark.parametrize("config_id", ["x" * 257, "a\nb", "#" * 200])
def test_an_id_that_the_index_cannot_hold_is_refused(config_id):
    with pytest.raises(UnindexableConfigError, match="id"):
        read({"id": config_id})


def test_an_alias_that_nobody_could_look_up_is_left_out():
    assert read({"slug": "x" * 1001}).identifiers == {"f-1": "id"}


def test_an_identifier_may_stand_for_several_configs():
    one, other = read({"slug": "same"}), read({"id": "f-2", "slug": "same"})

    assert [found.key.id for found in identifiers_of([other, one])["same"]] == ["f-1", "f-2"]


def test_identifying_fields_are_aliases_and_what_references_compare():
    assert identifying_fields(CATALOGUE)["theme"] == ("key",)
    assert identifying_fields(CATALOGUE)["board"] == ()


def test_an_unknown_type_is_refused_with_the_known_ones():
    with pytest.raises(InvalidRequestError, match="type: one of board, form, mapping, picture, theme"):
        resource_type_named(CATALOGUE, "jorney")


@given(st.integers(0, 2**40), st.integers(1, 2**20), st.binary(min_size=10, max_size=10))
def test_a_later_build_has_a_greater_token(milliseconds, later, randomness):
    first = new_build_token(milliseconds / 1000, b"\xff" * 10)
    second = new_build_token((milliseconds + later + 1) / 1000, randomness)

    assert first < second
    assert len(first) == 26


def test_a_token_is_a_ulid():
    assert new_build_token(1_469_918_176.385, bytes(10)) == "01ARYZ6S410000000000000000"


def test_an_identifier_of_very_many_configs_stays_small():
    configs = [read({"id": f"f-{number}", "slug": "same"}) for number in range(MAX_CONFIGS_PER_IDENTIFIER + 5)]
    content = identifier_items(identifiers_of(configs))[ItemKind.IDENTIFIER, "same"]

    assert len(identified_in(content)) == MAX_CONFIGS_PER_IDENTIFIER
