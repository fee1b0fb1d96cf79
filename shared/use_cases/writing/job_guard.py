"""Know, from at most a second ago, that a job still runs under this execution, without asking before every write."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from shared.domain.job import JobStatus
from shared.use_cases.jobs.step import JobStoppedError, StepInput

if TYPE_CHECKING:
    from types import TracebackType

    from shared.domain.ports.jobs import Jobs

#: What a step knows of its job is no older.
MAX_AGE_S = 1.0
_REFRESH_EVERY_S = 0.5


class JobGuard:
    """Watches a job's header in a thread of its own while a step runs; used as a context manager.

    Args:
        jobs: where the header is.
        step: which job, and the execution that it must run under.
    """

    def __init__(self, jobs: Jobs, step: StepInput) -> None:
        self._jobs = jobs
        self._step = step
        self._stopped = False
        self._known_at = float("-inf")
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="job-guard", daemon=True)

    def __enter__(self) -> Self:
        self._refresh()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watcher.join()

    def check(self) -> None:
        """Let a write go on.

        Raises:
            JobStoppedError: the job is final or another execution drives it.
        """
        if time.monotonic() - self._known_at > MAX_AGE_S:
            with self._lock:
                if time.monotonic() - self._known_at > MAX_AGE_S:
                    self._refresh()
        if self._stopped:
            raise JobStoppedError("The job no longer runs under this execution.")

    def _watch(self) -> None:
        while not self._over.wait(_REFRESH_EVERY_S):
            try:
                self._refresh()
            except Exception:  # noqa: BLE001, S112 - what is known grows old, and the next check asks and says why
                continue

    def _refresh(self) -> None:
        asked_at = time.monotonic()
        job = self._jobs.get_job(self._step.org_id, self._step.job_id)
        self._stopped = job.status is not JobStatus.IN_PROGRESS or job.execution_id != self._step.execution_id
        self._known_at = asked_at
