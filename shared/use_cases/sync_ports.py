"""What the steps of a sync job are given: storage, the repositories of both organisations, the time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.errors import HubError, TransientError
from shared.domain.sync_job import JobStatus

if TYPE_CHECKING:
    from shared.domain.plan import LineageEntry
    from shared.domain.ports import ConfigRepository, KeptToken
    from shared.domain.resource_type import Catalogue, ResourceKey
    from shared.domain.row_commit import Claim, ClaimOutcome, Lost, RowClaim, RowCommit
    from shared.domain.sync_job import Event, Job, Phase, Places, Row, RowError

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
_TRY_AGAIN_S = 5.0


class JobStoppedError(HubError):
    """The job is final, or another execution drives it: this step must not write any more."""

    code = "JOB_STOPPED"


class SyncJobs(Protocol):
    """Headers, counters, rows and activity log of jobs."""

    def create_job(self, job: Job, places: Places) -> bool:
        """Store a header and take a place among the running jobs; False where it exists. Raises TooManyJobsError."""
        ...

    def release_slot(self, job: Job, busy_s: float = 0) -> None:
        """Give that place back, once that many seconds are over."""
        ...

    def is_marked_running(self, job: Job) -> bool:
        """Tell whether it has not been given back yet."""
        ...

    def note_progress(self, org_id: str, job_id: str) -> None:
        """Note that a step brought a running job on."""
        ...

    def note_wait(self, org_id: str, job_id: str) -> int:
        """Count a wait of a running job and return how many it has had by now; 0 where it has ended."""
        ...

    def get_job(self, org_id: str, job_id: str) -> Job:
        """Return a header. Raises NotFoundError."""
        ...

    def list_jobs(self, org_id: str, status: str | None, size: int, cursor: str | None) -> tuple[list[Job], str | None]:
        """Return a page of headers and the next cursor. Raises InvalidRequestError."""
        ...

    def start_job(self, org_id: str, job_id: str, execution_id: str) -> Job:
        """Mark a job as running under an execution. Raises ConflictError, NotFoundError."""
        ...

    def mark_planned(
        self,
        job: Job,
        *,
        total: int,
        stages: Sequence[Sequence[int]],
        batches: Mapping[str, Sequence[int]],
        counts: Mapping[str, Mapping[str, int]],
        next_seq: int,
    ) -> None:
        """Record that rows and batches stand. Raises ConflictError."""
        ...

    def hand_out_stage(self, job: Job, stage: int, hand_outs: int) -> None:
        """Remember which stage of phase_a was handed out, and how often."""
        ...

    def enter_phase(self, job: Job, phase: Phase, current_batch: Mapping[str, int] | None) -> None:
        """Say where a running job is."""
        ...

    def stop_for(self, org_id: str, job_id: str, error: RowError) -> None:
        """Record the error that ends a job and belongs to no row; the first one stays."""
        ...

    def finish_job(
        self,
        job: Job,
        status: JobStatus,
        finished_at: str,
        errors_sample: Sequence[Mapping[str, str]],
        counts: Mapping[str, int],
        *,
        rebuild_triggered: bool = False,
    ) -> Job:
        """Close a job, or complete the header of a closed one, and return it."""
        ...

    def cancel_job(self, org_id: str, job_id: str, finished_at: str) -> Job:
        """Mark a running job as cancelled. Raises ConflictError, NotFoundError."""
        ...

    def counts(self, org_id: str, job_id: str) -> dict[str, dict[str, int]]:
        """Return batch -> counter -> rows."""
        ...

    def total_counts(self, org_id: str, job_id: str) -> dict[str, int]:
        """Return counter -> rows."""
        ...

    def list_events(self, org_id: str, job_id: str, limit: int = 10) -> list[Event]:
        """Return the latest events, the newest first."""
        ...

    def put_events(self, org_id: str, job_id: str, events: Sequence[Event]) -> None:
        """Write events whose `seq` is set."""
        ...

    def begin_plan(self, job: Job, planner: str) -> Job:
        """Let only this invocation plan from now on. Raises ConflictError."""
        ...

    def put_rows(self, job: Job, rows: Sequence[Row]) -> None:
        """Write the rows of a plan, over those that are there. Raises ConflictError, StorageThrottledError."""
        ...

    def get_rows(self, org_id: str, job_id: str, wanted: Iterable[ResourceKey]) -> dict[ResourceKey, Row]:
        """Return rows by source config, strongly consistent."""
        ...

    def list_rows(self, org_id: str, job_id: str) -> Iterator[Row]:
        """Yield all rows, strongly consistent."""
        ...

    def list_rows_page(
        self, org_id: str, job_id: str, status: str | None, size: int, cursor: str | None
    ) -> tuple[list[Row], str | None]:
        """Return a page of rows and the next cursor. Raises InvalidRequestError."""
        ...


class Commits(Protocol):
    """Claims and group commits."""

    def claim(self, job: Job, batch: str, claims: Sequence[RowClaim], lease_until: float) -> ClaimOutcome:
        """Claim rows, each with its transition."""
        ...

    def commit(self, job: Job, batch: str, commits: Sequence[RowCommit]) -> dict[ResourceKey, Lost]:
        """Record rows in groups; returns those that could not be, and why. Raises StorageThrottledError."""
        ...


class Lineage(Protocol):
    """Which target config a source config became."""

    def find_entries(
        self, target_org: str, source_org: str, sources: Iterable[ResourceKey]
    ) -> dict[ResourceKey, LineageEntry]:
        """Return the entries of source configs."""
        ...

    def find_inactive(self, target_org: str, source_org: str, sources: Iterable[ResourceKey]) -> set[ResourceKey]:
        """Return the source configs whose target waits to be activated."""
        ...

    def find_claimed_targets(
        self, target_org: str, source_org: str, targets: Sequence[ResourceKey]
    ) -> dict[ResourceKey, ResourceKey]:
        """Return target -> source of those targets that lineage claims."""
        ...

    def find_claims(self, target_org: str, source_org: str, sources: Iterable[ResourceKey]) -> dict[ResourceKey, Claim]:
        """Return the claims on source configs, run out or not."""
        ...

    def find_target_claims(self, target_org: str, targets: Iterable[ResourceKey]) -> dict[ResourceKey, Claim]:
        """Return the claims on target configs, run out or not."""
        ...

    def settle_claim(self, job: Job, claim: Claim, entry: LineageEntry | None, *, inactive: bool) -> None:
        """Let go of a claim of an ended job, and record what it made, if anything."""
        ...

    def give_up_claim(self, job: Job, claim: Claim) -> None:
        """Let others take a claim of a running job over once its lease has ended."""
        ...

    def put_entries(self, entries: Iterable[LineageEntry]) -> list[LineageEntry]:
        """Write entries that belong to no row; returns those whose target is another's."""
        ...


