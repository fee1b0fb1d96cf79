"""A sync or delete job, its rows and its counters.

A row's life, with the phase that moves it:

    pending --claim--> in_progress --last work done--> created | patched
       |                   |
       |                   +--refused, dependency failed--> failed
       +--nothing to do--> skipped        (dry run: pending --plan--> would_* | failed)

A row is `created` or `patched` only when nothing is left to do for it, its verification included. In a delete job a row
goes from `pending`, over `in_progress` where an answer stayed away, to `deleted`, `skipped` or `failed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.resource_type import EMPTY, ResourceKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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


class Phase(StrEnum):
    """Phases in their order; text order is not phase order."""

    FETCH_AND_PLAN = "phase_0"
    CREATE = "phase_a"
    RESOLVE = "phase_a5"
    PATCH = "phase_b"
    FINALIZE = "finalize"

    @property
    def order(self) -> int:
        """Place among the phases."""
        return tuple(Phase).index(self)


class Work(StrEnum):
    """What can be left to do for a row, in this order; a step does one kind of work."""

    WRITE = "write"  # phase_a: create or patch
    RESOLVE = "resolve"  # phase_a5: write again with all references, then read the derived values
    PATCH = "patch"  # phase_b: patch deferred references and derived values
    ACTIVATE = "activate"  # finalize: activate what was created inactive
    VERIFY = "verify"  # finalize: read back, remember the fingerprints

    @property
    def phase(self) -> Phase:
        """The phase in which this work is done."""
        return _PHASE_OF_WORK[self]


_PHASE_OF_WORK = {
    Work.WRITE: Phase.CREATE,
    Work.RESOLVE: Phase.RESOLVE,
    Work.PATCH: Phase.PATCH,
    Work.ACTIVATE: Phase.FINALIZE,
    Work.VERIFY: Phase.FINALIZE,
}


class RowStatus(StrEnum):
    """Status of one row."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    CREATED = "created"
    PATCHED = "patched"
    SKIPPED = "skipped"
    WOULD_CREATE = "would_create"
    WOULD_PATCH = "would_patch"
    WOULD_SKIP = "would_skip_unchanged"
    WOULD_MATCH = "would_match_heuristic"
    DELETED = "deleted"
    FAILED = "failed"

    @property
    def counted_as(self) -> str:
        """Name of the counter of the contract that this status adds to."""
        if self in (RowStatus.PENDING, RowStatus.IN_PROGRESS, RowStatus.FAILED):
            return self.value
        return "skipped_unchanged" if self in (RowStatus.SKIPPED, RowStatus.WOULD_SKIP) else "succeeded"

    @property
    def unresolved(self) -> bool:
        """A retry takes the row up again."""
        return self in (RowStatus.PENDING, RowStatus.IN_PROGRESS, RowStatus.FAILED)


#: Statuses of a delete job's rows, and of a sync job's.
DELETE_STATUSES = (RowStatus.PENDING, RowStatus.IN_PROGRESS, RowStatus.DELETED, RowStatus.SKIPPED, RowStatus.FAILED)
SYNC_STATUSES = tuple(status for status in RowStatus if status is not RowStatus.DELETED)

#: `MaxConcurrency` of every Map of the state machine.
MAP_CONCURRENCY = 8

