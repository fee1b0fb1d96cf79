from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.paths import copy_json
from shared.domain.plan import Action, Plan, PlannedResource, ResolutionKind, Rule, SourceConfig
from shared.domain.planner import planned_status
from shared.domain.resource_type import NaturalKey, Reference, ResourceKey, ResourceType
from shared.domain.row import RowError
from tests.effort import count_calls
from tests.unit.organisations import CATALOGUE, Item, Organisation, Sync, Target


def organisation(*items: tuple[str, str, dict[str, int | list[int]]]) -> Organisation:
    """Write an organisation as (type, name, slot -> number or numbers)."""
    return Organisation(
        tuple(
            Item(
                number,
                item_type,
                name,
                tuple(
                    (slot, one)
                    for slot, numbers in refs.items()
                    for one in (numbers if isinstance(numbers, list) else [numbers])
                ),
                "text",
            )
            for number, (item_type, name, refs) in enumerate(items)
        )
    )


JOURNEY_LIKE = organisation(
    ("theme", "Blue", {}),
    ("page", "Heat", {"theme": 0, "mapping": 2}),
    ("mapping", "", {"page": 1}),
    ("flow", "Run", {"step": 2, "pages": 1}),
)


def by_number(source: Organisation, made: Plan) -> dict[int, PlannedResource]:
    numbers = {source.key(item.number): item.number for item in source.items}
    return {numbers[one.key]: one for one in made.resources}


def actions(source: Organisation, made: Plan) -> list[str]:
    planned = by_number(source, made)
    return [planned[number].action.value if number in planned else "-" for number in range(len(source.items))]


def synced(source: Organisation) -> Sync:
    sync = Sync(source, Target())
    sync.run()
    sync.target.writes.clear()
    return sync


def test_a_page_and_its_mapping_are_created_in_a_cycle_and_only_the_page_is_patched() -> None:
    planned = by_number(JOURNEY_LIKE, Sync(JOURNEY_LIKE, Target()).plan())
    assert [planned[n].generation for n in range(4)] == [0, 1, 2, 3]
    assert [n for n in range(4) if planned[n].patch] == [1]
    assert [n for n in range(4) if planned[n].activate] == [1]
    assert not any(one.resolve for one in planned.values())
    deferred = [one.found.pointer for one in planned[1].resolutions if one.kind is ResolutionKind.DEFERRED]
    assert deferred == ["/settings/mapping_id"]


def test_forty_two_resources_with_one_cycle_are_42_creates() -> None:
    pages = [("page", f"p{n}", {"theme": 0}) for n in range(37)]
    source = organisation(
        ("theme", "t", {}),
        *pages,
        ("flow", "f", {"hook": 39}),
        ("hook", "h", {"secure": 38}),
        ("group", "g", {}),
        ("group", "g2", {}),
    )
    made = Sync(source, Target()).plan()
    assert [one.action for one in made.resources] == [Action.CREATE] * 42
    assert sum(one.patch for one in made.resources) == 1


def test_a_chain_of_500_and_a_ring_of_200_are_planned() -> None:
    chain = organisation(
        ("theme", "t", {}), *(("page", f"p{n}", {"theme": 0, **({"parent": n} if n else {})}) for n in range(500))
    )
    made = Sync(chain, Target(), batch_size=50).plan()
    assert max(one.generation for one in made.resources) == 500
    assert len(made.stages) == 11
    ring = organisation(
        ("theme", "t", {}), *(("page", f"p{n}", {"theme": 0, "parent": (n + 1) % 200 + 1}) for n in range(200))
    )
    sync = Sync(ring, Target())
    made = sync.run()
    assert sum(one.patch for one in made.resources) == 1
    assert sync.leftovers() == []