class Memory(Protocol):
    """What syncs remember: contents by their hash, and what a target was before a job."""

    def keep(self, contents: Mapping[str, Any]) -> None:
        """Keep contents under their hashes, those that are there for as long again. Raises StorageThrottledError."""
        ...

    def recall(self, digests: Collection[str]) -> dict[str, Any]:
        """Return contents by their hashes; those that are gone are left out."""
        ...

    def keep_before(self, job: Job, before: Mapping[ResourceKey, Mapping[str, Any] | None]) -> None:
        """Keep what target configs were before a chain of retries writes them; None: nothing is there."""
        ...


class Payloads(Protocol):
    """JSON values by key; `get` raises NotFoundError."""

    def put(self, key: str, value: Any) -> None:
        """Store a value."""
        ...

    def put_once(self, key: str, value: Any) -> Any:
        """Store a value where there is none yet; returns what is stored from then on."""
        ...

    def get(self, key: str) -> Any:
        """Return a value."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys with a prefix."""
        ...


class Credentials(Protocol):
    """Tokens of a run by role; reading one raises NotFoundError and CredentialsExpiredError."""

    def put(self, run_id: str, role: str, token: str, expires_at: int) -> None:
        """Keep a token until it expires."""
        ...

    def get(self, run_id: str, role: str) -> str:
        """Return a token."""
        ...

    def get_kept(self, run_id: str, role: str) -> KeptToken:
        """Return a token with its end."""
        ...

    def limit(self, run_id: str, until: int) -> None:
        """Let a run's tokens go at a point in time."""
        ...

    def delete(self, run_id: str) -> None:
        """Delete all tokens of a run."""
        ...


class Executions(Protocol):
    """Starts the state machine for a job."""

    def start(self, job_id: str, execution_input: Mapping[str, Any]) -> str:
        """Start an execution named by the job; a second start does nothing."""
        ...


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
class SyncPorts:
    """Everything outside of the domain that steps use.

    Attributes:
        open_repository: (job, `source` or `target`) -> the configs of that organisation, with the job's token for it.
        now: epoch seconds.
        sleep: waits for seconds.
        count: notes a value of a metric: its name, the value, its dimensions by name.
        log_failure: logs an exception that became a failed row, with the row's type.
    """

    catalogue: Catalogue
    jobs: SyncJobs
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
    step: Callable[[StepInput, SyncPorts], StepResult], task: StepInput, ports: SyncPorts
) -> StepResult:
    """Run a step and note where it brought its job on: so a job that hangs is told from one that is long.

    The more often a job has waited, the longer it waits, whatever for: a history has room for so many turns.

    Raises:
        HubError: whatever the step raises; a TransientError says how long to wait.
    """
    try:
        result = step(task, ports)
    except TransientError as error:
        error.retry_after = max(error.retry_after or _TRY_AGAIN_S, _pace(task, ports))
        raise
    if result["status"] in ("done", "more"):
        ports.jobs.note_progress(task.org_id, task.job_id)
    if result["status"] == "wait":
        return {**result, "wait_seconds": max(result["wait_seconds"], round(_pace(task, ports)))}
    return result


def _pace(task: StepInput, ports: SyncPorts) -> float:
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


def job_prefix(org_id: str, job_id: str) -> str:
    """Return the beginning of the keys of a job's payloads."""
    return f"jobs/{org_id}/{job_id}/"


def request_key(org_id: str, job_id: str) -> str:
    """Key of what the job was asked for."""
    return f"{job_prefix(org_id, job_id)}request.json.gz"


def batch_key(job: Job, batch: str) -> str:
    """Key of the planned resources of a batch with their payloads; each invocation that plans has keys of its own."""
    return f"{job_prefix(job.org_id, job.id)}batch/{job.planner}/{batch}.json.gz"


def source_key(org_id: str, job_id: str, part: str) -> str:
    """Key of a part of the fetched closure: `state`, `closure`, `identifiers`, or one of payloads."""
    return f"{job_prefix(org_id, job_id)}source/{part}.json.gz"


def target_key(org_id: str, job_id: str, type_name: str, part: str) -> str:
    """Key of a part of a type's snapshot: `state`, `snapshot`, or one of configs."""
    return f"{job_prefix(org_id, job_id)}target/{type_name}/{part}.json.gz"
