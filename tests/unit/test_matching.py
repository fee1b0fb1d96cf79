from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.api_operation import Operation, WriteOperation
from shared.domain.matching import Match, Pair, TargetIndex, chosen_id, match, may_match, portable_id
from shared.domain.natural_keys import natural_key_of
from shared.domain.plan import LineageEntry, Rule, SourceConfig, TargetConfig
from shared.domain.resource_type import (
    Fields,
    Identity,
    NaturalKey,
    Reference,
    ResourceKey,
    ResourceType,
    SystemManaged,
)
from shared.domain.row import RowError
from shared.domain.system_managed import find_system_managed

PAIR = Pair("s", "t")
WRITE = WriteOperation(api="", host="", operation_id="w", method="PUT", path="/{id}", client_id=True)


def a_type(identity: Identity = Identity.SERVER, **more: Any) -> ResourceType:
    fields = {
        "name": "any",
        "label": "",
        "icon": "",
        "source_api": "",
        "sdk_client": "",
        "fields": Fields(id="id", title=("name",)),
        "get": Operation(api="", host="", operation_id="g", method="GET", path="/{id}"),
        "create": WRITE,
        "update": WRITE,
        "natural_key": NaturalKey(fields=(("name", "kind"), ("name",))),
    }
    return ResourceType(**{**fields, **more}, identity=identity)


def a_source(payload: dict[str, Any] | None, config_id: str = "src", **more: Any) -> SourceConfig:
    return SourceConfig(key=ResourceKey("any", config_id), payload=payload, **{"selected": True, **more})


def a_target(config_id: str, whole: bool = True, **payload: Any) -> TargetConfig:
    return TargetConfig(key=ResourceKey("any", config_id), payload={"id": config_id, **payload}, whole=whole)


def lineage_to(target_id: str) -> LineageEntry:
    return LineageEntry(type="any", source_org_id="s", source_id="src", target_org_id="t", target_id=target_id)


def matched(
    resource_type: ResourceType,
    source: SourceConfig,
    *targets: TargetConfig,
    entry: LineageEntry | None = None,
    taken: frozenset[tuple[str, str]] = frozenset(),
    pair: Pair = PAIR,
) -> Match:
    index = TargetIndex({"any": resource_type}, {"any": targets})
    return match(resource_type, source, natural_key_of(resource_type, source.payload), entry, index, taken, pair)


def summary(found: Match) -> tuple[str, str | None, bool]:
    return found.rule, found.target.key.id if found.target else None, found.untouched


def test_1_what_could_not_be_fetched_fails_with_the_reason() -> None:
    error = RowError("DOWNSTREAM_UNAVAILABLE", "503")
    assert matched(a_type(), a_source(None, error=error)).error == error
    assert matched(a_type(), a_source(None)).error is not None


def test_1_a_type_that_cannot_be_written_fails_and_says_why() -> None:
    found = matched(a_type(create=None, update=None, missing={"create": "It cannot."}), a_source({"name": "a"}))
    assert str(found.error) == "OPERATION_UNSUPPORTED: It cannot."


def test_2_a_system_managed_config_is_skipped_and_mapped_to_the_targets_own() -> None:
    managed = a_type(system_managed=(SystemManaged(path="system", reason="The platform owns it."),))
    source = a_source({"name": "a", "system": True})
    assert summary(matched(managed, source, a_target("x", name="a"))) == (Rule.PLATFORM_OWNED, "x", True)
    assert summary(matched(managed, source)) == (Rule.PLATFORM_OWNED, None, True)


def test_2_a_type_that_is_never_synced_is_skipped_with_its_reason() -> None:
    found = matched(a_type(skip_sync="It mints a secret."), a_source({"name": "a"}))
    assert (found.untouched, found.reason) == (True, "It mints a secret.")


def test_2_a_config_that_the_targets_platform_owns_is_not_touched() -> None:
    managed = a_type(system_managed=(SystemManaged(path="protected", reason="Protected."),))
    found = matched(managed, a_source({"name": "a"}), a_target("x", name="a", protected=True))
    assert summary(found) == (Rule.PLATFORM_OWNED, "x", True)


def test_a_built_in_config_may_be_updated_but_is_never_created() -> None:
    built_in = a_type(
        Identity.PORTABLE, system_managed=(SystemManaged(path="source", reason="Built in.", update_allowed=True),)
    )
    source = a_source({"name": "a", "source": "system"})
    assert summary(matched(built_in, source, a_target("src", name="z"))) == (Rule.SAME_ID, "src", False)
    assert summary(matched(built_in, source)) == (Rule.PLATFORM_OWNED, None, True)


