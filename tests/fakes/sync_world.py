"""Two organisations, the tables of the template in moto, and a driver that runs a job as the machine would."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from shared.adapters.dynamodb.job_store import JobStore
from shared.adapters.dynamodb.lineage_store import LineageStore
from shared.adapters.dynamodb.memory_store import MemoryStore
from shared.adapters.dynamodb.sync_commits import RowCommits
from shared.domain.errors import CredentialsExpiredError, NotFoundError
from shared.domain.job import Job, JobStatus
from shared.domain.ports.runs import KeptToken
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.domain.row import Row
from shared.use_cases.fetch_sources import fetch_sources
from shared.use_cases.finish_job import finish_job
from shared.use_cases.jobs.payloads import request_key
from shared.use_cases.jobs.step import StepInput, StepPorts
from shared.use_cases.next_batches import next_batches
from shared.use_cases.patch_references import patch_references
from shared.use_cases.plan_job import plan_job
from shared.use_cases.record_failure import record_failure
from shared.use_cases.resolve_derived_references import resolve_derived_references
from shared.use_cases.run_finalizers import run_finalizers
from shared.use_cases.snapshot_target import snapshot_target
from shared.use_cases.sync_batch import sync_batch
from shared.use_cases.verify_targets import verify_targets
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.sync_types import CATALOGUE

SOURCE_ORG, TARGET_ORG = "source-org", "target-org"


class ProcessDiedError(BaseException):
    """The Lambda was killed."""


class OneLockClient:
    """A DynamoDB client whose calls go one after the other: moto's transactions are not isolated.

    Attributes:
        calls: names of the calls so far.
        before_call, after_call: are asked around each; what they raise, the call raises.
        dead: the process is dead: every call raises until it is revived.
    """

    def __init__(self, client: Any, before_call: Callable[[str], None] = lambda _name: None) -> None:
        self._client = client
        self._lock = threading.RLock()
        self.exceptions = client.exceptions
        self.calls: list[str] = []
        self.before_call = before_call
        self.after_call: Callable[[str], None] = lambda _name: None
        self.dead = False

    def die(self) -> None:
        """Let this call and all that follow fail."""
        self.dead = True
        raise ProcessDiedError

    def revive(self) -> None:
        """Start another process."""
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def locked(*arguments: Any, **request: Any) -> Any:
            if self.dead:
                raise ProcessDiedError
            self.before_call(name)
            with self._lock:
                self.calls.append(name)
                if self.dead:
                    raise ProcessDiedError
                answer = call(*arguments, **request)
            self.after_call(name)
            return answer

        return locked


class MemoryPayloads:
    """JSON values by key."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def put(self, key: str, value: Any) -> None:
        self.values[key] = json.dumps(value)

    def put_once(self, key: str, value: Any) -> Any:
        self.values.setdefault(key, json.dumps(value))
        return self.get(key)

    def get(self, key: str) -> Any:
        if key not in self.values:
            raise NotFoundError("gone")
        return json.loads(self.values[key])

    def list(self, prefix: str) -> Any:
        return (key for key in sorted(self.values) if key.startswith(prefix))


class MemoryCredentials:
    """Tokens by run and role."""

    def __init__(self) -> None:
        self.tokens: dict[tuple[str, str], KeptToken] = {}
        self.limits: dict[str, int] = {}

    def put(self, run_id: str, role: str, token: str, expires_at: int) -> None:
        self.tokens[run_id, role] = KeptToken(token, expires_at)

    def get(self, run_id: str, role: str) -> str:
        return self.get_kept(run_id, role).token

    def get_kept(self, run_id: str, role: str) -> KeptToken:
        try:
            return self.tokens[run_id, role]
        except KeyError:
            raise NotFoundError("gone") from None

    def limit(self, run_id: str, until: int) -> None:
        self.limits[run_id] = until

    def delete(self, run_id: str) -> None:
        self.tokens = {key: token for key, token in self.tokens.items() if key[0] != run_id}


class NoIndex:
    """A source organisation without an index."""

    def find_state(self, _org_id: str) -> None:
        return None

    def load_identifiers(self, _org_id: str) -> dict[str, Any]:
        raise AssertionError("there is no index")


