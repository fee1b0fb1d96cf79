"""Delete jobs through their state machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.bootstrap import delete_finish, delete_steps
from shared.domain.errors import CredentialsExpiredError, DownstreamRejectedError, DownstreamUnavailableError
from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from tests.fakes.delete_world import DeleteWorld
from tests.fakes.sync_world import SOURCE_ORG
from tests.workflow.machine import Machine, deployed, handed_over

JOURNEY, DESIGN, FILE = (ResourceKey(name, f"{name}-1") for name in ("journey", "designbuilder", "file"))
KEPT = ResourceKey("journey", "kept")
STEPS = ["PlanDeletion", "DeleteBatch", "FinishDeletion"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine[DeleteWorld]]:
    with deployed("delete", DeleteWorld, monkeypatch) as machine:
        world = machine.world
        monkeypatch.setattr(delete_steps, "ports", lambda _step: world.ports())
        for module in (delete_steps, delete_finish):
            monkeypatch.setattr(module, "delete_jobs", lambda: world.jobs)
        monkeypatch.setattr(delete_finish, "credentials_store", lambda: world.credentials)
        monkeypatch.setattr(delete_finish, "event_bus", lambda: world)
        monkeypatch.setattr(delete_finish, "rebuild_target_index", lambda job, _token: world.rebuilt.append(job.id))
        world.add(JOURNEY, DESIGN, FILE, KEPT)
        world.index.uses = [(JOURNEY, DESIGN), (DESIGN, FILE), (KEPT, FILE)]
        yield machine


def statuses(world: DeleteWorld, job_id: str) -> dict[ResourceKey, str]:
    assert world.counts_of_rows(job_id) == world.counts(job_id) == world.jobs.get_job(SOURCE_ORG, job_id).counts
    return {key: row.status.value for key, row in world.rows(job_id).items()}


def ended(status: str, job_id: str) -> dict[str, Any] | None:
    return handed_over("FinishDeletionFunction", "DeleteStateMachine", status, job_id)


def test_drives_a_job_from_its_rows_to_its_end(machine: Machine[DeleteWorld]) -> None:
    job, execution = machine.run(job_id := machine.world.delete(FILE, DESIGN, JOURNEY))

    assert (job.status, execution) == (JobStatus.SUCCEEDED, "SUCCEEDED")
    assert machine.invoked == STEPS
    assert machine.world.repository.deleted == [JOURNEY, DESIGN, FILE]
    assert machine.world.there() == {KEPT}
    assert set(statuses(machine.world, job_id).values()) == {"deleted"}
    assert machine.world.rebuilt == [job_id]
    assert [name for name, _ in machine.world.published] == ["DeleteJobFinished"]
    assert machine.world.credentials.tokens == {}


def test_waits_and_enters_a_step_again(machine: Machine[DeleteWorld]) -> None:
    delete, failures = machine.world.repository.delete_config, [1]

    def flaky(*args: Any) -> None:
        if failures:
            failures.pop()
            raise DownstreamUnavailableError("It is not there.", retry_after=1)
        delete(*args)

    machine.world.repository.delete_config = flaky  # type: ignore[method-assign]

    job, _ = machine.run(machine.world.delete(FILE, DESIGN, JOURNEY))

    assert job.status is JobStatus.SUCCEEDED
    assert machine.invoked == ["PlanDeletion", "DeleteBatch", "DeleteBatch", "FinishDeletion"]
    assert machine.world.repository.deleted == [JOURNEY, DESIGN, FILE]


def test_a_process_that_dies_before_or_behind_its_work_is_replaced(machine: Machine[DeleteWorld]) -> None:
    machine.break_off = dict.fromkeys(STEPS, 1)
    machine.break_behind = dict.fromkeys(STEPS, 1)

    job, execution = machine.run(job_id := machine.world.delete(FILE, DESIGN, JOURNEY))

    assert (job.status, execution) == (JobStatus.SUCCEEDED, "SUCCEEDED")
    assert machine.invoked == [name for name in STEPS for _ in range(3)]
    assert machine.world.repository.deleted == [JOURNEY, DESIGN, FILE]
    assert set(statuses(machine.world, job_id).values()) == {"deleted"}
    assert [name for name, _ in machine.world.published] == ["DeleteJobFinished"]


@pytest.mark.parametrize(
    ("broken", "status", "error"),
    [
        ("PlanDeletion", JobStatus.FAILED, "PLAN_FAILED: The job ended before its rows stood."),
        ("DeleteBatch", JobStatus.PARTIAL, "INTERRUPTED: The job ended before it came to 2 of its 2 resources."),
    ],
)
def test_a_step_that_never_works_leaves_a_closed_job_and_not_a_failed_machine(
    machine: Machine[DeleteWorld], broken: str, status: JobStatus, error: str
) -> None:
    machine.break_off = {broken: 100}

    job, execution = machine.run(machine.world.delete(FILE, JOURNEY))

    assert (job.status, execution) == (status, "SUCCEEDED")
    assert str(job.error) == error
    assert machine.world.repository.deleted == []
    assert [name for name, _ in machine.world.published] == ["DeleteJobFinished"]


def test_an_end_that_never_works_fails_the_machine_and_the_rule_closes_the_job(machine: Machine[DeleteWorld]) -> None:
    machine.break_off = {"FinishDeletion": 4}

    job, execution = machine.run(job_id := machine.world.delete(FILE))

    assert (job.status, execution) == (JobStatus.IN_PROGRESS, "FAILED")
    answers = [machine.invoke("FinishDeletion", ended("FAILED", job_id) or {}) for _ in range(2)]
    assert [answer["job_status"] for answer in answers] == ["succeeded", "succeeded"]
    assert statuses(machine.world, job_id) == {FILE: "deleted"}
    assert [name for name, _ in machine.world.published] == ["DeleteJobFinished"]


def test_a_refused_config_leaves_a_partial_job(machine: Machine[DeleteWorld]) -> None:
    machine.world.repository.fail("delete", "designbuilder", DownstreamRejectedError("It is in use."))

    job, _ = machine.run(job_id := machine.world.delete(FILE, DESIGN, JOURNEY))

    assert job.status is JobStatus.PARTIAL
    assert statuses(machine.world, job_id) == {JOURNEY: "deleted", DESIGN: "failed", FILE: "deleted"}


def test_a_refused_token_ends_the_job_without_another_attempt(machine: Machine[DeleteWorld]) -> None:
    machine.world.repository.fail("get", "file", CredentialsExpiredError("The token has expired."))

    job, execution = machine.run(job_id := machine.world.delete(FILE, JOURNEY))

    assert (execution, machine.invoked) == ("SUCCEEDED", STEPS)
    assert job.error is not None
    assert job.error.code == "CREDENTIALS_EXPIRED"
    assert statuses(machine.world, job_id)[FILE] == "pending"


def test_a_job_that_was_closed_before_it_began_stays_closed(machine: Machine[DeleteWorld]) -> None:
    job_id = machine.world.delete(FILE, JOURNEY)
    machine.invoke("FinishDeletion", ended("ABORTED", job_id) or {})
    machine.invoked.clear()

    job, _ = machine.run(job_id)

    assert job.status is JobStatus.FAILED
    assert machine.invoked == ["PlanDeletion", "FinishDeletion"]
    assert machine.world.repository.deleted == []
    assert [name for name, _ in machine.world.published] == ["DeleteJobFinished"]


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_ended_otherwise_closes_its_job_through_the_rule(
    machine: Machine[DeleteWorld], status: str
) -> None:
    job_id = machine.world.delete(FILE, JOURNEY)
    machine.invoke("PlanDeletion", {"org_id": SOURCE_ORG, "job_id": job_id, "execution_id": "e"})

    answers = [machine.invoke("FinishDeletion", ended(status, job_id) or {}) for _ in range(2)]

    assert [answer["job_status"] for answer in answers] == ["partial", "partial"]
    assert statuses(machine.world, job_id) == {FILE: "pending", JOURNEY: "pending"}
    assert [name for name, _ in machine.world.published] == ["DeleteJobFinished"]
    late = machine.invoke("DeleteBatch", {"org_id": SOURCE_ORG, "job_id": job_id, "execution_id": "e"})
    assert (late["status"], machine.world.repository.deleted) == ("failed", [])


def test_an_execution_that_succeeded_is_no_business_of_the_rule() -> None:
    assert ended("SUCCEEDED", "job-1") is None