COUNTERS = ("pending", "in_progress", "succeeded", "failed", "skipped_unchanged")


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row failed.

    Attributes:
        code: a typed code such as `DOWNSTREAM_REJECTED`; the contract's `error` text begins with it.
        message: one clear sentence.
        root: the row that failed first, where this one failed because of it.
    """

    code: str
    message: str
    root: ResourceKey | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One resource of a job.

    Attributes:
        key: type and source id.
        action: what the plan decided, an `Action` of `domain.plan`.
        batch: number of the batch in which it is created or patched; 0 where nothing is to be done.
        target_fields: fields of the target's config that others refer to (derived values, aliases), once known.
        left: work that is left, in order; empty once nothing is left.
        sends: how often its create was sent, where that was more than once.
        lost_at: epoch seconds at which it was last sent so that the API may have been at work still; 0 where never.
            Of a create, or of an update since.
        outlived: the API was seen to work on behind an answer that it was too slow for.
        doubles: configs of the target that say the same, were not there before and are nobody's: one too many, perhaps.
        unanswered: an update of it was repeated for want of an answer: the earlier one may still be done, late.
        is_lacking: it names, or pins a value of, a resource of the job that was not written to its end.
        stamp: name of its last write, the same in its lineage: who writes later stamps that anew.
        answer: fingerprint of what the API answered to that write; empty where it answered nothing.
        leftovers: identifiers of the source organisation that were found in the target's config when it was read back.
        paired_by: the user who paired it with its target by hand, where no sync had used that pair before.
        version: optimistic lock, counts the writes of the row.
    """

    key: ResourceKey
    title: str
    status: RowStatus
    phase: Phase
    action: str
    batch: int = 0
    generation: int = 0
    target_id: str | None = None
    target_fields: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    attempt: int = 0
    left: tuple[Work, ...] = ()
    sends: int = 0
    lost_at: int = 0
    outlived: bool = False
    doubles: tuple[str, ...] = ()
    unanswered: bool = False
    is_lacking: bool = False
    stamp: str = ""
    answer: str = ""
    error: RowError | None = None
    leftovers: tuple[str, ...] = ()
    paired_by: str = ""
    updated_at: str = ""
    version: int = 0

    @property
    def next_work(self) -> Work | None:
        """The work to do next; None where nothing is left or the row is done with."""
        is_open = self.status in (RowStatus.PENDING, RowStatus.IN_PROGRESS)
        return self.left[0] if is_open and self.left else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Header of a job.

    Attributes:
        org_id: the organisation that created it; only it sees the job.
        target_user_id: whose token writes to the target.
        match: `heuristic` or `lineage_only`.
        activation: `keep` or `follow`: whether a patch leaves the target's active flag or writes the source's.
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
    direction: str
    source_org_id: str
    target_org_id: str
    dry_run: bool
    include_dependencies: bool
    match: str
    started_at: str
    activation: str = "keep"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of a job's activity log; `seq` is assigned when it is written."""

    ts: str
    status: str
    phase: Phase | None = None
    key: ResourceKey | None = None
    target_id: str | None = None
    message: str = ""
    error: str = ""
    seq: int = 0


def event_of(row: Row, message: str = "") -> Event:
    """Return the event that says what became of a row."""
    return Event(
        ts=row.updated_at,
        status=row.status,
        phase=row.phase,
        key=row.key,
        target_id=row.target_id,
        message=message,
        error=str(row.error) if row.error else "",
    )


def count_change(before: Row, after: Row) -> dict[str, int]:
    """Return by how much each counter changes when a row goes from one state to another."""
    if before.status.counted_as == after.status.counted_as:
        return {}
    return {before.status.counted_as: -1, after.status.counted_as: 1}


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


#: The contract's bound.
MAX_ERRORS_SAMPLE = 20


def sample_errors(rows: Iterable[Row]) -> tuple[dict[str, str], ...]:
    """Return up to 20 errors of a job's rows: root causes first, then their dependents, then what is suspicious."""
    failed = sorted(
        (row for row in rows if row.error is not None or row.doubles or row.leftovers),
        key=lambda row: (row.error is None, row.error is not None and row.error.root is not None, row.key),
    )
    return tuple(
        {
            "type": row.key.type,
            "source_id": row.key.id,
            "error": str(row.error) if row.error else suspicion(row) or _leftover(row),
        }
        for row in failed[:MAX_ERRORS_SAMPLE]
    )


def suspicion(row: Row) -> str:
    """Return what is said of a row whose create may have been done twice; empty where it was not."""
    if not row.doubles:
        return ""
    others = ", ".join(row.doubles)
    return f"DUPLICATE_SUSPECTED: its create was sent {row.sends} times, and {others} says the same as {row.target_id}."


def _leftover(row: Row) -> str:
    return f"SOURCE_ID_LEFT: its config on the target still names {', '.join(row.leftovers)} of the source."