class VersionedRepository(FakeConfigRepository):
    """Bumps the version of a mapping at each write, as the real API does."""

    def create_config(self, resource_type: ResourceType, payload: Any, *more: Any, **named: Any) -> Any:
        return super().create_config(resource_type, {"version": 1, **payload}, *more, **named)

    def update_config(self, resource_type: ResourceType, config_id: str, payload: Any, **named: Any) -> Any:
        before = self.configs[resource_type.name].get(config_id, {}).get("version", 0)
        return super().update_config(resource_type, config_id, {**payload, "version": before + 1}, **named)


class SyncWorld:
    """Everything a job needs.

    Args:
        dynamodb: a DynamoDB service resource that has the tables.
        catalogue: resource types.
    """

    def __init__(self, dynamodb: Any, catalogue: Mapping[str, ResourceType] = CATALOGUE) -> None:
        self.catalogue = catalogue
        self.source = VersionedRepository(SOURCE_ORG, page_size=100)
        self.target = VersionedRepository(TARGET_ORG, page_size=100)
        self.client = OneLockClient(dynamodb.meta.client)
        self.jobs = JobStore(self.client, "SyncJobsTable", "SyncResourcesTable", "IndexTable")
        self.lineage = LineageStore(self.client, "LineageTable", self.now)
        self.payloads = MemoryPayloads()
        self.memory = MemoryStore(self.client, "MemoryTable", self.payloads)
        self.credentials = MemoryCredentials()
        self.metrics: list[tuple[str, float]] = []
        self.published: list[tuple[str, Mapping[str, Any]]] = []
        self.rebuilt: list[str] = []
        self.failures: list[Exception] = []
        self.skipped_s = 0.0
        self.expired: set[str] = set()
        self.index = NoIndex()
        self.steps: list[tuple[str, Mapping[str, Any]]] = []
        self.functions = _STEPS
        self.time_left_s = 120.0
        self.deaths = 0
        self._jobs_created = 0

    def now(self) -> float:
        return time.time() + self.skipped_s

    def sleep(self, seconds: float) -> None:
        self.skipped_s += seconds

    def ports(self) -> StepPorts:
        return StepPorts(
            catalogue=self.catalogue,
            jobs=self.jobs,
            commits=RowCommits(
                self.client, "SyncJobsTable", "SyncResourcesTable", "LineageTable", "IndexTable", self.now
            ),
            lineage=self.lineage,
            memory=self.memory,
            payloads=self.payloads,
            open_repository=self._open,
            now=self.now,
            sleep=self.sleep,
            count=lambda name, value, **_dimensions: self.metrics.append((name, value)),
            log_failure=lambda _type, error: self.failures.append(error),
        )

    def _open(self, _job: Job, role: str) -> FakeConfigRepository:
        if role in self.expired:
            raise CredentialsExpiredError("The token has expired.")
        return self.source if role == "source" else self.target

    def create_job(
        self, *resources: ResourceKey, overrides: Mapping[str, Any] | None = None, finished: Any = (), **more: Any
    ) -> str:
        """Store a header and its request, as createSyncJob does, and return the job's id."""
        self._jobs_created += 1
        job_id = f"job-{self._jobs_created}"
        job = Job(
            **(
                {
                    "id": job_id,
                    "org_id": SOURCE_ORG,
                    "user_id": "user-1",
                    "name": "",
                    "status": JobStatus.PENDING,
                    "direction": "push",
                    "source_org_id": SOURCE_ORG,
                    "target_org_id": TARGET_ORG,
                    "dry_run": False,
                    "include_dependencies": True,
                    "match": "heuristic",
                    "started_at": "2026-01-01T00:00:00.000Z",
                }
                | more
            )
        )
        assert self.jobs.create_job(job)
        self.payloads.put(
            request_key(SOURCE_ORG, job_id),
            {
                "resources": [{"type": key.type, "id": key.id} for key in resources],
                "payload_overrides": overrides or {},
                "finished": list(finished),
            },
        )
        self.credentials.put(job_id, "target", "target-token", 0)
        return job_id

    def run(self, job_id: str) -> Job:
        """Run a job's steps to its end, in the order of the state machine."""
        self._run_phases(job_id)
        return self.finish(job_id)

    def _run_phases(self, job_id: str) -> None:
        planned = self.plan(job_id)
        if planned["status"] != "failed" and not planned["dry_run"]:
            self.carry_out(job_id, planned)

    def plan(self, job_id: str) -> Mapping[str, Any]:
        """Run the steps up to PlanJob and return its answer, or that of FetchSources where that failed."""
        fetched = self.until_done(job_id, "FetchSources")
        if fetched["status"] == "failed":
            return fetched
        for type_name in fetched["types"]:
            self.until_done(job_id, "SnapshotTarget", resource_type=type_name)
        return self.until_done(job_id, "PlanJob")

    def carry_out(self, job_id: str, planned: Mapping[str, Any]) -> None:
        """Run the steps behind PlanJob, given its answer."""
        remaining = planned["has_batches"]
        while remaining:
            handed_out = self.until_done(job_id, "NextBatches")
            if handed_out["status"] == "failed":
                return
            for batch in handed_out["batches"]:
                self.until_done(job_id, "SyncBatch", batch=batch)
            remaining = handed_out["remaining"]
        for name, batches in (
            ("ResolveDerivedReferences", planned["resolve_batches"]),
            ("PatchReferences", planned["patch_batches"]),
            ("RunFinalizers", planned["finalize_batches"]),
            ("VerifyTargets", planned["verify_batches"]),
        ):
            for batch in batches:
                self.until_done(job_id, name, batch=batch)

    def until_done(self, job_id: str, name: str, **more: Any) -> Mapping[str, Any]:
        for _ in range(400):
            try:
                result = self.step(job_id, name, **more)
            except ProcessDiedError:
                # The machine tries a task again; the claims of the dead process are still held.
                self.deaths += 1
                self.client.revive()
                continue
            if result["status"] not in ("more", "wait"):
                return result
            self.skipped_s += result["wait_seconds"]
        raise AssertionError(f"{name} does not come to an end: {result}")

    def step(self, job_id: str, name: str, **more: Any) -> Mapping[str, Any]:
        """Run one step once."""
        step = StepInput(
            org_id=SOURCE_ORG,
            job_id=job_id,
            execution_id=f"execution-{job_id}",
            deadline=self.now() + self.time_left_s,
            **more,
        )
        ports = self.ports()
        run = partial(fetch_sources, index=self.index) if name == "FetchSources" else self.functions[name]
        result = run(step, ports)
        self.steps.append((name, result))
        return result

    def finish(self, job_id: str) -> Job:
        while True:
            try:
                self._finish(job_id)
                return self.jobs.get_job(SOURCE_ORG, job_id)
            except ProcessDiedError:
                self.deaths += 1
                self.client.revive()

    def _finish(self, job_id: str) -> None:
        finish_job(
            SOURCE_ORG,
            job_id,
            jobs=self.jobs,
            credentials=self.credentials,
            events=self,
            rebuild_target_index=lambda job, _token: self.rebuilt.append(job.id),
            count=lambda name, value, **_dimensions: self.metrics.append((name, value)),
            now=self.now,
        )

    def put(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Take a published event."""
        self.published.append((detail_type, detail))

    def rows(self, job_id: str) -> dict[ResourceKey, Row]:
        return {row.key: row for row in self.jobs.list_rows(SOURCE_ORG, job_id)}

    def counts(self, job_id: str) -> dict[str, int]:
        return self.jobs.total_counts(SOURCE_ORG, job_id)

    def counts_of_rows(self, job_id: str) -> dict[str, int]:
        """Count the rows themselves, to compare with the counters."""
        counted = dict.fromkeys(self.counts(job_id), 0)
        for row in self.rows(job_id).values():
            counted[row.status.counted_as] += 1
        return counted

    def writes(self) -> int:
        """How many creates and updates the target has seen."""
        return sum(number for (name, _), number in self.target.calls.items() if name in ("create", "update"))


_STEPS: Mapping[str, Callable[[StepInput, StepPorts], Mapping[str, Any]]] = {
    "SnapshotTarget": snapshot_target,
    # Small enough for jobs of tests to have several batches and stages.
    "PlanJob": partial(plan_job, batch_size=50),
    "NextBatches": next_batches,
    "SyncBatch": sync_batch,
    "ResolveDerivedReferences": resolve_derived_references,
    "PatchReferences": patch_references,
    "RunFinalizers": run_finalizers,
    "VerifyTargets": verify_targets,
    "RecordFailure": record_failure,
}
