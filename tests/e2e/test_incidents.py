"""Six incidents on the running stack: each sets off its alarm by our own figures, and the runbook leads to the cause.

Alarms, with their expressions and thresholds, and the saved queries are those of template.yaml; the steps are those of
docs/operations.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.alarms import Alarms, read_invocations
from sandbox.control import SandboxControl
from sandbox.dashboards import read_samples
from sandbox.hub_client import Json
from sandbox.logs import filtered, read_lines
from sandbox.stack import deployment
from sandbox.stack.settings import read_settings
from sandbox.wire import Fault, Wire, attached
from tests.aws import template
from tests.e2e.conftest import STACK_FILE
from tests.e2e.test_sync_corners import JOBS, Shop, make_shop, until_machine_ended

RESOURCES = template()["Resources"]
ENTITY_API = "entity.sls.epilot.io"
#: Longer than the alarm on silent jobs waits.
TWENTY_MINUTES_S = 1200
#: Resources enough for the least number of calls that an alarm on their share minds.
FEW = 6
# Figures stand in the log once an invocation has ended; a cold one takes seconds, on a busy machine minutes.
SEEN_WITHIN_S = 300


@dataclass(frozen=True, slots=True)
class Watch:
    """What an operator sees of the stack since a point in time, and may do."""

    since: float

    def aws(self, service: str) -> Any:
        return deployment.client(read_settings(), service)

    def resource(self, kind: str, name: str) -> str:
        return deployment.list_resources(read_settings(), kind)[name]

    def is_on(self, alarm: str) -> bool:
        return self.alarms().is_on(alarm, time.time())

    def has_figures(self, alarm: str) -> bool:
        # What the engine counts stands at the beginning of its minute, which may be before the watch began.
        return self.alarms().value(RESOURCES[alarm]["Properties"], 0, time.time()) is not None

    def alarms(self) -> Alarms:
        logged = read_samples(read_lines(read_settings(), self.since))
        return Alarms(RESOURCES, [*logged, *read_invocations(read_settings(), self.since)])

    def saved_query(self, name: str, job_id: str = "") -> list[Mapping[str, Any]]:
        """Run a saved query as a person does: with the job's id in place of the sample's."""
        text = RESOURCES[f"{name}Query"]["Properties"]["QueryString"]
        text = text.replace("00000000-0000-4000-8000-000000000001", job_id)
        return filtered(text, read_lines(read_settings(), self.since))

    def measure(self, in_s: float = 0) -> None:
        """Run the scheduled check, as if it were that much later."""
        at = datetime.fromtimestamp(time.time() + in_s, UTC).isoformat()
        function = self.resource("AWS::Lambda::Function", "MeasureHealthFunction")
        before = self.measured()
        answer = self.aws("lambda").invoke(FunctionName=function, Payload=json.dumps({"time": at}))
        assert json.loads(answer["Payload"].read())["status"] == "done"
        until(lambda: self.measured() > before)

    def measured(self) -> int:
        """How many figures of the scheduled check have arrived."""
        return sum("DeadLetters" in line for line in read_lines(read_settings(), self.since))

    def told(self, message: str) -> list[Mapping[str, Any]]:
        """What the functions say under one message."""
        return filtered(f'filter message = "{message}"', read_lines(read_settings(), self.since))


def until(is_so: Callable[[], Any]) -> Any:
    """Wait for something to be there, and return it."""
    deadline = time.monotonic() + SEEN_WITHIN_S
    while not (seen := is_so()):
        assert time.monotonic() < deadline, "it is not seen"
        time.sleep(0.3)
    return seen


@pytest.fixture(scope="module")
def shop(stack: Json, control: SandboxControl) -> Shop:
    """42 indexed resources of the entity API, which incidents here are about."""
    made = make_shop(stack, control)
    assert made.source.rebuild_index()["status"] == "ready"
    return made


@pytest.fixture
def watch(control: SandboxControl) -> Iterator[Watch]:
    """Nothing that was logged before counts; what the sandbox was told to do ends with the test."""
    yield Watch(time.time())
    control.reset("behaviour")


def healthy(watch: Watch, shop: Shop, alarm: str) -> None:
    """Work without a fault, and the alarm stays off though it has figures."""
    shop.run(dry_run=True)
    until(lambda: watch.has_figures(alarm))
    assert not watch.is_on(alarm)


def test_a_downstream_api_is_down(watch: Watch, shop: Shop, control: SandboxControl) -> None:
    healthy(watch, shop, "EntityFailingAlarm")
    control.behave(faults=[{"host": ENTITY_API, "kind": "status", "status": 503}])
    job = shop.start(dry_run=True, resources=shop.roots[:FEW])
    until(lambda: watch.is_on("EntityFailingAlarm"))

    calls = [call for call in watch.saved_query("SlowestDownstreamCalls") if call["ended"] == "failed"]
    assert {call["host"] for call in calls} == {ENTITY_API}
    assert "getEntityV2" in {call["operation"] for call in calls}
    codes = {line["code"] for line in watch.saved_query("FollowJob", job["id"]) if line.get("code")}
    assert codes == {"DOWNSTREAM_UNAVAILABLE"}, "the job waits"
    shop.source.post(f"{JOBS}/{job['id']}/cancel")


def test_a_downstream_api_throttles(watch: Watch, shop: Shop, control: SandboxControl) -> None:
    healthy(watch, shop, "EntityThrottlingAlarm")
    control.behave(rate_limits=[{"host": ENTITY_API, "per_second": 4, "burst": 2}])
    job = shop.start(dry_run=True, resources=shop.roots[: 3 * FEW])
    until(lambda: watch.is_on("EntityThrottlingAlarm"))
    assert not watch.is_on("EntityFailingAlarm"), "throttled is not failed"

    calls = [call for call in watch.saved_query("SlowestDownstreamCalls") if call["ended"] == "throttled"]
    assert {call["host"] for call in calls} == {ENTITY_API}
    assert {call["operation"] for call in calls} >= {"getEntityV2"}
    control.reset("behaviour")
    assert shop.source.run_job(job["id"])["status"] == "succeeded", "it only takes longer"


def test_a_worker_is_killed_and_cannot_tell(watch: Watch, shop: Shop, stack: Json) -> None:
    functions, name = watch.aws("lambda"), watch.resource("AWS::Lambda::Function", "FetchSourcesFunction")
    job = shop.source.run_job(shop.start(dry_run=True)["id"])
    execution = f"{stack['state_machine_arn'].replace(':stateMachine:', ':execution:')}:{job['id']}"
    task = {"org_id": shop.source_id, "job_id": job["id"], "execution_id": execution}

    def work() -> str | None:
        """Do as the machine does, whose own invocations the engine does not count."""
        answer = functions.invoke(FunctionName=name, Qualifier="live", Payload=json.dumps(task))
        return answer.get("FunctionError")

    assert work() is None
    until(lambda: watch.has_figures("WorkerErrorsAlarm"))
    assert not watch.is_on("WorkerErrorsAlarm")
    with (
        Wire(stack["aws_endpoint_url"], STACK_FILE.parent / "engine") as wire,
        attached(functions, [name], wire, timeout_s=60),
    ):
        wire.faults = [Fault(kind="kill", words=(shop.source_id,), function=name, count=None)]
        assert all(work() for _ in range(3))
    until(lambda: watch.is_on("WorkerErrorsAlarm"))
    assert not watch.is_on("StepsBrokenAlarm"), "what is killed says nothing"
    assert not watch.is_on("CoordinatorErrorsAlarm")


def test_a_job_is_stuck(watch: Watch, shop: Shop, control: SandboxControl, stack: Json) -> None:
    watch.measure()
    assert watch.has_figures("StuckSyncJobAlarm")
    assert not watch.is_on("StuckSyncJobAlarm")
    control.behave(faults=[{"host": ENTITY_API, "operation": "createEntity", "kind": "hold"}])
    job = shop.start()
    until(lambda: control.requests_summary()["held"] > 0)
    watch.measure(in_s=TWENTY_MINUTES_S)
    until(lambda: watch.is_on("StuckSyncJobAlarm"))

    (silent,) = [line for line in watch.told("Job makes no progress") if line["org_id"] == shop.source_id]
    assert silent["job_id"] == job["id"]
    assert silent["silent_s"] >= RESOURCES["StuckSyncJobAlarm"]["Properties"]["Threshold"]
    steps = [line["function_name"] for line in watch.saved_query("FollowJob", silent["job_id"])]
    assert not any("SyncBatch" in name for name in steps), "the step after the last one that came back is what hangs"
    assert any("NextBatches" in name for name in steps)
    shop.source.post(f"{JOBS}/{silent['job_id']}/cancel")
    control.reset("behaviour")
    until_machine_ended(stack, job)

    after = Watch(time.time())
    after.measure(in_s=TWENTY_MINUTES_S)
    others = [line for line in after.told("Job makes no progress") if line["kind"] == "sync"]
    assert silent["job_id"] not in {line["job_id"] for line in others}
    assert after.is_on("StuckSyncJobAlarm") is bool(others), (
        "a job that another test left running would be stuck as well"
    )


def test_an_index_build_becomes_a_dead_letter(watch: Watch, shop: Shop) -> None:
    queue, sqs = watch.resource("AWS::SQS::Queue", "BuildIndexDeadLetterQueue"), watch.aws("sqs")
    sqs.purge_queue(QueueUrl=queue)  # what another test left
    watch.measure()
    assert not watch.is_on("DeadLettersAlarm")
    # An event of another version of the service: the function breaks off before it can record anything.
    event = {"org_id": shop.source_id, "build_token": "of-another-version"}
    function = watch.resource("AWS::Lambda::Function", "BuildIndexFunction")
    watch.aws("lambda").invoke(
        FunctionName=function, Qualifier="live", InvocationType="Event", Payload=json.dumps(event)
    )
    until(lambda: sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0).get("Messages"))
    watch.measure()
    until(lambda: watch.is_on("DeadLettersAlarm"))

    (letter,) = watch.told("Dead letter")
    assert (letter["org_id"], letter["build"]) == (event["org_id"], event["build_token"])
    traces = [line for line in watch.told("Step broke off") if line.get("org_id") == letter["org_id"]]
    assert {line["exception_name"] for line in traces} == {"KeyError"}
    assert len(traces) == 2, "it is tried twice"

    assert shop.source.rebuild_index()["status"] == "ready"
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    after = Watch(time.time())
    after.measure()
    assert not after.is_on("DeadLettersAlarm")


def test_an_index_fails(watch: Watch, shop: Shop, control: SandboxControl) -> None:
    assert shop.target.rebuild_index()["status"] == "ready"
    assert not watch.is_on("IndexBuildsFailedAlarm")
    control.behave(faults=[{"kind": "status", "status": 403}])
    shop.target.post("/v1/configs/index:rebuild")
    until(lambda: watch.is_on("IndexBuildsFailedAlarm"))

    (failure,) = [line for line in watch.saved_query("FailuresByCode") if line["message"] == "Build failed"]
    assert failure["org_id"] == shop.target_id
    assert failure["code"] == "DOWNSTREAM_UNAVAILABLE"
    assert "403" in failure["reason"]
    assert "No type could be read" in failure["reason"]
    watch.measure()
    assert shop.target_id in {line["org_id"] for line in watch.told("Index fails")}

    control.reset("behaviour")
    assert shop.target.rebuild_index()["status"] == "ready"
    after = Watch(time.time())
    after.measure()
    assert shop.target_id not in {line["org_id"] for line in after.told("Index fails")}
