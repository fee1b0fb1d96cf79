"""What the steps of a sync job are given: the storage they share, the repositories of both organisations, and the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.errors import HubError

if TYPE_CHECKING:
    from shared.domain.plan import LineageEntry
    from shared.domain.ports import ConfigRepository
    from shared.domain.references import Identifiers
    from shared.domain.resource_type import Catalogue, ResourceKey
    from shared.domain.row_commit import ClaimOutcome, Lost, RowCommit
    from shared.domain.sync_job import Event, Job, JobStatus, Phase, Row, RowError

StepResult = Mapping[str, Any]

# A batch function times out at 120 s and hands back at 90 s.
HAND_BACK_S = 30.0
# The longest that a request of a step may still run once its Lambda is gone.
LONGEST_REQUEST_S = 30.0


class JobStoppedError(HubError):
    """The job is final, or another execution drives it: this step must not write any more."""

    code = "JOB_STOPPED"


class SyncJobs(Protocol):
    """Headers, counters, rows and activity log of jobs."""

    def create_job(self, job: Job) -> bool: ...
    def release_slot(self, job: Job) -> None: ...
    def get_job(self, org_id: str, job_id: str) -> Job: ...
    def list_jobs(
        self, org_id: str, status: str | None, size: int, cursor: str | None
    ) -> tuple[list[Job], str | None]: ...
    def start_job(self, org_id: str, job_id: str, execution_id: str) -> Job: ...
    def mark_planned(
        self,
        job: Job,
        *,
        total: int,
        stages: Sequence[Sequence[int]],
        batches: Mapping[str, Sequence[int]],
        counts: Mapping[str, Mapping[str, int]],
        next_seq: int,
    ) -> None: ...
    def hand_out_stage(self, job: Job, stage: int, hand_outs: int) -> None: ...
    def enter_phase(self, job: Job, phase: Phase, current_batch: Mapping[str, int] | None) -> None: ...
    def stop_for(self, org_id: str, job_id: str, error: RowError) -> None: ...
    def finish_job(
        self, job: Job, status: JobStatus, finished_at: str, errors_sample: Sequence[Mapping[str, str]]
    ) -> Job: ...
    def cancel_job(self, org_id: str, job_id: str, finished_at: str) -> Job: ...
    def counts(self, org_id: str, job_id: str) -> dict[str, dict[str, int]]: ...
    def total_counts(self, org_id: str, job_id: str) -> dict[str, int]: ...
    def list_events(self, org_id: str, job_id: str, limit: int = 10) -> list[Event]: ...
    def put_events(self, org_id: str, job_id: str, events: Sequence[Event]) -> None: ...
    def put_rows(self, job: Job, rows: Sequence[Row]) -> None: ...
    def get_rows(self, org_id: str, job_id: str, wanted: Iterable[ResourceKey]) -> dict[ResourceKey, Row]: ...
    def list_rows(self, org_id: str, job_id: str) -> Iterator[Row]: ...
    def list_rows_page(
        self, org_id: str, job_id: str, status: str | None, size: int, cursor: str | None
    ) -> tuple[list[Row], str | None]: ...


class Commits(Protocol):
    """Claims and group commits."""

    def claim(
        self, job: Job, batch: str, changes: Sequence[tuple[Row, Row]], owner: str, lease_until: float
    ) -> ClaimOutcome: ...
    def commit(self, job: Job, batch: str, commits: Sequence[RowCommit]) -> dict[ResourceKey, Lost]: ...


class Lineage(Protocol):
    """Which target config a source config became."""

    def find_entries(
        self, target_org: str, source_org: str, sources: Iterable[ResourceKey]
    ) -> dict[ResourceKey, LineageEntry]: ...
    def find_inactive(self, target_org: str, source_org: str, sources: Iterable[ResourceKey]) -> set[ResourceKey]: ...
    def find_claimed_targets(
        self, target_org: str, source_org: str, targets: Sequence[ResourceKey]
    ) -> dict[ResourceKey, ResourceKey]: ...
    def put_entries(self, entries: Iterable[LineageEntry]) -> list[LineageEntry]: ...


class Payloads(Protocol):
    """JSON values by key; `get` raises NotFoundError."""

    def put(self, key: str, value: Any) -> None: ...
    def get(self, key: str) -> Any: ...
    def list(self, prefix: str) -> Iterator[str]: ...


class Credentials(Protocol):
    """Tokens of a run by role; `get` raises NotFoundError and CredentialsExpiredError."""

    def put(self, run_id: str, role: str, token: str, expires_at: int) -> None: ...
    def get(self, run_id: str, role: str) -> str: ...
    def copy(self, from_run_id: str, to_run_id: str, role: str) -> None: ...
    def limit(self, run_id: str, until: int) -> None: ...
    def delete(self, run_id: str) -> None: ...


class Executions(Protocol):
    """Starts the state machine for a job."""

    def start(self, job_id: str, execution_input: Mapping[str, Any]) -> str: ...


class SourceIndex(Protocol):
    """What the index knows of the source organisation."""

    def load_identifiers(self, org_id: str) -> Identifiers: ...


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
        count: adds to a metric.
        log_failure: logs an exception that became a failed row, with the row's type.
    """

    catalogue: Catalogue
    jobs: SyncJobs
    commits: Commits
    lineage: Lineage
    payloads: Payloads
    open_repository: Callable[[Job, str], ConfigRepository]
    now: Callable[[], float]
    sleep: Callable[[float], None]
    count: Callable[[str, float], None]
    log_failure: Callable[[str, Exception], None]


def job_prefix(org_id: str, job_id: str) -> str:
    """Return the beginning of the keys of a job's payloads."""
    return f"jobs/{org_id}/{job_id}/"


def request_key(org_id: str, job_id: str) -> str:
    """Key of what the job was asked for."""
    return f"{job_prefix(org_id, job_id)}request.json.gz"


def batch_key(org_id: str, job_id: str, batch: str) -> str:
    """Key of the planned resources of a batch with their payloads."""
    return f"{job_prefix(org_id, job_id)}batch/{batch}.json.gz"


def source_key(org_id: str, job_id: str, part: str) -> str:
    """Key of a part of the fetched closure: `state`, `identifiers`, or a number."""
    return f"{job_prefix(org_id, job_id)}source/{part}.json.gz"


def target_key(org_id: str, job_id: str, type_name: str, part: str) -> str:
    """Key of a part of a type's snapshot: `state` or a number."""
    return f"{job_prefix(org_id, job_id)}target/{type_name}/{part}.json.gz"
