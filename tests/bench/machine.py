"""Run a job in this process as the state machine would: the steps of the Lambdas, storage of the local engine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import boto3

from sandbox.stack.settings import FAKE_CREDENTIALS, REGION
from shared.adapters import aws
from shared.bootstrap import sync, sync_api
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.index import index_store
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.caller import Caller
from shared.domain.job import Job, JobStatus
from shared.domain.row import Row
from shared.use_cases.create_sync_job import create_sync_job
from shared.use_cases.fetch_sources import fetch_sources
from shared.use_cases.finish_job import finish_job
from shared.use_cases.jobs.step import StepInput, StepPorts
from shared.use_cases.next_batches import next_batches
from shared.use_cases.plan_job import plan_job
from shared.use_cases.snapshot_target import snapshot_target
from shared.use_cases.sync_batch import sync_batch
from shared.use_cases.verify_targets import verify_targets
from shared.use_cases.writing import batch_run

MAP_CONCURRENCY = 8
_FUNCTION_TIMEOUT_S = 120
_LIVE_STEPS = ("more", "wait")
# Threads that no worker waits for.
_BACKGROUND = ("commit-writer", "job-guard", "rate-budget")

Step = Callable[[StepInput, StepPorts], Mapping[str, Any]]


class StorageCall(NamedTuple):
    """One request to DynamoDB or S3."""

    at: float
    thread: str
    operation: str


class StepRun(NamedTuple):
    """One invocation of a step; times are epoch seconds."""

    name: str
    began_at: float
    ended_at: float


class _NoExecutions:
    """Starts nothing: this process is the machine."""

    def start(self, job_id: str, _execution_input: Mapping[str, Any]) -> str:
        return job_id


class _NoEvents:
    """Publishes nothing."""

    def put(self, _detail_type: str, _detail: Mapping[str, Any]) -> None:
        return


def enter_environment(stack: Mapping[str, Any]) -> None:
    """Give this process what the deployed functions have: their environment, and the engine in place of AWS."""
    os.environ.update(
        FAKE_CREDENTIALS
        | {"AWS_ENDPOINT_URL": stack["aws_endpoint_url"], "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}
    )
    for page in boto3.client("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            if function["FunctionName"].startswith(f"{stack['stack_name']}-"):
                os.environ.update(function.get("Environment", {}).get("Variables", {}))


@dataclass
class Machine:
    """Drives one job.

    Attributes:
        org_id: of the source, which creates the job.
        threads: workers of a step; None leaves the product's own number.
        steps: invocations so far.
        storage_calls: of every thread.
    """

    org_id: str
    threads: int | None = None
    steps: list[StepRun] = field(default_factory=list)
    storage_calls: list[StorageCall] = field(default_factory=list)
    _job_id: str = ""

    def run(self, tokens: Mapping[str, str], target_org_id: str, resources: Sequence[Mapping[str, str]]) -> Job:
        """Create a job that copies prices, and run it to its end.

        Args:
            tokens: `source` and `target` -> token.
            target_org_id: the other organisation.
            resources: the selection.
        """
        caller = Caller(org_id=self.org_id, user_id="bench", token=tokens["source"], expires_at=None)
        body = {
            "source_org_id": self.org_id,
            "target_org_id": target_org_id,
            "target_auth_token": tokens["target"],
            "resources": list(resources),
        }
        intake = replace(sync_api.intake(), executions=_NoExecutions())
        self._job_id = create_sync_job(intake, caller, body)["id"]
        with _workers(self.threads), _watched(self._note):
            self._run_phases()
        finish_job(
            self.org_id,
            self._job_id,
            jobs=sync_jobs(),
            credentials=credentials_store(),
            events=_NoEvents(),
            rebuild_target_index=lambda _job, _token: None,
            count=lambda *_, **__: None,
            now=time.time,
        )
        job = sync_jobs().get_job(self.org_id, self._job_id)
        if job.status is not JobStatus.SUCCEEDED:
            raise RuntimeError(f"The job ended {job.status}: {job.error or job.errors_sample}")
        return job

    def rows(self) -> list[Row]:
        """Return the rows of the job."""
        return list(sync_jobs().list_rows(self.org_id, self._job_id))

    def count_steps(self, *names: str) -> int:
        """Return how often steps of these names were invoked."""
        return sum(run.name in names for run in self.steps)

    def calls_between(self, began_at: float, ended_at: float) -> list[StorageCall]:
        """Return the storage calls of a time that held a worker or its step up."""
        return [
            call
            for call in self.storage_calls
            if began_at < call.at < ended_at and not call.thread.startswith(_BACKGROUND)
        ]

    def _run_phases(self) -> None:
        fetched = self._until_done("FetchSources", partial(fetch_sources, index=index_store()))
        self._map("SnapshotTarget", snapshot_target, [{"resource_type": name} for name in fetched["types"]])
        planned = self._until_done("PlanJob", plan_job)
        remaining = planned["has_batches"]
        while remaining:
            handed_out = self._until_done("NextBatches", next_batches)
            self._map("SyncBatch", sync_batch, [{"batch": batch} for batch in handed_out["batches"]])
            remaining = handed_out["remaining"]
        if planned["resolve_batches"] or planned["patch_batches"] or planned["finalize_batches"]:
            raise RuntimeError("The organisations of the benchmark need one write each.")
        self._map("VerifyTargets", verify_targets, [{"batch": batch} for batch in planned["verify_batches"]])

    def _map(self, name: str, step: Step, items: Sequence[Mapping[str, Any]]) -> None:
        with ThreadPoolExecutor(MAP_CONCURRENCY, "map") as pool:
            list(pool.map(lambda item: self._until_done(name, step, **item), items))

    def _until_done(self, name: str, step: Step, **item: Any) -> Mapping[str, Any]:
        while True:
            began_at = time.time()
            task = StepInput(
                org_id=self.org_id,
                job_id=self._job_id,
                execution_id=f"bench-{self._job_id}",
                deadline=began_at + _FUNCTION_TIMEOUT_S,
                **item,
            )
            # Metrics are gathered per process, and here one process is many Lambdas.
            result = step(task, replace(sync.ports(task), count=lambda *_, **__: None))
            self.steps.append(StepRun(name, began_at, time.time()))
            if result["status"] == "failed":
                raise RuntimeError(f"{name} failed: {result}")
            if result["status"] not in _LIVE_STEPS:
                return result
            time.sleep(result["wait_seconds"])

    def _note(self, model: Any, **_more: Any) -> None:
        self.storage_calls.append(StorageCall(time.time(), threading.current_thread().name, model.name))


@contextmanager
def _watched(note: Callable[..., None]) -> Iterator[None]:
    """Let every request to the tables and to the bucket be noted."""
    clients = (aws.dynamodb(), aws.client("s3"))
    for client in clients:
        client.meta.events.register("before-call", note)
    try:
        yield
    finally:
        for client in clients:
            client.meta.events.unregister("before-call", note)


@contextmanager
def _workers(threads: int | None) -> Iterator[None]:
    own = batch_run.WORKERS
    batch_run.WORKERS = threads or own
    try:
        yield
    finally:
        batch_run.WORKERS = own
