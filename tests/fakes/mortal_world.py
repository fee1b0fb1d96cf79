"""A world whose processes die once, at any boundary between them and the outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from shared.domain.sync_job import Job
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_world import SOURCE_ORG, ProcessDiedError, SyncWorld

#: What goes on behind the death: the machine tries the step again, or the execution ends and a person asks once more.
After = Literal["step again", "job retried", "job retried, no matching by name"]


class ExecutionDiedError(Exception):
    """The machine gave up."""


class Mortal:
    """Something outside of the process: each call is a boundary before and after, each page of a list one more."""

    def __init__(self, inner: Any, name: str, world: MortalWorld) -> None:
        self._inner = inner
        self._name = name
        self._world = world

    def __getattr__(self, name: str) -> Any:
        reached = getattr(self._inner, name)
        if not callable(reached):
            return reached

        def call(*args: Any, **named: Any) -> Any:
            what = f"{self._name} {name}"
            self._world.boundary(f"{what}, sent")
            answer = reached(*args, **named)
            if isinstance(answer, Iterator):
                return self._pages(answer, what)
            self._world.boundary(f"{what}, answered")
            return answer

        return call

    def _pages(self, pages: Iterator[Any], what: str) -> Iterator[Any]:
        for page in pages:
            self._world.boundary(f"{what}, answered")
            yield page


class MortalWorld(SyncWorld):
    """A world in which one job runs, and dies.

    Attributes:
        dies_at: number of the boundary; 0: it does not die.
        after: what goes on behind it.
        passed: how many boundaries were reached.
        died_at: what that boundary was; empty while alive.
        job_id: the job.
    """

    def __init__(self, dies_at: int, after: After) -> None:
        super().__init__(MemoryDynamoDB())
        self.dies_at = dies_at
        self.passed = 0
        self.died_at = ""
        self.after = after
        self._counting = threading.Lock()
        self.job_id = self.begin()
        self.client.before_call = lambda name: self.boundary(f"tables {name}, sent")
        self.client.after_call = lambda name: self.boundary(f"tables {name}, answered")
        self.payloads = Mortal(self.payloads, "payloads", self)  # type: ignore[assignment]

    def begin(self) -> str:
        """Plant what there is, create the job and return its id; nothing dies yet."""
        raise NotImplementedError

    def boundary(self, name: str) -> None:
        with self._counting:
            if self.client.dead:
                raise ProcessDiedError
            self.passed += 1
            if self.passed == self.dies_at:
                self.died_at = name
                self.client.die()

    def _open(self, job: Job, role: str) -> Any:
        return Mortal(super()._open(job, role), role, self)

    def step(self, job_id: str, name: str, **more: Any) -> Mapping[str, Any]:
        try:
            return super().step(job_id, name, **more)
        except ProcessDiedError:
            if self.after == "step again":
                raise
            raise ExecutionDiedError from None

    def run(self, job_id: str) -> Job:
        try:
            self._run_phases(job_id)
        except ExecutionDiedError:
            self.client.revive()
        return self.finish(job_id)

    def finish(self, job_id: str) -> Job:
        try:
            self._finish(job_id)
        except ProcessDiedError:
            self.client.revive()
            self._finish(job_id)
        # What a test looks at afterwards is nobody's boundary.
        self.dies_at = 0
        return self.jobs.get_job(SOURCE_ORG, job_id)
