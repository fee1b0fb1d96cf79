"""Storage on a bad day: transactions that meet others, answers that are lost and asked for again by the SDK."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from shared.adapters import aws as adapter
from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from tests.aws import forget_adapters
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.moto_transactions import speed_up_transactions
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld
from tests.workflow.test_killed_jobs import assert_target_equals_source
from tests.workflow.test_whole_job import journey_id, plant_organisation

SHARE = 0.1


class Conflicts:
    """A botocore hook: refuses a share of what writes on condition, as DynamoDB does when transactions meet.

    Attributes:
        met: how many requests it refused, by operation.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.met: Counter[str] = Counter()

    def refuse(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        body = json.loads(request.body)
        items = body.get("TransactItems")
        if not (items or "ConditionExpression" in body) or self._chance.random() >= SHARE:
            return None
        self.met[event_name.rpartition(".")[2]] += 1
        answer: dict[str, Any] = {"__type": "TransactionConflictException", "message": "ongoing"}
        if items:
            reasons = [{"Code": "None"} for _ in items]
            reasons[self._chance.randrange(len(items))] = {"Code": "TransactionConflict"}
            answer = {"__type": "TransactionCanceledException", "CancellationReasons": reasons}
        return AWSResponse(request.url, 400, {}, Raw(json.dumps(answer).encode()))


class Raw(BytesIO):
    """A body as urllib3 hands it over."""

    def stream(self, **_: Any) -> list[bytes]:
        return [self.read()]


@pytest.fixture
def conflicting(aws: Any, tables: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], tuple[SyncWorld, Conflicts]]:
    """A world on the very client that Lambdas use, with a hook on it."""
    speed_up_transactions(monkeypatch)
    forget_adapters()

    def make(seed: int) -> tuple[SyncWorld, Conflicts]:
        conflicts = Conflicts(seed)
        adapter.dynamodb().meta.events.register_first("before-send.dynamodb", conflicts.refuse)
        return SyncWorld(adapter._resource()), conflicts

    return make


def assert_nothing_changed(world: SyncWorld, *jobs: str) -> None:
    assert world.failures == []
    assert_target_equals_source(world)
    for job_id in jobs:
        job = world.jobs.get_job(SOURCE_ORG, job_id)
        assert job.status is JobStatus.SUCCEEDED, job.errors_sample
        assert world.counts(job_id) == world.counts_of_rows(job_id) == job.counts


@pytest.mark.parametrize("seed", [1, 3, 7])
def test_a_tenth_of_writes_that_meet_conflicts_changes_nothing(
    conflicting: Callable[[int], tuple[SyncWorld, Conflicts]], seed: int
) -> None:
    world, conflicts = conflicting(seed)
    selected = plant_organisation(world, journeys=12)
    job_id = world.create_job(selected)

    world.run(job_id)

    assert conflicts.met["TransactWriteItems"]
    assert {row.status for row in world.rows(job_id).values()} == {RowStatus.CREATED}
    assert_nothing_changed(world, job_id)
    before = world.writes()
    world.run(again := world.create_job(selected))
    assert world.writes() == before
    assert_nothing_changed(world, again)


@pytest.mark.parametrize("seed", range(2))
def test_two_jobs_at_once_amid_conflicts_make_nothing_twice_and_say_who_made_what(
    conflicting: Callable[[int], tuple[SyncWorld, Conflicts]], seed: int
) -> None:
    world, _ = conflicting(seed)
    plant_organisation(world, journeys=12)
    halves = [[ResourceKey("journey", journey_id(n)) for n in numbers] for numbers in (range(8), range(4, 12))]
    jobs = [world.create_job(*half) for half in halves]

    # Each is planned before the other writes: what it would find depends on who is faster.
    planned = [world.plan(job_id) for job_id in jobs]

    def carry_out(job_id: str, plan: Mapping[str, Any]) -> None:
        world.carry_out(job_id, plan)
        world.finish(job_id)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(carry_out, jobs, planned))

    rows = [world.rows(job_id) for job_id in jobs]
    statuses = Counter(row.status for each in rows for row in each.values())
    assert statuses.keys() <= {RowStatus.CREATED, RowStatus.SKIPPED}
    assert statuses[RowStatus.CREATED] == sum(map(len, world.target.configs.values()))
    assert all(row.target_id for each in rows for row in each.values())
    for job_id, other, row_of in zip(jobs, reversed(jobs), rows, strict=True):
        told = {event.key for event in world.jobs.list_events(SOURCE_ORG, job_id, 1000) if other in event.message}
        assert {key for key, row in row_of.items() if row.status is RowStatus.SKIPPED and row.attempt} <= told
    assert_nothing_changed(world, *jobs)


class Repeating(MemoryDynamoDB):
    """Every write of one item or batch is done twice: the first answer was lost, and the SDK asked again.

    A transaction carries a token of the SDK, by which DynamoDB knows it again.
    """

    def update_item(self, **request: Any) -> Any:
        super().update_item(**request)
        return super().update_item(**request)

    def put_item(self, **request: Any) -> Any:
        super().put_item(**request)
        return super().put_item(**request)


def test_writes_whose_answers_are_lost_and_that_the_sdk_sends_again_change_nothing() -> None:
    world = SyncWorld(Repeating())
    job_id = world.create_job(plant_organisation(world))

    world.run(job_id)

    assert_nothing_changed(world, job_id)
