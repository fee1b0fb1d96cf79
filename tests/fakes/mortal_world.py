"""A world whose processes die, or are late, once, at any boundary between them and the outside."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from shared.domain.errors import HubError
from shared.domain.job import Job
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_world import SOURCE_ORG, ProcessDiedError, SyncWorld

#: What goes on behind a boundary. The process dies there: the machine tries the step again, or the execution ends and
#: a person asks once more. Or it is late: the machine gives up on its answer and runs the step again meanwhile, or,
#: where the step holds no claims, runs the job to its end.
After = Literal["step again", "job retried", "job retried, no matching by name", "step twice", "job without it"]
LATE: tuple[After, ...] = ("step twice", "job without it")
#: Nothing of these steps binds the others.
WITHOUT_CLAIMS = ("FetchSources", "SnapshotTarget", "PlanJob", "NextBatches")


class ExecutionDiedError(Exception):
    """The machine gave up."""


class GivenUpError(Exception):
    """The machine has long gone on without this invocation, which has come to its end only now."""


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
    """A world in which one job runs, and an invocation of its steps dies or is late.

    Attributes:
        dies_at: number or name of the boundary; 0 for none.
        after: what goes on behind it.
        passed: how often each boundary was reached.
        died_at: what that boundary was; empty before.
        job_id: the job.
    """

    def __init__(self, dies_at: int | str, after: After) -> None:
        super().__init__(MemoryDynamoDB())
        self.dies_at = dies_at
        self.passed: Counter[str] = Counter()
        self.died_at = ""
        self.after = after
        self._running: tuple[str, Mapping[str, Any]] = ("", {})
        self._answer_of_second: Mapping[str, Any] | None = None
        self._went_on = False
        self._is_over = False
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
            if self._is_over:
                return
            name = f"{self._running[0]}: {name}"
            self.passed[name] += 1
            if self.died_at or self.dies_at not in (name, self.passed.total()):
                return
            self.died_at = name
            if self.after not in LATE:
                self.client.die()
        self._go_on_without_this_one()

    def _go_on_without_this_one(self) -> None:
        """Do what the machine does once it has given up on an invocation; afterwards that one goes on all the same."""
        name, more = running = self._running
        self._went_on = self.after == LATE[1] and name in WITHOUT_CLAIMS
        try:
            if self._went_on:
                super().run(self.job_id)
            elif name == "FinishJob":
                self._finish(self.job_id)
            else:
                self._answer_of_second = super().step(self.job_id, name, **more)
        except BaseException as error:
            self.failures.append(AssertionError(f"The second invocation failed: {error!r}"))
            raise
        finally:
            self._running = running

    def _open(self, job: Job, role: str) -> Any:
        return Mortal(super()._open(job, role), role, self)

    def step(self, job_id: str, name: str, **more: Any) -> Mapping[str, Any]:
        is_first = not self._went_on
        self._running = (name, more)
        try:
            answer = super().step(job_id, name, **more)
        except ProcessDiedError:
            if self.after == "step again":
                raise
            raise ExecutionDiedError from None
        except HubError:
            # What a late invocation says nobody hears.
            if self.after not in LATE or not self.died_at:
                raise
            answer = {}
        if is_first and self._went_on:
            raise GivenUpError
        # The machine heard the second invocation only.
        second, self._answer_of_second = self._answer_of_second, None
        return second or answer

    def run(self, job_id: str) -> Job:
        try:
            self._run_phases(job_id)
        except ExecutionDiedError:
            self.client.revive()
        except GivenUpError:
            return self.jobs.get_job(SOURCE_ORG, job_id)
        return self.finish(job_id)

    def finish(self, job_id: str) -> Job:
        self._running = ("FinishJob", {})
        try:
            self._finish(job_id)
        except ProcessDiedError:
            self.client.revive()
            self._finish(job_id)
        # What a test looks at afterwards is nobody's boundary.
        self._is_over = True
        return self.jobs.get_job(SOURCE_ORG, job_id)
