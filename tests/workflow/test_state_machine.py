"""Sync jobs through their state machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from functions.sync.fetch_sources import handler as fetch_sources_handler
from shared.bootstrap import sync, sync_finish
from shared.domain.errors import DownstreamRejectedError, DownstreamUnavailableError
from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from tests.fakes.sync_types import DESIGN, FLOW, JOURNEY
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld
from tests.workflow.machine import Machine, deployed, handed_over

ENTRY = ResourceKey("journey", "journey-00000001")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine[SyncWorld]]:
    with deployed("sync", SyncWorld, monkeypatch) as machine:
        world = machine.world
        monkeypatch.setattr(sync, "ports", lambda _step: world.ports())
        monkeypatch.setattr(fetch_sources_handler, "index_store", lambda: world.index)
        monkeypatch.setattr(sync_finish, "sync_jobs", lambda: world.jobs)
        monkeypatch.setattr(sync_finish, "credentials_store", lambda: world.credentials)
        monkeypatch.setattr(sync_finish, "event_bus", lambda: world)
        monkeypatch.setattr(sync_finish, "rebuild_target_index", lambda job, _token: world.rebuilt.append(job.id))
        yield machine


def plant(world: SyncWorld) -> None:
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    world.source.add(FLOW, {"id": "flow-00000001", "name": "Flow", "journeys": ["journey-00000001"]})
    journey = {"id": "journey-00000001", "name": "Journey", "enabled": True, "flow": "flow-00000001"}
    world.source.add(JOURNEY, {**journey, "design": "design-00000001", "next": "journey-00000001"})


def test_drives_a_job_with_a_cycle_through_all_its_phases(machine: Machine[SyncWorld]) -> None:
    plant(machine.world)

    job, execution = machine.run(job_id := machine.world.create_job(ENTRY))

    assert (job.status, execution) == (JobStatus.SUCCEEDED, "SUCCEEDED")
    assert {row.status for row in machine.world.rows(job_id).values()} == {RowStatus.CREATED}
    assert list(dict.fromkeys(machine.invoked)) == [
        "FetchSources",
        "SnapshotTarget",
        "PlanJob",
        "NextBatches",
        "SyncBatch",
        "PatchReferences",
        "RunFinalizers",
        "VerifyTargets",
        "FinishJob",
    ]


def test_a_dry_run_ends_behind_its_plan(machine: Machine[SyncWorld]) -> None:
    plant(machine.world)

    job, _ = machine.run(machine.world.create_job(ENTRY, dry_run=True))

    assert job.status is JobStatus.SUCCEEDED
    assert machine.world.writes() == 0
    assert machine.invoked[-2:] == ["PlanJob", "FinishJob"]


def test_waits_and_enters_a_step_again(machine: Machine[SyncWorld]) -> None:
    plant(machine.world)
    create, failures = machine.world.target.create_config, [1]

    def flaky(*args: Any, **named: Any) -> Any:
        if failures:
            failures.pop()
            raise DownstreamUnavailableError("It is not there.", retry_after=1)
        return create(*args, **named)

    machine.world.target.create_config = flaky  # type: ignore[method-assign]

    job, _ = machine.run(machine.world.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED
    assert machine.invoked.count("SyncBatch") == 2


def test_a_process_that_dies_is_replaced(machine: Machine[SyncWorld]) -> None:
    plant(machine.world)
    machine.break_off = {"PlanJob": 1, "SyncBatch": 1, "VerifyTargets": 2}

    job, _ = machine.run(machine.world.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED


def test_a_step_that_never_works_fails_its_rows_and_not_the_machine(machine: Machine[SyncWorld]) -> None:
    plant(machine.world)
    machine.break_off = {"SyncBatch": 100}

    job, execution = machine.run(job_id := machine.world.create_job(ENTRY))

    assert (job.status, execution) == (JobStatus.FAILED, "SUCCEEDED")
    assert {row.error.code for row in machine.world.rows(job_id).values() if row.error} == {"STEP_FAILED"}
    assert "RecordFailure" in machine.invoked


def test_a_refused_resource_leaves_a_partial_job(machine: Machine[SyncWorld]) -> None:
    plant(machine.world)
    machine.world.target.fail("create", "flow", DownstreamRejectedError("The flow API refused it."))

    job, _ = machine.run(machine.world.create_job(ENTRY))

    assert job.status is JobStatus.PARTIAL


def test_a_job_that_was_cancelled_before_it_began_stays_cancelled(machine: Machine[SyncWorld]) -> None:
    plant(machine.world)
    job_id = machine.world.create_job(ENTRY)
    machine.world.jobs.cancel_job(SOURCE_ORG, job_id, "2026-01-01T00:00:01.000Z")

    job, _ = machine.run(job_id)

    assert job.status is JobStatus.CANCELLED
    assert machine.invoked == ["FetchSources", "FinishJob"]


def ended(status: str, job_id: str) -> dict[str, Any] | None:
    return handed_over("FinishJobFunction", "SyncStateMachine", status, job_id)


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_ended_otherwise_closes_its_job_through_the_rule(
    machine: Machine[SyncWorld], status: str
) -> None:
    plant(machine.world)
    job_id = machine.world.create_job(ENTRY)
    for name, more in (("FetchSources", {}), ("PlanJob", {})):
        machine.invoke(name, {"org_id": SOURCE_ORG, "job_id": job_id, "execution_id": "e", **more})

    answers = [machine.invoke("FinishJob", ended(status, job_id) or {}) for _ in range(2)]

    assert [answer["job_status"] for answer in answers] == ["failed", "failed"]
    job = machine.world.jobs.get_job(SOURCE_ORG, job_id)
    assert (job.status, job.counts) == (JobStatus.FAILED, machine.world.counts_of_rows(job_id))
    assert [name for name, _ in machine.world.published] == ["SyncJobFinished"]


def test_an_execution_that_succeeded_is_no_business_of_the_rule() -> None:
    assert ended("SUCCEEDED", "job-1") is None