def test_3_lineage_wins_over_every_name() -> None:
    targets = [a_target("x", name="other"), a_target("y", name="a")]
    assert summary(matched(a_type(), a_source({"name": "a"}), *targets, entry=lineage_to("x"))) == (
        Rule.LINEAGE,
        "x",
        False,
    )


def test_3_lineage_to_a_target_that_is_gone_falls_through_and_says_so() -> None:
    found = matched(a_type(), a_source({"name": "a"}), a_target("y", name="a"), entry=lineage_to("gone"))
    assert summary(found) == (Rule.NATURAL_KEY, "y", False)
    assert "gone" in found.reason
    assert summary(matched(a_type(), a_source({"name": "b"}), entry=lineage_to("gone"))) == (Rule.NEW, None, False)


def test_4_a_selected_config_is_found_by_the_id_that_both_organisations_share() -> None:
    word, role = a_type(Identity.PORTABLE), a_type(Identity.ORG_PREFIXED)
    assert summary(matched(word, a_source({"name": "a"}), a_target("src"))) == (Rule.SAME_ID, "src", False)
    assert summary(matched(role, a_source({"name": "a"}, "s:admin"), a_target("t:admin"))) == (
        Rule.SAME_ID,
        "t:admin",
        False,
    )


def test_2a_what_was_reached_by_name_only_is_left_alone_even_with_lineage() -> None:
    word = a_type(Identity.PORTABLE)
    source = a_source({"name": "a"}, selected=False)
    assert summary(matched(word, source, a_target("src"))) == (Rule.BY_NAME, "src", True)
    assert summary(matched(word, source, a_target("x"), entry=lineage_to("x"))) == (Rule.BY_NAME, "x", True)


def test_2a_what_a_job_of_ours_left_half_done_is_completed_though_reached_by_name_only() -> None:
    word, source = a_type(Identity.PORTABLE), a_source({"name": "a"}, selected=False)
    half_done = replace(lineage_to("x"), last_sync_job_id="job-1")
    assert summary(matched(word, source, a_target("x"), entry=half_done)) == (Rule.LINEAGE, "x", False)
    completed = replace(half_done, target_fingerprint="f")
    assert summary(matched(word, source, a_target("x"), entry=completed)) == (Rule.BY_NAME, "x", True)


def test_2a_holds_for_keys_of_configs_whose_id_differs() -> None:
    variable = a_type(natural_key=NaturalKey(fields=(("key",),), strong=True))
    by_name = a_source({"key": "k"}, selected=False, by_name_only=True)
    by_id = a_source({"key": "k"}, selected=False)
    assert summary(matched(variable, by_name, a_target("x", key="k"))) == (Rule.BY_NAME, "x", True)
    assert summary(matched(variable, by_id, a_target("x", key="k"))) == (Rule.NATURAL_KEY, "x", False)


def test_what_is_never_overwritten_is_skipped_where_it_exists_and_created_elsewhere() -> None:
    variable = a_type(Identity.PORTABLE, never_overwrite=True)
    assert summary(matched(variable, a_source({"name": "a"}), a_target("src"))) == (Rule.SAME_ID, "src", True)
    assert summary(matched(variable, a_source({"name": "a"}))) == (Rule.NEW, None, False)


def test_5_one_unclaimed_config_of_the_natural_key_is_the_match_and_the_event_names_the_fields() -> None:
    found = matched(
        a_type(), a_source({"name": "a", "kind": 1}), a_target("x", name="a", kind=1.0), a_target("y", name="a")
    )
    assert summary(found) == (Rule.NATURAL_KEY, "x", False)
    assert found.reason == "Matched by a weak natural key: name, kind agree."


def test_5_a_config_that_lineage_claims_is_no_candidate() -> None:
    targets = [a_target("x", name="a"), a_target("y", name="a")]
    taken = frozenset({("any", "x")})
    assert summary(matched(a_type(), a_source({"name": "a"}), *targets, taken=taken)) == (Rule.NATURAL_KEY, "y", False)


def test_6_several_candidates_fail_with_their_number_and_ids() -> None:
    found = matched(a_type(), a_source({"name": "a"}), a_target("y", name="a"), a_target("x", name="a"))
    assert str(found.error) == "AMBIGUOUS_MATCH: 2 candidates on the target agree in name: x, y."


