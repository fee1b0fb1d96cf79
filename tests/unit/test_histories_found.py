"""Faults that random histories found, each in the fewest steps that show it; the APIs are the sandbox's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from tests.fakes.sandbox_api import seeded, without_threads
from tests.unit.histories import EVERYWHERE, ORGS, HistoryWorld
from tests.unit.random_configs import body_of

HERE, THERE = ORGS[0], ORGS[1]
NORTH = ResourceKey("taxonomy_classification", "region:north")
RULE = ResourceKey("validation_rule", "0b5c3c1e-1111-4a63-9d3a-00000000e001")
JOURNEY = ResourceKey("journey", "0b5c3c1e-1111-4a63-9d3a-00000000e002")
MAPPING = ResourceKey("entity_mapping", "0b5c3c1e-1111-4a63-9d3a-00000000e003")
DEAD = "0b5c3c1e-1111-4a63-9d3a-00000000e004"


@pytest.fixture
def world() -> Iterator[HistoryWorld]:
    with seeded(random.Random("found")), without_threads():
        world = HistoryWorld()
        for org_id in (HERE, THERE):
            for key in EVERYWHERE:
                put(world, org_id, key)
        yield world


def put(world: HistoryWorld, org_id: str, key: ResourceKey, **more: Any) -> None:
    body = body_of(random.Random(0), RESOURCE_TYPES[key.type], org_id, key.id, 0)
    world.place(org_id, key, {**body, **more})


def sync(world: HistoryWorld, source: str, target: str, *keys: ResourceKey, **more: Any) -> dict[ResourceKey, Any]:
    job = world.run(world.create_job(*keys, source_org_id=source, target_org_id=target, **more))
    return dict(world.rows(job.id))


def test_a_label_that_was_deleted_by_hand_is_made_anew_and_completed_under_its_old_id(world: HistoryWorld) -> None:
    put(world, HERE, NORTH, parents=[NORTH.id])
    assert sync(world, HERE, THERE, NORTH)[NORTH].status is RowStatus.CREATED
    world.delete(THERE, NORTH)
    row = sync(world, HERE, THERE, NORTH)[NORTH]
    assert (row.status, row.error) == (RowStatus.CREATED, None)
    assert world.configs(THERE)[NORTH]["parents"] == [NORTH.id]


def test_what_says_the_same_is_remembered_as_it_stands_though_a_referent_fails(world: HistoryWorld) -> None:
    # A mapping is found on the target by the journey that names it.
    settings = {"designId": DEAD, "mappingsAutomationId": MAPPING.id}
    for org_id, remarks in ((HERE, "new"), (THERE, "old")):
        put(world, org_id, JOURNEY, settings=settings, remarks=remarks)
        put(world, org_id, MAPPING, source={"type": "journey", "config": {"journey_id": JOURNEY.id}})
    for _ in range(2):
        rows = sync(world, HERE, THERE, MAPPING)
        assert rows[JOURNEY].status is RowStatus.FAILED
        assert (rows[MAPPING].status, rows[MAPPING].error) == (RowStatus.SKIPPED, None)


@pytest.mark.parametrize("was_there_before", [True, False])
def test_the_way_back_carries_what_an_override_made_otherwise(world: HistoryWorld, was_there_before: bool) -> None:
    put(world, HERE, RULE, remarks="ours")
    first = (HERE, THERE) if was_there_before else (THERE, HERE)
    if not was_there_before:
        world.delete(HERE, RULE)
        put(world, THERE, RULE, remarks="ours")
    override = {str(RULE): {"remarks": "overridden"}}
    row = sync(world, *first, RULE, overrides={} if was_there_before else override)[RULE]
    other = ResourceKey(RULE.type, row.target_id)
    if was_there_before:
        back = {str(other): {"remarks": "overridden"}}
        assert sync(world, *first[::-1], other, overrides=back)[other].target_id == RULE.id
        last, key, there = first, RULE, other
    else:
        last, key, there = first[::-1], other, RULE
    assert sync(world, *last, key)[key].status is RowStatus.PATCHED
    assert world.configs(last[1])[there]["remarks"] == "overridden"
    assert sync(world, *last, key)[key].status is RowStatus.SKIPPED
