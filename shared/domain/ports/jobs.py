"""Storage of jobs: headers, rows, commits, what they remember, their payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from shared.domain.job import Job, JobStatus, Places
    from shared.domain.resource_type import ResourceKey
    from shared.domain.row import Event, Phase, Row, RowError
    from shared.domain.row_commit import ClaimOutcome, Lost, RowClaim, RowCommit


class Jobs(Protocol):
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
