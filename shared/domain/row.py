"""A row: one resource of a job, with its status, the work left for it, and its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.immutable import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.resource_type import ResourceKey


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
        superseded: what was so repeated was followed by another write, which it may undo.
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
    lost_at: float = 0
    outlived: bool = False
    doubles: tuple[str, ...] = ()
    unanswered: bool = False
    superseded: bool = False
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