def test_the_mapping_that_is_patched_takes_the_flow_that_pins_its_version_along() -> None:
    sync = synced(JOURNEY_LIKE)
    key = JOURNEY_LIKE.key(2)
    sync.target.configs[ResourceKey("mapping", sync.id_map[key].id)]["label"] = "edited by hand"
    again = Sync(JOURNEY_LIKE, sync.target)
    made = again.run()
    assert actions(JOURNEY_LIKE, made) == ["skip", "skip", "patch", "patch"]
    flow = sync.target.configs[ResourceKey("flow", sync.id_map[JOURNEY_LIKE.key(3)].id)]
    assert flow["steps"] == [{"mapping": {"id": sync.id_map[key].id, "version": 2}}]
    assert len(sync.target.writes) == 2


def test_a_mapping_written_twice_is_named_by_the_version_of_its_last_write() -> None:
    source = organisation(
        ("theme", "t", {}),
        ("page", "p", {"theme": 0}),
        ("mapping", "", {"page": 1, "flow": 3}),
        ("flow", "f", {"step": 2}),
    )
    sync = Sync(source, Target())
    planned = by_number(source, sync.run())
    assert (planned[2].resolve, planned[2].patch) == (True, False)
    flow = sync.target.configs[ResourceKey("flow", sync.id_map[source.key(3)].id)]
    assert flow["steps"][0]["mapping"]["version"] == 2


def test_a_target_deleted_by_hand_is_made_again_and_what_names_it_is_patched() -> None:
    sync = synced(JOURNEY_LIKE)
    del sync.target.configs[ResourceKey("theme", sync.id_map[JOURNEY_LIKE.key(0)].id)]
    again = Sync(JOURNEY_LIKE, sync.target)
    made = again.run()
    planned = by_number(JOURNEY_LIKE, made)
    assert actions(JOURNEY_LIKE, made) == ["create", "patch", "skip", "skip"]
    assert "gone from the target" in planned[0].reason
    assert by_number(JOURNEY_LIKE, Sync(JOURNEY_LIKE, sync.target).plan())[0].action is Action.SKIP


def test_a_referent_that_is_another_config_now_makes_its_dependents_change() -> None:
    sync = synced(JOURNEY_LIKE)
    other = sync.target.create(CATALOGUE["theme"], {"style_name": "Blue"}, None)
    key = JOURNEY_LIKE.key(0)
    confirmed = replace(sync.target.lineage[key], target_id=other, origin="manual_confirm", target_fingerprint="")
    sync.target.lineage[key] = confirmed
    assert actions(JOURNEY_LIKE, Sync(JOURNEY_LIKE, sync.target).plan())[1] == "patch"


def test_a_changed_source_and_a_changed_override_are_patched() -> None:
    sync = synced(JOURNEY_LIKE)
    again = Sync(JOURNEY_LIKE, sync.target)
    key = JOURNEY_LIKE.key(0)
    overridden = replace(again.sources[key], overridden=True, override_fingerprint="f1")
    assert actions(JOURNEY_LIKE, again.plan(sources={**again.sources, key: overridden}))[0] == "patch"
    payload = again.sources[key].payload
    assert payload is not None
    changed = replace(again.sources[key], payload={**payload, "style_name": "Red"})
    assert actions(JOURNEY_LIKE, again.plan(sources={**again.sources, key: changed}))[0] == "patch"
    unread = [replace(one, whole=False) for one in sync.target.snapshot()["theme"]]
    assert actions(JOURNEY_LIKE, again.plan(targets={**sync.target.snapshot(), "theme": unread}))[0] == "patch"


def test_a_config_left_inactive_by_an_earlier_job_is_written_and_activated() -> None:
    sync = synced(JOURNEY_LIKE)
    key = JOURNEY_LIKE.key(1)
    planned = by_number(JOURNEY_LIKE, Sync(JOURNEY_LIKE, sync.target).plan(inactive={key}))
    assert (planned[1].action, planned[1].activate) == (Action.PATCH, True)


def test_two_sources_that_match_one_target_are_both_ambiguous() -> None:
    source = organisation(("group", "same", {}), ("group", "same", {}))
    target = Target()
    target.create(CATALOGUE["group"], {"name": "same"}, None)
    planned = by_number(source, Sync(source, target).plan())
    for number in (0, 1):
        assert str(planned[number].error).startswith("AMBIGUOUS_MATCH: 1 candidates")
        assert str(source.key(1 - number)) in str(planned[number].error)


