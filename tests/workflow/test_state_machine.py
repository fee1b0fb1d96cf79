"""The real state machine with the real handlers: moto interprets the ASL and hands every Task to its handler."""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend

from functions.sync.fetch_sources import handler as fetch_sources_handler
from shared.bootstrap import sync, sync_finish
from shared.domain.errors import DownstreamRejectedError, DownstreamUnavailableError
from shared.domain.resource_type import ResourceKey
from shared.domain.sync_job import Job, JobStatus, RowStatus
from tests.aws import REGION, create_tables, template
from tests.conftest import LambdaContext
from tests.fakes.moto_transactions import speed_up_transactions
from tests.fakes.sync_types import DESIGN, FLOW, JOURNEY
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld

ASL = Path(__file__).parents[2] / "functions" / "sync" / "state_machine.asl.json"
ENTRY = ResourceKey("journey", "journey-00000001")
_ROLE = "arn:aws:iam::123456789012:role/any"
_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Machine:
    """The deployed state machine.

    Attributes:
        invoked: names of the functions in the order of their invocations.
        break_off: function name -> how many invocations raise before the handler runs.
    """

    def __init__(self, world: SyncWorld) -> None:
        self.world = world
        self.invoked: list[str] = []
        self.break_off: dict[str, int] = {}
        self._client = boto3.client("stepfunctions")
        definition = re.sub(
            r"\$\{(\w+)FunctionArn\}", r"arn:aws:lambda:eu-central-1:123456789012:function:\1", ASL.read_text()
        )
        # Retries wait in real time here.
        definition = definition.replace('"IntervalSeconds": 1,', '"IntervalSeconds": 1, "MaxDelaySeconds": 1,').replace(
            '"MaxDelaySeconds": 20,', ""
        )
        self.arn = self._client.create_state_machine(name="sync", definition=definition, roleArn=_ROLE)[
            "stateMachineArn"
        ]

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """Run the handler of one function, as Lambda would."""
        self.invoked.append(name)
        if self.break_off.get(name):
            self.break_off[name] -= 1
            raise RuntimeError("The process died.")
        handler = importlib.import_module(f"functions.sync.{snake(name)}.handler").lambda_handler
        answer: dict[str, Any] = handler(json.loads(json.dumps(event)), LambdaContext(remaining_ms=120_000))
        return answer

    def run(self, job_id: str) -> tuple[Job, str]:
        """Run a job's execution to its end; return its header and the execution's status."""
        execution = self._client.start_execution(
            stateMachineArn=self.arn, name=job_id, input=json.dumps({"org_id": SOURCE_ORG, "job_id": job_id})
        )["executionArn"]
        for _ in range(1200):
            described = self._client.describe_execution(executionArn=execution)
            if described["status"] in _ENDED:
                return self.world.jobs.get_job(SOURCE_ORG, job_id), described["status"]
            time.sleep(0.05)
        raise AssertionError(f"The execution does not end; so far {self.invoked}")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name, value in {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    speed_up_transactions(monkeypatch)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}):
        dynamodb = boto3.resource("dynamodb")
        create_tables(dynamodb)
        world = SyncWorld(dynamodb)
        machine = Machine(world)
        monkeypatch.setattr(sync, "ports", lambda _step: world.ports())
        monkeypatch.setattr(fetch_sources_handler, "index_store", lambda: world.index)
        monkeypatch.setattr(sync_finish, "sync_store", lambda: world.jobs)
        monkeypatch.setattr(sync_finish, "credentials_store", lambda: world.credentials)
        monkeypatch.setattr(sync_finish, "event_bus", lambda: world)
        monkeypatch.setattr(sync_finish, "rebuild_target_index", lambda job, _token: world.rebuilt.append(job.id))

        def invoke(
            _self: Any, function_name: str, _qualifier: Any, body: Any, _headers: Any, response_headers: Any
        ) -> Any:
            try:
                return json.dumps(machine.invoke(function_name.rsplit(":", maxsplit=1)[-1], json.loads(body))).encode()
            except Exception as error:  # noqa: BLE001 - Lambda reports whatever a handler raises
                response_headers["x-amz-function-error"] = "Unhandled"
                return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()

        monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
        yield machine


