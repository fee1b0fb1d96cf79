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
        """Store a new header, mark the job as running and take its places among those that run.

        The header of one that could not be started makes room for a repeat of its request.

        Args:
            job: the job.
            places: how many there are.

        Returns:
            False where the job exists already.

        Raises:
            StorageThrottledError: other jobs kept taking and giving back places at the same moments.
            TooManyJobsError: as many jobs as allowed are running.
        """
        ...

    def release_slot(self, job: Job, busy_s: float = 0) -> None:
        """Give back the places that a job took among the running ones, and take its mark away.

        Args:
            job: the job.
            busy_s: for how many seconds something of it may still run: nobody takes its places before.
        """
        ...

    def is_marked_running(self, job: Job) -> bool:
        """Tell whether a job has its mark among the running ones: nobody has given back its place yet."""
        ...

    def note_progress(self, org_id: str, job_id: str) -> None:
        """Note that a step brought a job on just now; nothing happens where the job has ended."""
        ...

    def note_wait(self, org_id: str, job_id: str) -> int:
        """Count a wait of a running job and return how many it has had by now; 0 where it has ended."""
        ...

    def get_job(self, org_id: str, job_id: str) -> Job:
        """Return a header.

        Raises:
            NotFoundError: this organisation has no such job.
        """
        ...

    def list_jobs(self, org_id: str, status: str | None, size: int, cursor: str | None) -> tuple[list[Job], str | None]:
        """Return one page of an organisation's jobs, newest first, and the cursor of the next.

        Raises:
            InvalidRequestError: the cursor is not one of this list.
        """
        ...

    def start_job(self, org_id: str, job_id: str, execution_id: str) -> Job:
        """Mark a job as running under an execution and return its header.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is final, or another execution drives it.
        """
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
        """Record that the plan stands: totals, stages, batches and where the activity log goes on.

        From then on nothing else can write counters or rows of a plan.

        Args:
            job: the header.
            total: number of rows.
            stages: batch numbers per stage.
            batches: batch numbers per kind of later work.
            counts: batch -> counter -> number of rows.
            next_seq: how many events the plan wrote.

        Raises:
            ConflictError: it is recorded already, another invocation plans by now, or the job is final.
            StorageThrottledError: the tables kept refusing.
        """
        ...

    def hand_out_stage(self, job: Job, stage: int, hand_outs: int) -> None:
        """Remember that a stage of phase_a was handed out, and how often by now."""
        ...

    def enter_phase(self, job: Job, phase: Phase, current_batch: Mapping[str, int] | None) -> None:
        """Say where a running job is; a job that is further or final is left alone."""
        ...

    def stop_for(self, org_id: str, job_id: str, error: RowError) -> None:
        """Record the error that belongs to no row and ends the job; the first one stays."""
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
        """Close a job; one that is final keeps its status and end, and gets the sample of errors and the counters only.

        Returns:
            The header as it stands afterwards.
        """
        ...

    def cancel_job(self, org_id: str, job_id: str, finished_at: str) -> Job:
        """Mark a running job as cancelled and return its header.

        Raises:
            NotFoundError: this organisation has no such job.
            ConflictError: it is final already.
        """
        ...

    def counts(self, org_id: str, job_id: str) -> dict[str, dict[str, int]]:
        """Return batch -> counter -> number of rows."""
        ...

    def total_counts(self, org_id: str, job_id: str) -> dict[str, int]:
        """Return the sum of all batches' counters."""
        ...

    def list_events(self, org_id: str, job_id: str, limit: int = 10) -> list[Event]:
        """Return the latest events, the newest first."""
        ...

    def put_events(self, org_id: str, job_id: str, events: Sequence[Event]) -> None:
        """Write events whose `seq` is set."""
        ...

    def begin_plan(self, job: Job, planner: str) -> Job:
        """Let only this invocation plan a job from now on, and return the header as it then stands.

        Raises:
            ConflictError: it is planned already, or final.
        """
        ...

    def put_rows(self, job: Job, rows: Sequence[Row]) -> None:
        """Write the rows of a plan, over those of an earlier attempt to plan.

        Raises:
            ConflictError: a plan stands already, or another invocation plans by now.
            StorageThrottledError: the tables kept refusing.
        """
        ...

    def get_rows(self, org_id: str, job_id: str, wanted: Iterable[ResourceKey]) -> dict[ResourceKey, Row]:
        """Return the rows of the given source configs; those that the job does not have are left out."""
        ...

    def list_rows(self, org_id: str, job_id: str) -> Iterator[Row]:
        """Yield all rows of a job, strongly consistent."""
        ...

    def list_rows_page(
        self, org_id: str, job_id: str, status: str | None, size: int, cursor: str | None
    ) -> tuple[list[Row], str | None]:
        """Return one page of rows for a person, and the cursor of the next.

        Raises:
            InvalidRequestError: the cursor is not one of this list.
        """
        ...


class Commits(Protocol):
    """Claims and group commits."""

    def claim(self, job: Job, batch: str, claims: Sequence[RowClaim], lease_until: float) -> ClaimOutcome:
        """Claim rows in blocks, each with the row's transition and the counters in one transaction.

        A target config is claimed whatever its source, and a claim on the source binds too: so the jobs of one source
        organisation exclude each other before a target is known, and all jobs once it is.

        Args:
            job: the job.
            batch: whose counters change.
            claims: the rows with what is claimed for each.
            lease_until: epoch seconds.
        """
        ...

    def commit(self, job: Job, batch: str, commits: Sequence[RowCommit]) -> dict[ResourceKey, Lost]:
        """Record rows in groups, one transaction each.

        Args:
            job: the job.
            batch: whose counters change.
            commits: at most one per row.

        Returns:
            The rows that could not be recorded, and which condition did not hold.

        Raises:
            StorageThrottledError: the tables kept refusing a group.
        """
        ...


class Memory(Protocol):
    """What syncs remember: contents by their hash, and what a target was before a job."""

    def keep(self, contents: Mapping[str, Any]) -> None:
        """Keep contents under their hashes, for 400 days from now.

        Raises:
            StorageThrottledError: the table kept refusing.
        """
        ...

    def recall(self, digests: Collection[str]) -> dict[str, Any]:
        """Return contents by their hashes; those that are gone are left out."""
        ...

    def keep_before(self, job: Job, before: Mapping[ResourceKey, Mapping[str, Any] | None]) -> None:
        """Keep what target configs were before a chain of retries writes them, for 30 days.

        Args:
            job: any job of the chain.
            before: source config -> JSON; None where nothing is there.

        Raises:
            StorageThrottledError: the table kept refusing.
        """
        ...


class Payloads(Protocol):
    """JSON values by key; `get` raises NotFoundError."""

    def put(self, key: str, value: Any) -> None:
        """Store a value."""
        ...

    def put_once(self, key: str, value: Any) -> Any:
        """Store a JSON value where there is none yet, and return what is stored from then on.

        Raises:
            PayloadTooLargeError: the value has over 64 MB, or the key over 1,024 bytes.
            StorageThrottledError: somebody else stores or deletes it at this moment.
        """
        ...

    def get(self, key: str) -> Any:
        """Return a value."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with the prefix, in order."""
        ...