def test_what_needs_an_ambiguous_config_fails_and_names_it_as_the_root() -> None:
    source = organisation(
        ("theme", "Blue", {}),
        ("page", "a", {"theme": 0}),
        ("page", "b", {"theme": 0, "parent": 1}),
        ("page", "c", {"note": 1, "theme": 4}),
        ("theme", "Red", {}),
    )
    target = Target()
    for _ in range(2):
        target.create(CATALOGUE["theme"], {"style_name": "Blue"}, None)
    sync = Sync(source, target)
    made = sync.run()
    planned = by_number(source, made)
    assert actions(source, made) == ["fail", "fail", "fail", "create", "create"]
    for number in (1, 2):
        error = planned[number].error
        assert error is not None
        assert (error.code, error.root) == ("DEPENDENCY_FAILED", source.key(0))
        assert "AMBIGUOUS_MATCH" in error.message
    assert any("which failed: it is kept" in warning for warning in planned[3].warnings)


def test_a_missing_referent_is_no_row_and_fails_only_where_it_is_required() -> None:
    source = organisation(("theme", "t", {}), ("page", "a", {"theme": -1}), ("page", "b", {"theme": 0, "parent": -2}))
    made = Sync(source, Target()).plan()
    planned = by_number(source, made)
    assert len(made.resources) == 3
    error = planned[1].error
    assert error is not None
    assert error.code == "DANGLING_REFERENCE"
    assert planned[2].action is Action.CREATE
    assert [text for text in planned[2].warnings if "does not have: it is left out" in text]


def test_a_selected_config_that_is_missing_is_a_failed_row() -> None:
    source = organisation(("group", "g", {}))
    sync = Sync(source, Target())
    missing = SourceConfig(
        key=ResourceKey("group", "no"), payload=None, error=RowError("NOT_FOUND", "404"), selected=True
    )
    made = sync.plan(sources={**sync.sources, missing.key: missing})
    failed = next(one for one in made.resources if one.key == missing.key)
    assert (failed.error, planned_status(failed, dry_run=True).value) == (missing.error, "failed")


def test_without_dependencies_referents_resolve_read_only_or_fail_the_row() -> None:
    target = Target()
    theme = target.create(CATALOGUE["theme"], {"style_name": "Blue"}, None)
    sync = Sync(JOURNEY_LIKE, target, selected=frozenset({1, 3}))
    chosen = {key: one for key, one in sync.sources.items() if one.selected}
    others = {key: one for key, one in sync.sources.items() if not one.selected}
    made = sync.plan(sources=chosen, referents=others)
    planned = by_number(JOURNEY_LIKE, made)
    assert sorted(planned) == [1, 3]
    assert planned[1].error is not None
    assert planned[1].error.code == "DEPENDENCY_NOT_SELECTED"
    assert planned[3].error is not None
    assert target.writes == [ResourceKey("theme", theme)]


def test_a_referent_that_was_not_selected_is_named_by_the_id_it_has_on_the_target() -> None:
    source = organisation(("theme", "Blue", {}), ("page", "a", {"theme": 0, "group": 2}), ("group", "g", {}))
    target = Target()
    theme = target.create(CATALOGUE["theme"], {"style_name": "Blue"}, None)
    sync = Sync(source, target, selected=frozenset({1}))
    chosen = {key: one for key, one in sync.sources.items() if one.selected}
    others = {key: one for key, one in sync.sources.items() if not one.selected}
    (page,) = sync.plan(sources=chosen, referents=others).resources
    assert page.action is Action.CREATE
    assert {one.referent: (one.kind, one.value) for one in page.resolutions} == {
        source.key(0): (ResolutionKind.KNOWN, theme),
        source.key(2): (ResolutionKind.LEFT_OUT, None),
    }
    assert any("not selected" in text for text in page.warnings)


