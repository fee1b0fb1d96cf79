"""Twenty jobs of 200 rows, six at a time, while APIs, DynamoDB, S3 and KMS fail and workers are killed: all end whole.

`make soak` runs it, of `HUB_SOAK_JOBS` jobs instead of 20 if one likes. In every job one step's worker is killed up to
40 times within half a minute, FinishJob's included: then only the sweeper closes it.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from sandbox.control import SandboxControl
from sandbox.hub_client import Json
from sandbox.logs import read_lines
from sandbox.stack.settings import read_settings
from sandbox.wire import Fault, Wire, attached
from tests.e2e.conftest import STACK_FILE
from tests.e2e.test_faults import LATENCY_MS, MIXED, SHARE, spread
from tests.e2e.test_killed_steps import STEP_TIMEOUT_S, STEPS, Functions, assert_copied_once, open_works
from tests.e2e.test_sync_corners import JOBS, Shop, assert_counted, wait_for
from tests.e2e.works import SIZE

IN_ALL = int(os.environ.get("HUB_SOAK_JOBS", "20"))
AT_ONCE = 6
FAULTS_A_JOB = 50
KILLS = 40
STORM_S = 30.0
#: What an API answers where it was made to fail: an error, a refusal, or nothing.
INJECTED = ("500", "503", "429", "0")
LONGEST_S = 1800


@dataclass(frozen=True, slots=True)
class Run:
    """A job with its retry, where it needed one, and the step whose workers were killed."""

    shop: Shop
    step: str
    storm: Fault
    jobs: tuple[Json, ...]
    seconds: float


@pytest.fixture
def functions(stack: Json, seed: str) -> Iterator[Functions]:
    """The step functions, on a wire."""
    with Wire(stack["aws_endpoint_url"], STACK_FILE.parent / "engine", seed=int(seed)) as wire:
        made = Functions(stack, wire)
        with attached(made.client, list(made.names.values()), wire, STEP_TIMEOUT_S):
            yield made


def faults_of_storage(bucket: str) -> dict[str, list[Fault]]:
    """Return what DynamoDB, S3 and KMS do on a bad day."""
    words = {"DynamoDB": "TableName", "S3": f"/{bucket}/", "KMS": "CiphertextBlob"}
    kinds = ("throttle", "cut", "lose", "late")
    found = {
        service: [
            Fault(kind=kind, words=(word,), probability=0.2 if service == "KMS" else 0.01, count=None, delay_s=1.0)
            for kind in kinds
        ]
        for service, word in words.items()
    }
    found["DynamoDB"].append(Fault(kind="conflict", words=("ConditionExpression",), probability=0.05, count=None))
    return found


def run(functions: Functions, shop: Shop, step: str, storm: Fault) -> Run:
    """Run a job to its end, and once more where it did not succeed, when the storm is over."""
    began = time.monotonic()
    hub = shop.source
    jobs = [hub.run_job(shop.start()["id"], within_s=LONGEST_S)]
    if jobs[0]["status"] != "succeeded":
        wait_for(lambda: storm.is_over)
        jobs.append(hub.run_job(hub.post(f"{JOBS}/{jobs[0]['id']}/retry")["id"], within_s=LONGEST_S))
    return Run(shop, step, storm, tuple(jobs), time.monotonic() - began)


@pytest.mark.long
def test_twenty_jobs_six_at_a_time_end_whole_whatever_fails(
    stack: Json, control: SandboxControl, functions: Functions, seed: str
) -> None:
    began, since = time.monotonic(), time.time()
    shops = [open_works(stack, control) for _ in range(IN_ALL)]
    steps = [STEPS[-1 - number % len(STEPS)] for number in range(IN_ALL)]
    storms = [
        Fault(kind="kill", words=(shop.source_id,), function=functions.names[step], count=KILLS, lasts_s=STORM_S)
        for shop, step in zip(shops, steps, strict=True)
    ]
    killed = Fault(kind="kill", probability=0.001, count=2 * IN_ALL)
    storage = faults_of_storage(stack["payload_bucket"])
    functions.wire.faults = [*storms, killed, *(fault for faults in storage.values() for fault in faults)]
    before = Counter(control.requests_summary()["by_status"])
    control.behave(latency_ms=LATENCY_MS, faults=spread(MIXED, SHARE), seed=int(seed))
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(lambda one: run(functions, *one), zip(shops, steps, storms, strict=True)))
    finally:
        control.reset("behaviour")
        functions.wire.faults = []
    wait_for(lambda: control.requests_summary()["late"] == 0)

    answered = Counter(control.requests_summary()["by_status"]) - before
    injected = {"APIs": sum(answered[status] for status in INJECTED)}
    injected |= {service: sum(fault.struck for fault in faults) for service, faults in storage.items()}
    injected["workers killed"] = killed.struck + sum(storm.struck for storm in storms)
    for one in runs:
        print(f"  {one.step:26} {one.storm.struck:3} killed, {' then '.join(job['status'] for job in one.jobs)}")
    alone = sum(len(one.jobs) == 1 for one in runs)
    print(
        f"soak: {IN_ALL} jobs of {SIZE} rows, {AT_ONCE} at a time, {sum(injected.values())} faults {injected}: {alone} "
        f"succeeded by themselves, {IN_ALL - alone} after one retry, in {time.monotonic() - began:.0f} s"
    )
    assert [one.jobs[-1]["status"] for one in runs] == ["succeeded"] * IN_ALL, [
        one.jobs[-1]["errors_sample"][:3] for one in runs if one.jobs[-1]["status"] != "succeeded"
    ]
    for one in runs:
        assert one.storm.struck > 0, f"{one.step} was not struck"
        for job in one.jobs:
            assert_counted(one.shop, job)
        assert_copied_once(control, one.shop, *one.jobs)
    assert unhandled(since, {job["id"] for one in runs for job in one.jobs}) == []
    assert sum(injected.values()) >= FAULTS_A_JOB * IN_ALL
    assert min(injected.values()) > 0


def unhandled(since: float, job_ids: set[str]) -> list[Json]:
    """Return what functions logged of exceptions that nobody had foreseen; a killed worker says nothing."""
    lines = (json.loads(line) for line in read_lines(read_settings(), since) if line.startswith("{"))
    return [
        {name: line.get(name) for name in ("message", "function_name", "exception")}
        for line in lines
        if line.get("job_id") in job_ids and line.get("message") in ("Step broke off", "Row failed")
    ]