def plant(world: SyncWorld) -> None:
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    world.source.add(FLOW, {"id": "flow-00000001", "name": "Flow", "journeys": ["journey-00000001"]})
    journey = {"id": "journey-00000001", "name": "Journey", "enabled": True, "flow": "flow-00000001"}
    world.source.add(JOURNEY, {**journey, "design": "design-00000001", "next": "journey-00000001"})


def test_drives_a_job_with_a_cycle_through_all_its_phases(machine: Machine) -> None:
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


def test_a_dry_run_ends_behind_its_plan(machine: Machine) -> None:
    plant(machine.world)

    job, _ = machine.run(machine.world.create_job(ENTRY, dry_run=True))

    assert job.status is JobStatus.SUCCEEDED
    assert machine.world.writes() == 0
    assert machine.invoked[-2:] == ["PlanJob", "FinishJob"]


def test_waits_and_enters_a_step_again(machine: Machine) -> None:
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


def test_a_process_that_dies_is_replaced(machine: Machine) -> None:
    plant(machine.world)
    machine.break_off = {"PlanJob": 1, "SyncBatch": 1, "VerifyTargets": 2}

    job, _ = machine.run(machine.world.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED


def test_a_step_that_never_works_fails_its_rows_and_not_the_machine(machine: Machine) -> None:
    plant(machine.world)
    machine.break_off = {"SyncBatch": 100}

    job, execution = machine.run(job_id := machine.world.create_job(ENTRY))

    assert (job.status, execution) == (JobStatus.FAILED, "SUCCEEDED")
    assert {row.error.code for row in machine.world.rows(job_id).values() if row.error} == {"STEP_FAILED"}
    assert "RecordFailure" in machine.invoked


def test_a_refused_resource_leaves_a_partial_job(machine: Machine) -> None:
    plant(machine.world)
    machine.world.target.fail("create", "flow", DownstreamRejectedError("The flow API refused it."))

    job, _ = machine.run(machine.world.create_job(ENTRY))

    assert job.status is JobStatus.PARTIAL


def test_a_job_that_was_cancelled_before_it_began_stays_cancelled(machine: Machine) -> None:
    plant(machine.world)
    job_id = machine.world.create_job(ENTRY)
    machine.world.jobs.cancel_job(SOURCE_ORG, job_id, "2026-01-01T00:00:01.000Z")

    job, _ = machine.run(job_id)

    assert job.status is JobStatus.CANCELLED
    assert machine.invoked == ["FetchSources", "FinishJob"]


def handed_over(status: str, job_id: str) -> dict[str, Any] | None:
    """Return what the template's rule hands FinishJob of an execution's event; None where it does not match."""
    rule = template()["Resources"]["FinishJobFunction"]["Properties"]["Events"]["ExecutionEnded"]["Properties"]
    event: dict[str, Any] = {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": f"arn:aws:states:eu-central-1:123456789012:execution:sync:{job_id}",
            "status": status,
            "input": json.dumps({"org_id": SOURCE_ORG, "job_id": job_id}),
            "inputDetails": {"included": True},
        },
    }
    assert rule["InputPath"] == "$.detail"
    wanted = rule["Pattern"]
    matches = event["source"] in wanted["source"] and event["detail-type"] in wanted["detail-type"]
    detail: dict[str, Any] = event["detail"]
    return detail if matches and status in wanted["detail"]["status"] else None


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_an_execution_that_ended_otherwise_closes_its_job_through_the_rule(machine: Machine, status: str) -> None:
    plant(machine.world)
    job_id = machine.world.create_job(ENTRY)
    for name, more in (("FetchSources", {}), ("PlanJob", {})):
        machine.invoke(name, {"org_id": SOURCE_ORG, "job_id": job_id, "execution_id": "e", **more})

    answers = [machine.invoke("FinishJob", handed_over(status, job_id) or {}) for _ in range(2)]

    assert [answer["job_status"] for answer in answers] == ["failed", "failed"]
    job = machine.world.jobs.get_job(SOURCE_ORG, job_id)
    assert (job.status, job.counts) == (JobStatus.FAILED, machine.world.counts_of_rows(job_id))
    assert [name for name, _ in machine.world.published] == ["SyncJobFinished"]


def test_an_execution_that_succeeded_is_no_business_of_the_rule() -> None:
    assert handed_over("SUCCEEDED", "job-1") is None