def test_7_lineage_only_creates_what_a_name_would_match() -> None:
    found = matched(a_type(), a_source({"name": "a"}), a_target("x", name="a"), pair=Pair("s", "t", heuristic=False))
    assert summary(found) == (Rule.NEW, None, False)


@pytest.mark.parametrize("payload", [{"kind": 1}, {"name": ""}, {"name": "\u00a0 "}, {"name": None}, {}])
def test_an_incomplete_natural_key_matches_nothing(payload: dict[str, Any]) -> None:
    assert natural_key_of(a_type(), payload) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "rule"),
    [
        ("Größe", unicodedata.normalize("NFD", "Größe"), Rule.NATURAL_KEY),
        ("Solar", "Solar ", Rule.NATURAL_KEY),
        ("Solar", "\u00a0Solar\u00a0", Rule.NATURAL_KEY),
        (["Größe", "a"], [unicodedata.normalize("NFD", "Größe") + " ", "a"], Rule.NATURAL_KEY),
        ("Solar", "solar", Rule.NEW),
        ("Solar Plus", "SolarPlus", Rule.NEW),
    ],
)
def test_blanks_around_a_name_and_its_unicode_form_do_not_count_and_case_does(
    ours: Any, theirs: Any, rule: str
) -> None:
    assert matched(a_type(), a_source({"name": ours}), a_target("x", name=theirs)).rule == rule


def test_sets_in_a_natural_key_match_in_any_order() -> None:
    view = a_type(natural_key=NaturalKey(fields=(("slugs",),)), sets=("slugs",))
    assert summary(matched(view, a_source({"slugs": ["a", "b"]}), a_target("x", slugs=["b", "a"]))) == (
        Rule.NATURAL_KEY,
        "x",
        False,
    )


@pytest.mark.parametrize(
    ("kind", "payload", "managed"),
    [
        (SystemManaged(path="a", reason=""), {"a": True}, True),
        (SystemManaged(path="a", reason=""), {"a": "x"}, True),
        (SystemManaged(path="a", reason=""), {"a": False}, False),
        (SystemManaged(path="a", reason=""), {"a": None}, False),
        (SystemManaged(path="a", reason=""), {}, False),
        (SystemManaged(path="a[].b", reason="", values=("x",)), {"a": [{"b": "y"}, {"b": "x"}]}, True),
        (SystemManaged(path="a", reason="", values=(1,)), {"a": True}, False),
        (SystemManaged(path="a", reason="", prefix="sys"), {"a": "system"}, True),
        (SystemManaged(path="a", reason="", prefix="sys"), {"a": "my sys"}, False),
        (SystemManaged(path="a", reason="", foreign_org=True), {"a": "other"}, True),
        (SystemManaged(path="a", reason="", foreign_org=True), {"a": "s"}, False),
    ],
)
def test_system_managed_kinds_are_told_by_their_field(
    kind: SystemManaged, payload: dict[str, Any], managed: bool
) -> None:
    assert (find_system_managed(a_type(system_managed=(kind,)), payload, "s") is not None) is managed


def test_ids_that_the_caller_chooses_are_the_same_at_every_try_and_differ_per_pair() -> None:
    client = a_type(Identity.CLIENT)
    key = ResourceKey("any", "x")
    assert chosen_id(client, key, PAIR) == chosen_id(client, key, PAIR)
    assert chosen_id(client, key, PAIR) != chosen_id(client, key, Pair("s", "u"))
    assert chosen_id(client, key, PAIR) != chosen_id(client, key, Pair("r", "t"))
    assert chosen_id(a_type(Identity.PORTABLE), key, PAIR) == "x"
    assert portable_id(a_type(Identity.ORG_PREFIXED), "other:admin", PAIR) == "other:admin"
    assert chosen_id(a_type(create=None), key, PAIR) is None


def test_details_are_read_of_list_items_that_may_match_and_of_no_others() -> None:
    summary_type = a_type(
        list_fields=Fields(id="id", title=("list_name",)),
        natural_key=NaturalKey(fields=(("name", "kind", "ref"),)),
        references=(Reference(to=("any",), path="$.ref"),),
    )
    items = [
        a_target("same", whole=False, list_name="a"),
        a_target("kind", whole=False, list_name="a", kind="other", ref="elsewhere"),
        a_target("name", whole=False, list_name="b"),
        a_target("whole", name="a", kind="k", ref="elsewhere"),
    ]
    found = may_match(summary_type, [{"name": "a", "kind": "k", "ref": "here"}], items)
    assert [item.key.id for item in found] == ["same", "whole"]
    assert may_match(a_type(natural_key=None), [{"name": "a"}], items) == []
