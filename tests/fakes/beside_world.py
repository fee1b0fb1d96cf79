"""A world in which another job goes on, as far as it comes without waiting, at one boundary of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from shared.adapters.dynamodb.job_store import JobStore
from shared.domain.caller import Caller
from shared.domain.job import Job, JobKind, Places
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.domain.row import Row
from shared.use_cases.create_delete_job import create_delete_job
from shared.use_cases.delete_batch import delete_batch
from shared.use_cases.finish_deletion import finish_deletion
from shared.use_cases.jobs.intake import JobStores
from shared.use_cases.jobs.step import StepInput
from shared.use_cases.plan_deletion import plan_deletion
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.delete_world import WhoUsesWhat
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_types import CATALOGUE
from tests.fakes.sync_world import TARGET_ORG, SyncWorld, VersionedRepository

OTHER_ORG = "other-org"
_SHORT_OF_A_LEASE = 3


class HeldUpError(Exception):
    """The job would have to wait for what the other one holds."""


@dataclass(frozen=True)
class Write:
    """A write that the target has seen.

    Attributes:
        began, ended: its place in the order of all beginnings and ends of writes.
    """

    job_id: str
    kind: str
    key: ResourceKey
    began: int
    ended: int


class BesideWorld(SyncWorld):
    """Three organisations: two sources of one target.

    Attributes:
        other: the second source.
        meanwhile: what goes on at the boundary.
        at: number of the boundary; 0 for none.
        passed: how many boundaries there were.
        writes_seen: what was written to the target, in order.
        held_up: what went on meanwhile came to where it had to wait.
    """

    def __init__(self, at: int = 0, meanwhile: Callable[[], object] = lambda: None) -> None:
        super().__init__(MemoryDynamoDB(), {name: replace(one, delete=one.get) for name, one in CATALOGUE.items()})
        self.other = VersionedRepository(OTHER_ORG, page_size=100)
        self.deletions = JobStore(self.client, "SyncJobsTable", "SyncResourcesTable", kind=JobKind.DELETE)
        self.at = at
        self.meanwhile = meanwhile
        self.passed = 0
        self.held_up = False
        self.writes_seen: list[Write] = []
        self._beginnings = 0
        self._is_beside = False
        self._counting = threading.Lock()
        self.client.before_call = self.client.after_call = lambda _name: self.boundary()

    def boundary(self) -> None:
        """Let the other job go on here, once."""
        with self._counting:
            if self._is_beside:
                return
            self.passed += 1
            if self.passed != self.at:
                return
            self._is_beside = True
        try:
            self.meanwhile()
        except HeldUpError:
            self.held_up = True
        finally:
            self._is_beside = False

    def until_done(self, job_id: str, name: str, **more: Any) -> Mapping[str, Any]:
        if not self._is_beside:
            return super().until_done(job_id, name, **more)
        for _ in range(_SHORT_OF_A_LEASE):
            result = self.step(job_id, name, **more)
            if result["status"] not in ("more", "wait"):
                return result
        raise HeldUpError

    def _open(self, job: Job, role: str) -> Any:
        if role == "source":
            return self.other if job.source_org_id == OTHER_ORG else self.source
        return _Target(self, job)

    def noted(self, job: Job, kind: str, key: ResourceKey, write: Callable[[], Any]) -> Any:
        """Write to the target, with a boundary before and after."""
        began = self._next()
        self.boundary()
        answer = write()
        # Nobody can know of a new config that it is being made: others may write it before its maker has heard of it.
        ended = self._next() if kind == "create" else None
        self.boundary()
        target = ResourceKey(key.type, key.id or answer.id)
        self.writes_seen.append(Write(job.id, kind, target, began, ended or self._next()))
        return answer

    def _next(self) -> int:
        with self._counting:
            self._beginnings += 1
            return self._beginnings

    # Delete jobs of the target

    def delete(self, *keys: ResourceKey) -> str:
        """Create a delete job in the target organisation."""
        intake = JobStores(
            jobs=self.deletions,
            payloads=self.payloads,
            credentials=self.credentials,
            executions=SimpleNamespace(start=lambda *_: ""),
            known_types=self.catalogue.keys(),
            places=Places(),
            now=self.now(),
        )
        caller = Caller(org_id=TARGET_ORG, user_id="user-1", token="the-token", expires_at=None)
        body = {"resources": [{"type": key.type, "id": key.id} for key in keys]}
        return str(create_delete_job(intake, WhoUsesWhat(), caller, body)["id"])  # type: ignore[arg-type]

    def run_deletion(self, job_id: str) -> Job:
        """Run a delete job to its end, or to where it has to wait while the other job goes on."""
        for name, step in (("PlanDeletion", plan_deletion), ("DeleteBatch", delete_batch)):
            self.functions = {**self.functions, name: partial(self._in_target, step)}
            self.until_done(job_id, name)
        finish_deletion(
            TARGET_ORG,
            job_id,
            jobs=self.deletions,
            credentials=self.credentials,
            events=self,
            rebuild_index=lambda *_: None,
            count=lambda *_, **__: None,
            now=self.now,
        )
        return self.deletions.get_job(TARGET_ORG, job_id)

    def _in_target(self, step: Callable[..., Any], task: StepInput, ports: Any) -> Any:
        return step(replace(task, org_id=TARGET_ORG), replace(ports, jobs=self.deletions))

    def deletion_rows(self, job_id: str) -> dict[ResourceKey, Row]:
        """Return the rows of a delete job."""
        return {row.key: row for row in self.deletions.list_rows(TARGET_ORG, job_id)}


class _Target:
    """The target as one job sees it: each write is noted with the job that sent it."""

    def __init__(self, world: BesideWorld, job: Job) -> None:
        self._world = world
        self._job = job
        self._inner: FakeConfigRepository = world.target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_config(self, resource_type: ResourceType, payload: Any, *more: Any, **named: Any) -> Any:
        create = self._inner.create_config
        key = ResourceKey(resource_type.name, named.get("config_id") or "")
        return self._world.noted(self._job, "create", key, lambda: create(resource_type, payload, *more, **named))

    def update_config(self, resource_type: ResourceType, config_id: str, payload: Any, **named: Any) -> Any:
        update = self._inner.update_config
        key = ResourceKey(resource_type.name, config_id)
        return self._world.noted(self._job, "update", key, lambda: update(resource_type, config_id, payload, **named))

    def delete_config(self, resource_type: ResourceType, config_id: str) -> Any:
        delete = self._inner.delete_config
        key = ResourceKey(resource_type.name, config_id)
        return self._world.noted(self._job, "delete", key, lambda: delete(resource_type, config_id))
