"""The header of a sync or delete job, how many of them run at once, and how one ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.domain.immutable import EMPTY
from shared.domain.row import Phase, RowError, RowStatus

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobKind(StrEnum):
    """What a job does; jobs of one kind never show among those of the other."""

    SYNC = "sync"
    DELETE = "delete"


class JobStatus(StrEnum):
    """Lifecycle of a job; the last four are final."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Nothing will change the job any more."""
        return self not in (JobStatus.PENDING, JobStatus.IN_PROGRESS)


#: Statuses of a delete job's rows, and of a sync job's.
DELETE_STATUSES = (RowStatus.PENDING, RowStatus.IN_PROGRESS, RowStatus.DELETED, RowStatus.SKIPPED, RowStatus.FAILED)
SYNC_STATUSES = tuple(status for status in RowStatus if status is not RowStatus.DELETED)
#: `MaxConcurrency` of every Map of the state machine.
MAP_CONCURRENCY = 8
COUNTERS = ("pending", "in_progress", "succeeded", "failed", "skipped_unchanged")


class Direction(StrEnum):
    """On which side of a job the organisation is that created it."""

    PUSH = "push"  # the source
    PULL = "pull"  # the target
    NONE = ""  # a delete job has one side


class MatchMode(StrEnum):
    """By what a job may pair configs that no sync has paired before."""

    HEURISTIC = "heuristic"  # by natural keys, too
    LINEAGE_ONLY = "lineage_only"  # by ids that are the same everywhere


class Activation(StrEnum):
    """What a patch does with the target's active flag."""

    KEEP = "keep"  # it stays
    FOLLOW = "follow"  # it becomes the source's


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Header of a job.

    Attributes:
        org_id: the organisation that created it; only it sees the job.
        target_user_id: whose token writes to the target.
        retry_of: the job whose unresolved rows this one takes up.
        root_id: the first job of the chain of retries; its own id where it is no retry.
        request_hash: of the request's body without its tokens, so that an idempotency key is not used for two requests.
        execution_id: the execution that drives the job; its steps stop when it is another one.
        planner: the invocation that plans, or whose plan stands.
        planned: the plan stands in rows and batches.
        stages: per stage of phase_a the numbers of the batches that may run at the same time.
        next_stage: the first stage that NextBatches has not handed out yet.
        hand_outs: how often the stage before it was handed out.
        counts: rows by counter, once the job is closed; None while its batches count.
        batches: per kind of work after phase_a the batches that have it.
        rebuild_triggered: the index rebuild that follows a delete job was started.
        entered: epoch seconds at which each phase after the first began, of those that had work.
    """

    id: str
    org_id: str
    user_id: str
    name: str
    status: JobStatus
    direction: Direction
    source_org_id: str
    target_org_id: str
    dry_run: bool
    include_dependencies: bool
    match: MatchMode
    started_at: str
    activation: Activation = Activation.KEEP
    kind: JobKind = JobKind.SYNC
    target_user_id: str = ""
    finished_at: str | None = None
    phase: Phase = Phase.FETCH_AND_PLAN
    retry_of: str | None = None
    root_id: str = ""
    request_hash: str = ""
    execution_id: str | None = None
    planner: str = ""
    planned: bool = False
    total: int = 0
    stages: tuple[tuple[int, ...], ...] = ()
    next_stage: int = 0
    hand_outs: int = 0
    batches: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: EMPTY)
    current_batch: Mapping[str, int] | None = None
    error: RowError | None = None
    errors_sample: tuple[Mapping[str, str], ...] = ()
    counts: Mapping[str, int] | None = None
    rebuild_triggered: bool = False
    entered: Mapping[str, float] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        if not self.root_id:
            object.__setattr__(self, "root_id", self.retry_of or self.id)

    @property
    def org_ids(self) -> tuple[str, str]:
        """Source and target."""
        return self.source_org_id, self.target_org_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many jobs run at the same time.

    Attributes:
        total: over all organisations.
        caller: of those, that one organisation asked for.
        target: into one organisation.
    """

    total: int = 12
    caller: int = 3
    target: int = 3


def places_for(concurrency: int) -> Places:
    """Return how many jobs a number of invocations of each step carries: no organisation gets over a quarter of them.

    Args:
        concurrency: invocations of one step at the same time; the Maps of a job take up to `MAP_CONCURRENCY`.
    """
    total = max(1, concurrency // MAP_CONCURRENCY)
    return Places(total=total, caller=max(1, total // 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """The mark of a job that has not ended.

    Attributes:
        started_at: epoch seconds, when it was asked for.
        progressed_at: epoch seconds, when a step last brought it on; None before the first one did.
    """

    org_id: str
    id: str
    kind: JobKind
    started_at: float
    progressed_at: float | None = None


def final_status(counts: Mapping[str, int], *, interrupted: bool) -> JobStatus:
    """Return the status that a job ends with.

    Args:
        counts: rows by counter, once no step runs any more.
        interrupted: the job could not be planned, or was stopped by an error that belongs to no row.
    """
    total = sum(counts.values())
    if total == 0:
        return JobStatus.FAILED if interrupted else JobStatus.SUCCEEDED
    if counts["failed"] == total:
        return JobStatus.FAILED
    if interrupted or counts["failed"] or counts["pending"] or counts["in_progress"]:
        return JobStatus.PARTIAL
    return JobStatus.SUCCEEDED


def phase_durations(job: Job, ended_at: float) -> dict[Phase, float]:
    """Return how many seconds each phase of a job took, from its beginning to that of the next one, or to the end.

    Args:
        job: the job.
        ended_at: epoch seconds.
    """
    began = [(Phase.FETCH_AND_PLAN, epoch_seconds(job.started_at))]
    began += [(phase, job.entered[phase]) for phase in Phase if phase.order and phase in job.entered]
    ends = [*(at for _, at in began[1:]), ended_at]
    return {phase: max(0.0, end - at) for (phase, at), end in zip(began, ends, strict=True)}


def iso_time(epoch: float) -> str:
    """Write epoch seconds as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_seconds(text: str) -> float:
    """Read what `iso_time` wrote."""
    return datetime.fromisoformat(text).timestamp()