def test_a_referent_that_cannot_be_read_resolves_by_its_lineage_or_fails_the_row() -> None:
    source = organisation(("theme", "Blue", {}), ("page", "a", {"theme": 0}))
    sync = synced(source)
    del sync.target.lineage[source.key(1)]
    error = RowError("DOWNSTREAM_UNAVAILABLE", "503")
    chosen = {source.key(1): sync.sources[source.key(1)]}
    unread = {source.key(0): SourceConfig(key=source.key(0), payload=None, error=error)}
    again = Sync(source, sync.target, match="lineage_only")
    (page,) = again.plan(sources=chosen, referents=unread).resources
    assert [one.value for one in page.resolutions] == [sync.id_map[source.key(0)].id]
    (page,) = again.plan(sources=chosen, referents=unread, lineage={}).resources
    assert page.error is not None
    assert page.error.code == "DEPENDENCY_NOT_SELECTED"


def test_a_referent_deleted_from_the_source_is_not_revived_by_its_lineage() -> None:
    source = organisation(("theme", "t", {}), ("page", "a", {"theme": 0}), ("page", "b", {"theme": 0, "parent": 1}))
    sync = synced(source)
    gone = SourceConfig(key=source.key(1), payload=None, error=RowError("NOT_FOUND", "404"))
    again = Sync(source, Target(lineage=sync.target.lineage, configs=sync.target.configs))
    sources = {source.key(0): again.sources[source.key(0)], source.key(2): again.sources[source.key(2)], gone.key: gone}
    made = again.plan(sources=sources, lineage={gone.key: sync.target.lineage[gone.key]}, match="lineage_only")
    page = next(one for one in made.resources if one.key == source.key(2))
    left = [one.referent for one in page.resolutions if one.kind is ResolutionKind.LEFT_OUT]
    assert left == [gone.key]


def test_lineage_only_creates_what_a_name_would_match() -> None:
    source = organisation(("group", "g", {}))
    target = Target()
    target.create(CATALOGUE["group"], {"name": "g"}, None)
    assert actions(source, Sync(source, target, match="lineage_only").plan()) == ["create"]
    (planned,) = Sync(source, target).plan().resources
    assert (planned.action, planned.record_lineage, planned.rule) == (Action.SKIP, True, Rule.NATURAL_KEY)
    assert planned_status(planned, dry_run=True).value == "would_match_heuristic"
    assert planned_status(planned, dry_run=False).value == "skipped"


def test_a_match_that_differs_is_patched_and_claimed_by_lineage() -> None:
    source = organisation(("asset", "a", {}))
    target = Target()
    target.create(CATALOGUE["asset"], {"filename": "a", "size": "other"}, None)
    sync = Sync(source, target)
    (planned,) = sync.run().resources
    assert planned_status(planned, dry_run=True).value == "would_match_heuristic"
    assert sync.target.lineage[planned.key].target_id == planned.target_id


def with_types(*types: ResourceType) -> dict[str, ResourceType]:
    return {**CATALOGUE, **{one.name: one for one in types}}


def plan_of_groups(resource_type: ResourceType, **refs: str) -> dict[str, PlannedResource]:
    sources = {
        key: SourceConfig(key=key, payload={"id": key.id, "name": key.id, "ref": to}, selected=True)
        for name, to in refs.items()
        for key in [ResourceKey("group", name)]
    }
    arguments: dict[str, Any] = {"catalogue": with_types(resource_type), "sources": sources, "identifiers": {}}
    made = Sync(organisation(), Target()).plan(**arguments)
    return {one.key.id: one for one in made.resources}


def test_a_cycle_of_required_references_fails_its_rows_and_what_needs_them() -> None:
    required = replace(CATALOGUE["group"], references=(Reference(to=("group",), path="$.ref", required=True),))
    planned = plan_of_groups(required, a="b", b="c", c="a", d="a", e="e")
    codes = {name: one.error.code for name, one in planned.items() if one.error}
    assert codes == {**dict.fromkeys("abce", "CYCLE_NOT_BREAKABLE"), "d": "DEPENDENCY_FAILED"}


def test_a_reference_to_itself_is_deferred() -> None:
    plain = replace(CATALOGUE["group"], references=(Reference(to=("group",), path="$.ref"),))
    planned = plan_of_groups(plain, a="a")
    assert planned["a"].resolutions[0].kind is ResolutionKind.DEFERRED
    assert planned["a"].patch


