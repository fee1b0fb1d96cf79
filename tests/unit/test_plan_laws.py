"""The laws of a sync, on random organisations."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.paths import copy_json
from shared.domain.plan import Action, Plan, ResolutionKind, Rule
from shared.domain.plan_json import planned_from_json, planned_to_json
from shared.domain.planner import planned_status
from shared.domain.resource_type import ResourceKey
from tests.unit.organisations import (
    CATALOGUE,
    HARD,
    REQUIRED,
    Item,
    Organisation,
    Sync,
    Target,
    comparable,
    content_of,
    organisations,
)


def as_read(name: str) -> str:
    """Return a name as a natural key compares it."""
    return unicodedata.normalize("NFC", name).strip()


#: How many examples is the profile's: `--hypothesis-profile long` takes 2,000.
laws = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def doomed(organisation: Organisation) -> set[int]:
    """Items that cannot be created: a required referent is missing, or one that is needed cannot be created."""
    failing = {item.number for item in organisation.items for slot, n in item.refs if slot in REQUIRED and n < 0}
    while True:
        more = {item.number for item in organisation.items for slot, n in item.refs if slot in HARD and n in failing}
        if more <= failing:
            return failing
        failing |= more


def assert_target_equals_source(sync: Sync, items: list[Item]) -> None:
    for item in items:
        there = sync.id_map[sync.organisation.key(item.number)]
        expected = sync.expected(item)
        found = sync.target.configs[ResourceKey(item.type, there.id)]
        assert content_of(found, expected) == comparable(expected), item


@laws
@given(organisations())
def test_a_synced_target_is_isomorphic_to_its_source(organisation: Organisation) -> None:
    sync = Sync(organisation, Target())
    sync.run()
    lost = doomed(organisation)
    assert sync.failed == {organisation.key(number) for number in lost}
    assert_target_equals_source(sync, [item for item in organisation.items if item.number not in lost])
    assert len(sync.target.configs) == len(organisation.items) - len(lost)


@laws
@given(organisations())
def test_no_source_identifier_is_left_where_a_mapping_exists(organisation: Organisation) -> None:
    sync = Sync(organisation, Target())
    sync.run()
    assert sync.leftovers() == []


@laws
@given(organisations())
def test_syncing_again_writes_nothing(organisation: Organisation) -> None:
    target = Target()
    Sync(organisation, target).run()
    target.writes.clear()
    again = Sync(organisation, target)
    made = again.run()
    lost = {organisation.key(number) for number in doomed(organisation)}
    assert {one.key: one.action for one in made.resources if one.action is not Action.SKIP} == dict.fromkeys(
        lost, Action.FAIL
    )
    assert target.writes == []


@laws
@given(organisations(), st.data())
def test_a_hand_edit_on_the_target_is_patched_away_and_nothing_else(
    organisation: Organisation, data: st.DataObject
) -> None:
    target = Target()
    first = Sync(organisation, target)
    first.run()
    ours = sorted(
        key for key, one in first.id_map.items() if one.id and key.type not in ("word", "guard", "mapping", "asset")
    )
    if not ours:
        return
    edited = data.draw(st.sampled_from(ours))
    there = ResourceKey(edited.type, first.id_map[edited].id)
    before = copy_json(target.configs[there])
    target.configs[there]["default_filled_in"] = {"by": "hand"}
    second = Sync(organisation, target)
    made = second.run()
    assert [one.key for one in made.resources if one.action is Action.PATCH] == [edited]
    assert_target_equals_source(
        second, [item for item in organisation.items if organisation.key(item.number) == edited]
    )
    active = {"page": ("settings", "active"), "flow": ("enabled",)}.get(edited.type)
    if active is not None:
        now = target.configs[there]
        for step in active:
            before, now = before.get(step), now.get(step)
        assert now == before


@laws
@given(organisations(dangling=False), st.data())
def test_configs_that_are_there_already_are_matched_not_made_twice(
    organisation: Organisation, data: st.DataObject
) -> None:
    target = Target()
    Sync(organisation, target).run()
    forgotten = data.draw(st.sets(st.sampled_from(sorted(target.lineage))))
    for key in forgotten:
        del target.lineage[key]
    count = len(target.configs)
    target.writes.clear()
    sync = Sync(organisation, target, selected=frozenset(range(len(organisation.items))))
    made = sync.plan()
    by_key = {one.key: one for one in made.resources}
    ambiguous = {key for key, one in by_key.items() if one.error and one.error.code == "AMBIGUOUS_MATCH"}
    names = Counter(
        (item.type, as_read(item.name), as_read(item.text) if item.type == "asset" else "")
        for item in organisation.items
    )
    if not ambiguous and max(names.values()) == 1:
        sync.run(made)
        assert len(target.configs) == count
        assert target.writes == []
        assert all(one.action in (Action.SKIP, Action.MATCH) for one in made.resources)
    assert ambiguous <= forgotten


#: What a config on the target says that has the name of one of ours, and nothing else of it.
HALF_MATCHES = {
    "hook": {"filter": {"kind": "other", "values": []}},
    "theme": {"files": [{"n": "by hand"}]},
    "asset": {"size": "by hand"},
}


@laws
@given(organisations(dangling=False), st.data())
def test_what_agrees_by_name_and_in_nothing_else_is_matched_and_patched_to_say_the_same(
    organisation: Organisation, data: st.DataObject
) -> None:
    target = Target()
    first = Sync(organisation, target)
    first.run()
    names = Counter((item.type, as_read(item.name)) for item in organisation.items)
    alone = [one for one in organisation.items if one.type in HALF_MATCHES and names[one.type, as_read(one.name)] == 1]
    if not alone:
        return
    halves = data.draw(st.sets(st.sampled_from(alone), min_size=1))
    for item in halves:
        key = organisation.key(item.number)
        target.configs[ResourceKey(item.type, first.id_map[key].id)] |= copy_json(HALF_MATCHES[item.type])
        del target.lineage[key]
    count = len(target.configs)
    sync = Sync(organisation, target)
    made = {one.key: one for one in sync.run().resources}
    assert {made[organisation.key(item.number)].rule for item in halves} == {Rule.NATURAL_KEY}
    assert len(target.configs) == count
    assert_target_equals_source(sync, list(halves))


@laws
@given(organisations(dangling=False), st.data())
def test_a_name_is_matched_where_one_free_config_has_it_and_never_guessed_where_several_do(
    organisation: Organisation, data: st.DataObject
) -> None:
    target = Target()
    Sync(organisation, target).run()
    named = {
        organisation.key(item.number): as_read(item.name)
        for item in organisation.items
        if item.type in ("theme", "hook", "group")
    }
    forgotten = data.draw(st.sets(st.sampled_from(sorted(named))))
    for key in forgotten:
        del target.lineage[key]
    claimed = {ResourceKey(entry.type, entry.target_id) for entry in target.lineage.values()}
    planned = {one.key: one for one in Sync(organisation, target).plan().resources}
    for key in forgotten:
        title = CATALOGUE[key.type].fields.title[0]
        free = {
            there
            for there, payload in target.configs.items()
            if there.type == key.type and as_read(payload[title]) == named[key] and there not in claimed
        }
        rivals = {other for other in forgotten if other.type == key.type and named[other] == named[key]}
        if len(free) > 1:
            error = planned[key].error
            assert error is not None
            assert error.code == "AMBIGUOUS_MATCH"
            assert all(one.id in error.message for one in free)
        elif rivals == {key}:
            assert (planned[key].rule, planned[key].target_id) == (Rule.NATURAL_KEY, next(iter(free)).id)


@laws
@given(organisations(), st.sets(st.integers(0, 13), max_size=3))
def test_what_exists_by_name_and_was_not_selected_is_left_as_it_is(organisation: Organisation, roots: set[int]) -> None:
    items = organisation.items
    selected = frozenset(
        number for number in roots if number < len(items) and items[number].type not in ("word", "guard")
    )
    target = Target()
    for item in items:
        if item.type in ("word", "guard"):
            key = organisation.key(item.number)
            there = key.id.replace("org-source", "org-target")
            target.configs[ResourceKey(item.type, there)] = {"slug": there, "mine": True}
    before = copy_json(target.configs)
    sync = Sync(organisation, target, selected=selected)
    made = sync.run()
    for key, payload in before.items():
        assert target.configs[key] == payload
        assert key not in target.writes
    assert not any(one.record_lineage for one in made.resources if one.rule is Rule.BY_NAME)


@laws
@given(organisations(), st.integers(1, 60))
def test_every_reference_points_to_an_earlier_generation_or_is_deferred(
    organisation: Organisation, batch_size: int
) -> None:
    made = Sync(organisation, Target(), batch_size=batch_size).plan()
    planned = {one.key: one for one in made.resources}
    stage_of = {batch: number for number, stage in enumerate(made.stages) for batch in stage}
    for one in made.resources:
        assert bool(one.batch) == (one.action in (Action.CREATE, Action.PATCH, Action.MATCH))
        for resolution in one.resolutions:
            if resolution.kind is ResolutionKind.WRITTEN and resolution.referent is not None:
                other = planned[resolution.referent]
                assert other.generation < one.generation
                assert stage_of[other.batch] < stage_of[one.batch] or other.batch == one.batch
            reference = resolution.found.reference
            if resolution.kind is ResolutionKind.DEFERRED:
                assert reference is None or not reference.required
    sizes = Counter(one.batch for one in made.resources if one.batch)
    assert all(size <= batch_size for size in sizes.values())


@laws
@given(organisations())
def test_a_dry_run_has_the_plan_of_the_run_and_a_status_for_every_row(organisation: Organisation) -> None:
    sync = Sync(organisation, Target())
    made, again = sync.plan(), sync.plan()
    shuffled = sync.plan(
        sources=dict(reversed(sync.sources.items())), identifiers=dict(reversed(sync.identifiers.items()))
    )
    assert made == again == shuffled
    rows = {key for key, config in sync.sources.items() if config.error is None or config.selected}
    assert {one.key for one in made.resources} == rows
    for one in made.resources:
        dry, real = planned_status(one, dry_run=True), planned_status(one, dry_run=False)
        assert (dry.value, real.value) in {
            ("would_create", "pending"),
            ("failed", "failed"),
            ("would_skip_unchanged", "skipped"),
        }


@laws
@given(organisations())
def test_a_planned_resource_survives_storage(organisation: Organisation) -> None:
    made: Plan = Sync(organisation, Target()).plan()
    for one in made.resources:
        resource_type = CATALOGUE[one.key.type]
        assert planned_from_json(resource_type, json.loads(json.dumps(planned_to_json(resource_type, one)))) == one


@laws
@given(organisations(), st.data())
def test_a_refused_create_fails_its_dependents_and_nothing_else(
    organisation: Organisation, data: st.DataObject
) -> None:
    lost = doomed(organisation)
    possible = [item.number for item in organisation.items if item.number not in lost]
    if not possible:
        return
    refused = data.draw(st.sampled_from(possible))
    target = Target(refuse=frozenset({organisation.key(refused)}))
    sync = Sync(organisation, target)
    made = sync.run()
    deferred = {
        one.key
        for one in made.resources
        for resolution in one.resolutions
        if resolution.kind is ResolutionKind.DEFERRED
    }
    alive = [
        item
        for item in organisation.items
        if organisation.key(item.number) in sync.id_map and organisation.key(item.number) not in deferred
    ]
    assert_target_equals_source(sync, alive)
