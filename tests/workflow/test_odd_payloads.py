"""Payloads that no editor makes, but an API lets through: each is synced, or its own row fails and says why."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.bounds import MAX_DEPTH
from shared.domain.config_node import MAX_TEXT
from shared.domain.job import Job, JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Row, RowStatus
from tests.fakes.sync_types import FLOW, JOURNEY
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld

ODD, FINE = ResourceKey("flow", "flow-00000001"), ResourceKey("flow", "flow-00000002")


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": [value]}
    return value


def plant(world: SyncWorld, **odd: Any) -> None:
    world.source.add(FLOW, {"id": ODD.id, "name": "odd", **odd}, {"id": FINE.id, "name": "fine"})


def run(world: SyncWorld, *keys: ResourceKey, **more: Any) -> tuple[Job, dict[ResourceKey, Row]]:
    job = world.run(world.create_job(*keys, **more))
    assert world.failures == []
    return job, world.rows(job.id)


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_nested_too_deep_fails_its_own_row_by_name(world: SyncWorld, dry_run: bool) -> None:
    plant(world, deep=nested(1_000))
    world.source.add(JOURNEY, {"id": "journey-00000001", "name": "names it in text", "text": f"see {ODD.id}"})

    job, rows = run(world, ODD, FINE, ResourceKey("journey", "journey-00000001"), dry_run=dry_run)

    assert job.status is JobStatus.PARTIAL
    assert str(rows[ODD].error) == f"TOO_DEEP: It is nested deeper than {MAX_DEPTH} levels, which no job copies."
    assert rows[FINE].status is (RowStatus.WOULD_CREATE if dry_run else RowStatus.CREATED)


def test_what_is_nested_too_deep_and_not_selected_stops_nothing(world: SyncWorld) -> None:
    plant(world, deep=nested(1_000))
    assert run(world, FINE)[0].status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_nested_too_deep_on_the_target_is_not_overwritten(world: SyncWorld, dry_run: bool) -> None:
    plant(world)
    world.target.add(FLOW, {"id": "flow-0000000a", "name": "odd", "deep": nested(1_000)})

    _, rows = run(world, ODD, FINE, dry_run=dry_run)

    assert str(rows[ODD].error).startswith("TOO_DEEP: Its config on the target, flow-0000000a, is nested too deep")
    assert rows[FINE].status is (RowStatus.WOULD_CREATE if dry_run else RowStatus.CREATED)
    assert "deep" in world.target.configs["flow"]["flow-0000000a"]


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "A\ud83d"},
        {"text": "B\ud83d"},
        {"\udc00key": {"\ud83d": ["C\ud83d"]}},
        {"journeys": ["journey-\ud83d00001"]},
        {"name": "x" * 500_000},
        {"name": "ü" * 5_000},
        {"k" * 500_000: "v"},
    ],
    ids=["title", "text", "key", "reference", "long title", "wide title", "long key"],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_half_a_surrogate_pair_and_endless_texts_stop_nothing(
    world: SyncWorld, odd: dict[str, Any], dry_run: bool
) -> None:
    plant(world, **odd)

    job, rows = run(world, ODD, FINE, dry_run=dry_run)

    assert job.status is JobStatus.SUCCEEDED
    assert len(rows[ODD].title) <= MAX_TEXT
    events = [event.message for event in world.jobs.list_events(SOURCE_ORG, job.id)]
    assert all(len(message) < 5_000 for message in events)
    if not dry_run:
        assert world.writes() == 2
        assert run(world, ODD, FINE)[0].status is JobStatus.SUCCEEDED
        assert world.writes() == 2


@pytest.mark.parametrize("brackets", ["[" * 100_000, "[" * 1_000 + "]" * 1_000, '{"a":' * 20_000, '{"a":"\\ud83d"}'])
def test_a_text_of_brackets_is_a_text(aws: Any, tables: Any, brackets: str) -> None:
    world = SyncWorld(aws.resource("dynamodb"), RESOURCE_TYPES)
    key = ResourceKey("notification_template", "0b5c3c1e-1111-4a63-9d3a-0000000000a2")
    world.source.add(RESOURCE_TYPES[key.type], {"_id": key.id, "name": "N", "type": "t", "message": brackets})

    job, _ = run(world, key)

    assert job.status is JobStatus.SUCCEEDED
    [copied] = world.target.configs[key.type].values()
    assert copied["message"] == brackets
    assert run(world, key)[0].status is JobStatus.SUCCEEDED
    assert world.writes() == 1