def test_an_alias_that_is_copied_as_it_is_needs_no_second_write() -> None:
    aliased = replace(CATALOGUE["group"], fields=replace(CATALOGUE["group"].fields, aliases=("ref",)))
    planned = plan_of_groups(aliased, a="part-123abc")
    assert planned["a"].resolutions[0].kind is ResolutionKind.KEEP
    assert not planned["a"].patch


def test_what_leads_out_of_the_resource_types_is_reported_once() -> None:
    external = replace(CATALOGUE["group"], external=("ref", "users[]"), secret_note="Set the password.")
    assert plan_of_groups(external, a="user-1")["a"].warnings == (
        "What ref name is outside of the resource types and kept as it is.",
        "Set the password.",
    )


@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_type_without_the_operation_fails_where_it_would_be_needed(operation: str) -> None:
    crippled = replace(CATALOGUE["asset"], **{operation: None}, missing={operation: "It cannot."})
    source = organisation(("asset", "a", {}), ("asset", "b", {}))
    target = Target()
    target.create(CATALOGUE["asset"], {"filename": "a", "size": "other"}, None)
    planned = by_number(source, Sync(source, target).plan(catalogue=with_types(crippled)))
    failed = [number for number, one in planned.items() if str(one.error) == "OPERATION_UNSUPPORTED: It cannot."]
    assert failed == ([1] if operation == "create" else [0])


def test_a_role_keeps_its_slug_and_takes_the_targets_prefix() -> None:
    source = organisation(("guard", "", {}), ("flow", "f", {"guard": 0}))
    sync = Sync(source, Target())
    sync.run()
    flow = sync.target.configs[ResourceKey("flow", sync.id_map[source.key(1)].id)]
    assert flow["guards"] == {"g0": "org-target:guard-0"}


def test_a_natural_key_that_names_another_config_matches_by_its_id_on_the_target() -> None:
    sync = synced(JOURNEY_LIKE)
    del sync.target.lineage[JOURNEY_LIKE.key(2)]
    planned = by_number(JOURNEY_LIKE, Sync(JOURNEY_LIKE, sync.target).plan())
    assert (planned[2].rule, planned[2].target_id) == (Rule.NATURAL_KEY, sync.id_map[JOURNEY_LIKE.key(2)].id)


def test_natural_keys_that_name_each_other_in_a_circle_match_nothing() -> None:
    circular = replace(
        CATALOGUE["group"],
        references=(Reference(to=("group",), path="$.ref"),),
        natural_key=NaturalKey(fields=(("ref",),)),
    )
    planned = plan_of_groups(circular, a="b", b="a")
    assert [one.action for one in planned.values()] == [Action.CREATE] * 2


def test_planning_changes_none_of_its_input() -> None:
    sync = Sync(JOURNEY_LIKE, Target())
    before = copy_json({str(key): one.payload for key, one in sync.sources.items()})
    sync.plan()
    assert {str(key): one.payload for key, one in sync.sources.items()} == before


def large_sync(size: int) -> Sync:
    """Cycles of pages and mappings that lead on to others, and flows through them."""
    items: list[tuple[str, str, dict[str, int | list[int]]]] = [("theme", "t", {})]
    while len(items) < size:
        number = len(items)
        items.append(("page", f"p{number}", {"theme": 0, "mapping": number + 1, "note": max(1, number - 30)}))
        items.append(("mapping", "", {"page": number}))
        items.append(("flow", f"f{number}", {"step": number + 1, "pages": number}))
    return Sync(organisation(*items), Target(), batch_size=50)


def test_ten_thousand_resources_are_planned() -> None:
    made = large_sync(10_000).plan()
    assert all(one.action is Action.CREATE for one in made.resources)


def test_the_effort_of_planning_grows_with_the_number_of_resources() -> None:
    few, many = (count_calls(large_sync(size).plan) for size in (500, 4_000))
    print(f"\n{few:,} and {many:,} calls")
    assert many < 8 * few * 1.5
