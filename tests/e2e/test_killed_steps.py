"""Jobs of 200 resources on the running stack whose steps die, lose their answers or run twice, amid conflicts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.control import SandboxControl
from sandbox.equality import differences
from sandbox.hub_client import Json
from sandbox.wire import Fault, Kind, Wire, attached
from shared.adapters.dynamodb.keys import lineage_partition
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.resource_type import ResourceKey
from tests.e2e.conftest import STACK_FILE
from tests.e2e.test_faults import closing, judge, make_pair_to_create, selected, show
from tests.e2e.test_sync_corners import JOBS, Shop, assert_counted, engine_client, make_shop, open_shop, wait_for
from tests.e2e.works import SIZE, make_works

STEPS = (
    "FetchSources",
    "SnapshotTarget",
    "PlanJob",
    "NextBatches",
    "SyncBatch",
    "ResolveDerivedReferences",
    "PatchReferences",
    "RunFinalizers",
    "VerifyTargets",
    "FinishJob",
)
#: With less time per step the suite waits less for a dead one's to be over. It must have the half minute in which it
#: looks for what a dead one created, too.
STEP_TIMEOUT_S = 60
LONGEST_S = 600
CONFLICTS = 0.1
#: Of the requests of a job's steps to storage, so many kill whoever sends them, until so many are dead; each death in
#: the middle of writing is waited for.
KILLED = 0.05
KILLS = 40
MOST_KILLED_JOBS = 10
LONGEST_KILLED_S = 3600


COMMIT = ("TransactWriteItems", "last_sync_job_id")


@dataclass(frozen=True, slots=True)
class Point:
    """Where a step of a job meets its fate: its first request that has all of these words."""

    step: str
    fate: Kind
    words: tuple[str, ...]


#: The claims of a dead process bind its rows until its time is over and half a minute more. This job waits for that; in
#: the others claims run out once the process is dead.
WAITS = "the process dies where derived values are read"
#: What one job of 200 resources goes through.
FATES: dict[str, tuple[Point, ...]] = {
    "the process dies before a request leaves": (
        Point("FetchSources", "kill", ("PUT", "/source/journey/")),
        Point("SnapshotTarget", "kill", ("PUT", "/target/product/snapshot")),
        Point("PlanJob", "kill", ("TransactWriteItems", "COUNTS#plan")),
        Point("SyncBatch", "kill", (*COMMIT, "journey#")),
        Point("PatchReferences", "kill", COMMIT),
        Point("RunFinalizers", "kill", COMMIT),
        Point("VerifyTargets", "kill", COMMIT),
        Point("FinishJob", "kill", ("UpdateItem", "finished_at")),
    ),
    "the answer is lost with the process": (
        Point("FetchSources", "kill_answered", ("PUT", "/source/closure")),
        Point("SnapshotTarget", "kill_answered", ("PUT", "/target/price/snapshot")),
        Point("PlanJob", "kill_answered", ("UpdateItem", "stages", "planned")),
        Point("NextBatches", "kill_answered", ("UpdateItem", "hand_outs")),
        Point("SyncBatch", "kill_answered", ("TransactWriteItems", "lease_until")),
        Point("PatchReferences", "kill_answered", COMMIT),
        Point("RunFinalizers", "kill_answered", COMMIT),
        Point("VerifyTargets", "kill_answered", COMMIT),
        Point("FinishJob", "kill_answered", ("UpdateItem", "finished_at")),
    ),
    "the answer is late and the step runs twice at once": (
        Point("FetchSources", "hold", ("PUT", "/source/closure")),
        Point("PlanJob", "hold", ("UpdateItem", "stages", "planned")),
        Point("NextBatches", "hold", ("UpdateItem", "hand_outs")),
        Point("SyncBatch", "hold", (*COMMIT, "entity_mapping#")),
        Point("SyncBatch", "kill_answered", (*COMMIT, "automation_flow#")),
        Point("ResolveDerivedReferences", "hold", COMMIT),
        Point("PatchReferences", "hold", COMMIT),
        Point("RunFinalizers", "hold", COMMIT),
        Point("VerifyTargets", "hold", COMMIT),
        Point("FinishJob", "hold", ("UpdateItem", "finished_at")),
    ),
    WAITS: (
        Point("FetchSources", "kill", ("PUT", "/source/identifiers")),
        Point("PlanJob", "kill", ("PUT", "/batch/")),
        Point("ResolveDerivedReferences", "kill", COMMIT),
    ),
}


@dataclass(frozen=True, slots=True)
class Run:
    """A job that has ended, and what struck it."""

    shop: Shop
    faults: Mapping[Point, Fault]
    job: Json
    seconds: float


class Functions:
    """The step functions of the stack, on a wire."""

    def __init__(self, stack: Json, wire: Wire) -> None:
        self.client = engine_client(stack, "lambda")
        self.wire = wire
        self._machine = engine_client(stack, "stepfunctions")
        self._dynamodb = engine_client(stack, "dynamodb")
        self._lineage = stack["tables"]["LineageTable"]
        self._executions = stack["state_machine_arn"].replace(":stateMachine:", ":execution:")
        pages = engine_client(stack, "cloudformation").get_paginator("list_stack_resources")
        found = [
            one for page in pages.paginate(StackName=stack["stack_name"]) for one in page["StackResourceSummaries"]
        ]
        self.deployed = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}
        self.names = {step: self.deployed[f"{step}Function"] for step in STEPS}

    def fault(self, fate: str, point: Point, shop: Shop) -> Fault:
        """Return what meets a job of this shop at a point."""
        words = (shop.source_id, *point.words)
        fault = Fault(kind=point.fate, words=words, function=self.names[point.step])
        if point.fate == "hold":
            fault.then = lambda request: self.run_again(point.step, shop, request)
        elif fate != WAITS:
            fault.then = lambda request: self.end_claims(shop, request)
        return fault

    def end_claims(self, shop: Shop, request: str) -> None:
        """Let the claims run out of which a request names the owner."""
        table, partition = self._lineage, {"S": lineage_partition(shop.target_id)}
        for owner in set(re.findall(r"\b[0-9a-f]{32}\b", request)):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=table,
                KeyConditionExpression="pk = :pk",
                FilterExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":pk": partition, ":owner": {"S": owner}},
            )
            for claim in [item for page in pages for item in page["Items"]]:
                # What the dead one sent last may have let go of it meanwhile.
                with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
                    self._dynamodb.update_item(
                        TableName=table,
                        Key={"pk": claim["pk"], "sk": claim["sk"]},
                        UpdateExpression="SET lease_until = :now",
                        ConditionExpression="#owner = :owner",
                        ExpressionAttributeNames={"#owner": "owner"},
                        ExpressionAttributeValues={":now": {"N": str(int(time.time()))}, ":owner": {"S": owner}},
                    )

    def run_again(self, step: str, shop: Shop, request: str) -> None:
        """Run a step to its end, as the machine does that has given up on the answer that is still to come."""
        [job_id] = set(re.findall(f"(?:ORG#{shop.source_id}#JOB#|jobs/{shop.source_id}/)([0-9a-f-]{{36}})", request))
        task = {"org_id": shop.source_id, "job_id": job_id, "execution_id": f"{self._executions}:{job_id}", "batch": 1}
        answer = self.client.invoke(FunctionName=self.names[step], Payload=json.dumps(task).encode())
        assert "FunctionError" not in answer, answer["Payload"].read()

    def run_to_the_end(self, shop: Shop) -> Json:
        """Start a job of everything and return it when its execution has ended; a loaded machine takes minutes."""
        return self.ended(shop, shop.start(), LONGEST_S)

    def ended(self, shop: Shop, job: Json, within_s: float) -> Json:
        """Return a job when its execution has ended."""
        wait_for(lambda: self.execution_of(job) != "RUNNING", within_s)
        return shop.source.get(f"{JOBS}/{job['id']}")

    def execution_of(self, job: Json) -> str:
        """Return how the execution of a job stands."""
        status: str = self._machine.describe_execution(executionArn=f"{self._executions}:{job['id']}")["status"]
        return status

    def sweep(self) -> None:
        """Do what is done every two minutes anyway."""
        answer = self.client.invoke(FunctionName=self.deployed["SweepEndedRunsFunction"], Payload=b"{}")
        assert json.loads(answer["Payload"].read()) == {"status": "done", "code": ""}


@pytest.fixture(scope="module")
def functions(stack: Json, seed: str) -> Iterator[Functions]:
    """The step functions; a tenth of what they write meets a conflict."""
    with Wire(stack["aws_endpoint_url"], STACK_FILE.parent / "engine", seed=int(seed)) as wire:
        made = Functions(stack, wire)
        with attached(made.client, list(made.names.values()), wire, STEP_TIMEOUT_S):
            yield made


def conflicts(shop: Shop) -> list[Fault]:
    return [
        Fault(kind="conflict", words=("ConditionExpression", org_id), probability=CONFLICTS, count=None)
        for org_id in (shop.source_id, shop.target_id)
    ]


def meet(stack: Json, control: SandboxControl, functions: Functions, fate: str) -> Run:
    """Run a job that meets a fate, amid conflicts."""
    shop = open_works(stack, control)
    faults = {point: functions.fault(fate, point, shop) for point in FATES[fate]}
    functions.wire.faults += [*faults.values(), *conflicts(shop)]
    began = time.monotonic()
    job = functions.run_to_the_end(shop)
    return Run(shop, faults, job, time.monotonic() - began)


@pytest.fixture(scope="module")
def waiting(stack: Json, functions: Functions) -> Iterator[Future[Run]]:
    """The job that waits, beside the tests."""
    # Of its own: a session is not for several threads.
    control = SandboxControl(stack["sandbox_url"])
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(meet, stack, control, functions, WAITS)


def open_works(stack: Json, control: SandboxControl) -> Shop:
    source_id = control.make_organisation()
    return open_shop(stack, control, make_works(source_id), source_id)


def assert_copied_once(control: SandboxControl, shop: Shop, *jobs: Json) -> None:
    """Every resource of the source is on the target once and says the same, and nothing else is there."""
    source, target = control.dump(RESOURCE_TYPES, shop.source_id), control.dump(RESOURCE_TYPES, shop.target_id)
    rows = [row for job in jobs for row in shop.rows(job)]
    id_map = {ResourceKey(row["type"], row["source_id"]): row["target_id"] for row in rows if row.get("target_id")}
    assert id_map.keys() == source.keys()
    assert {ResourceKey(key.type, target_id) for key, target_id in id_map.items()} == target.keys()
    assert len(target) == SIZE
    assert [str(one) for one in differences(RESOURCE_TYPES, source, target, id_map, list(id_map))] == []


def assert_outlived(control: SandboxControl, fate: str, run: Run) -> None:
    """Each point struck once, and everything is there once."""
    statuses = assert_counted(run.shop, run.job)
    print(f"\n{fate}, at {len(run.faults)} points: {run.job['status']} after {run.seconds:.1f} s, {dict(statuses)}")
    print(
        "  " + ", ".join(f"{point.step} {'' if fault.struck else 'NOT STRUCK'}" for point, fault in run.faults.items())
    )
    assert {point for point, fault in run.faults.items() if fault.struck != 1} == set()
    assert run.job["status"] == "succeeded", run.job["errors_sample"]
    assert statuses == {"created": SIZE}
    assert_copied_once(control, run.shop, run.job)


@pytest.mark.usefixtures("waiting")
@pytest.mark.parametrize("fate", [fate for fate in FATES if fate != WAITS])
def test_a_job_of_200_outlives_it_at_every_step(
    stack: Json, control: SandboxControl, functions: Functions, fate: str
) -> None:
    assert_outlived(control, fate, meet(stack, control, functions, fate))


@pytest.mark.usefixtures("waiting")
def test_answers_of_storage_that_are_lost_or_late_change_nothing(
    stack: Json, control: SandboxControl, functions: Functions
) -> None:
    shop = open_works(stack, control)
    own = (shop.source_id,)
    faults = [
        Fault(kind="lose", words=own, probability=0.05, count=None),
        Fault(kind="cut", words=own, probability=0.05, count=None),
        Fault(kind="late", words=own, probability=0.02, count=None, delay_s=1.5),
    ]
    functions.wire.faults += faults
    job = functions.run_to_the_end(shop)

    struck = {fault.kind: fault.struck for fault in faults}
    print(f"\n{struck}: {job['status']}, {dict(assert_counted(shop, job))}")
    assert min(struck.values()) > 0
    assert job["status"] == "succeeded", job["errors_sample"]
    assert_copied_once(control, shop, job)


@pytest.mark.usefixtures("waiting")
def test_two_jobs_at_once_under_conflicts_make_nothing_twice(
    stack: Json, control: SandboxControl, functions: Functions
) -> None:
    shop = open_works(stack, control)
    faults = conflicts(shop)
    functions.wire.faults += faults
    parts = [shop.roots[: 2 * SIZE // 3], shop.roots[SIZE // 3 :]]
    jobs = [shop.start(resources=list(part), name="part") for part in parts]
    ended = [shop.source.run_job(job["id"]) for job in jobs]

    statuses = [assert_counted(shop, job) for job in ended]
    struck = sum(fault.struck for fault in faults)
    print(f"\n{struck} conflicts: {[dict(one) for one in statuses]}")
    assert [job["status"] for job in ended] == ["succeeded", "succeeded"]
    assert struck > 0
    assert sum(one["created"] for one in statuses) == SIZE
    assert_copied_once(control, shop, *ended)


def test_a_job_of_200_waits_until_the_time_of_a_dead_step_is_over(
    control: SandboxControl, waiting: Future[Run]
) -> None:
    run = waiting.result()
    assert_outlived(control, WAITS, run)
    assert run.seconds > STEP_TIMEOUT_S


def test_a_job_whose_end_is_killed_at_every_try_is_closed_by_the_sweeper(
    stack: Json, control: SandboxControl, functions: Functions
) -> None:
    shop = make_shop(stack, control)
    kills = Fault(kind="kill", words=(shop.source_id,), function=functions.names["FinishJob"], count=None)
    functions.wire.faults = [kills]
    job = functions.ended(shop, shop.start(), LONGEST_S)
    assert (functions.execution_of(job), job["status"]) == ("FAILED", "in_progress")
    sqs, queue = engine_client(stack, "sqs"), functions.deployed["LostEndsQueue"]
    wait_for(lambda: any(job["id"] in letter["Body"] for letter in letters(sqs, queue)))
    assert shop.source.get(f"{JOBS}/{job['id']}")["status"] == "in_progress"

    functions.wire.faults = []
    functions.sweep()

    ended = shop.source.run_job(job["id"])
    print(f"\n{kills.struck} workers of FinishJob killed: {ended['status']} by the sweeper")
    assert ended["status"] == "succeeded"
    assert_counted(shop, ended)
    tables = engine_client(stack, "dynamodb")
    kept = tables.scan(TableName=stack["tables"]["CredentialsTable"])["Items"]
    assert [item for item in kept if job["id"] in item["pk"]["S"]] == []
    sqs.purge_queue(QueueUrl=queue)


def letters(sqs: Any, queue: str) -> list[Json]:
    found: list[Json] = sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0, MaxNumberOfMessages=10).get(
        "Messages", []
    )
    return found


@pytest.mark.long
def test_a_job_of_every_type_whose_workers_are_killed_is_whole_after_a_retry_of_which_none_is(
    stack: Json, control: SandboxControl, functions: Functions, seed: str
) -> None:
    """References included: what was left out beside a row that died is there once the row is."""
    pair = make_pair_to_create(stack, control, int(seed))
    before = control.dump(RESOURCE_TYPES, pair.target_id)
    shop = Shop(
        pair.source_id,
        pair.target_id,
        pair.target_token,
        pair.source_token,
        pair.source,
        pair.target,
        tuple(selected(pair)),
    )
    kills = Fault(kind="kill", words=(pair.source_id,), probability=KILLED, count=KILLS)
    functions.wire.faults = [kills]
    jobs = [functions.ended(shop, shop.start(), LONGEST_KILLED_S)]

    def retry() -> None:
        started = shop.source.post(f"{JOBS}/{jobs[-1]['id']}/retry")
        jobs.append(functions.ended(shop, started, LONGEST_KILLED_S))

    # A step that is killed at every try ends its job: it is retried until enough have been killed.
    while jobs[-1]["status"] != "succeeded" and kills.struck <= KILLS / 2 and len(jobs) < MOST_KILLED_JOBS:
        retry()
    functions.wire.faults = []
    if jobs[-1]["status"] != "succeeded":
        retry()

    became = judge(control, pair, int(seed), jobs, before)
    show(f"{kills.struck} workers killed", [became])
    print(f"kills: {kills.struck} workers, {closing([became])}")
    assert jobs[-1]["status"] == "succeeded", jobs[-1]["errors_sample"]
    assert (became.strays, became.lost, became.different) == ([], [], [])
    assert kills.struck > KILLS / 4
