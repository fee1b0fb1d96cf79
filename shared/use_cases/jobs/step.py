"""What a step of a job is given, what it may answer, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.domain.errors import HubError, TransientError
from shared.domain.job import JobStatus

if TYPE_CHECKING:
    from shared.domain.job import Job
    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.jobs import Commits, Jobs, Memory, Payloads
    from shared.domain.ports.lineage import Lineage
    from shared.domain.resource_type import Catalogue


BLOCKED_WAIT_S = 2
DONE: StepResult = {"status": "done", "wait_seconds": 0, "code": ""}


def result(status: str, code: str = "", wait_seconds: float = 0) -> StepResult:
    """Return what a step signals to the state machine."""
    return {"status": status, "wait_seconds": max(1, round(wait_seconds)) if status == "wait" else 0, "code": code}


StepResult = Mapping[str, Any]
# A batch function times out at 120 s and hands back at 90 s.
HAND_BACK_S = 30.0
# The longest that a request of a step may still run once its Lambda is gone.
LONGEST_REQUEST_S = 30.0
# The longest that anything of a job may still run once its execution has ended: StepTimeout at its most, and a request.
LONGEST_STEP_S = 140.0 + LONGEST_REQUEST_S
# A history of Step Functions ends at 25,000 events. 1,500 iterations of a Map take 11 each, and each turn of a Wait 9:
# paced so, eight branches that wait for a whole day take 8,000.
_FIRST_PACE_S, _PACE_GROWS_BY, _LONGEST_PACE_S = 2.0, 1.02, 1200.0
#: How often phase_0 tries to read what an API refuses, and how many seconds later.
READ_TRIES = 5
TRY_AGAIN_S = 5


class JobStoppedError(HubError):
    """The job is final, or another execution drives it: this step must not write any more."""

    code = "JOB_STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInput:
    """What the state machine tells a step.

    Attributes:
        deadline: epoch seconds at which Lambda ends the invocation.
    """

    org_id: str
    job_id: str
    execution_id: str
    deadline: float
    batch: int = 0
    resource_type: str = ""
    step: str = ""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> StepInput:
        """Read a task's input.

        Raises:
            KeyError: it names no organisation, job or execution.
        """
        return cls(
            org_id=event["org_id"],
            job_id=event["job_id"],
            execution_id=event["execution_id"],
            deadline=event["deadline"],
            batch=int(event.get("batch", 0)),
            resource_type=event.get("resource_type", ""),
            step=event.get("step", ""),
        )

    @property
    def hand_back_at(self) -> float:
        """Epoch seconds from which the step begins nothing new."""
        return self.deadline - HAND_BACK_S

    @property
    def lease_until(self) -> float:
        """Epoch seconds past which nothing that this invocation sent is still running."""
        return self.deadline + LONGEST_REQUEST_S


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPorts:
    """Everything outside of the domain that steps use.

    Attributes:
        open_repository: (job, `source` or `target`) -> the configs of that organisation, with the job's token for it.
        now: epoch seconds.
        sleep: waits for seconds.
        count: notes a value of a metric: its name, the value, its dimensions by name.
        log_failure: logs an exception that became a failed row, with the row's type.
    """

    catalogue: Catalogue
    jobs: Jobs
    commits: Commits
    lineage: Lineage
    memory: Memory
    payloads: Payloads
    open_repository: Callable[[Job, str], ConfigRepository]
    now: Callable[[], float]
    sleep: Callable[[float], None]
    count: Callable[..., None]
    log_failure: Callable[[str, Exception], None]


def run_noting_progress(
    step: Callable[[StepInput, StepPorts], StepResult], task: StepInput, ports: StepPorts
) -> StepResult:
    """Run a step and note when it made progress: so operators can tell a job that hangs from a long one.

    The more often a job has waited, the longer it waits, whatever for: a history has room for so many turns.

    Raises:
        HubError: whatever the step raises; a TransientError says how long to wait.
    """
    try:
        result = step(task, ports)
    except TransientError as error:
        error.retry_after = max(error.retry_after or TRY_AGAIN_S, _pace(task, ports))
        raise
    if result["status"] in ("done", "more"):
        ports.jobs.note_progress(task.org_id, task.job_id)
    if result["status"] == "wait":
        return {**result, "wait_seconds": max(result["wait_seconds"], round(_pace(task, ports)))}
    return result


def _pace(task: StepInput, ports: StepPorts) -> float:
    try:
        waits = ports.jobs.note_wait(task.org_id, task.job_id)
    except Exception:  # noqa: BLE001 - storage that is busy may be what the step waits for
        return 0.0
    return pace(waits)


def pace(waits: int) -> float:
    """Return the least number of seconds that a job waits which has waited so often."""
    return min(_LONGEST_PACE_S, _FIRST_PACE_S * _PACE_GROWS_BY**waits)


def why_stopped(job: Job, step: StepInput) -> str:
    """Return the code of what keeps a step from going on; empty where the job runs under its execution."""
    if job.error is not None:
        return job.error.code
    is_running = job.status is JobStatus.IN_PROGRESS and job.execution_id == step.execution_id
    return "" if is_running else JobStoppedError.code
