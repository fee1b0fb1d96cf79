"""A sync job, its rows and its counters.

A row's life, with the phase that moves it:

    pending --claim--> in_progress --last work done--> created | patched
       |                   |
       |                   +--refused, dependency failed--> failed
       +--nothing to do--> skipped        (dry run: pending --plan--> would_* | failed)

A row is `created` or `patched` only when nothing is left to do for it, its verification included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.domain.resource_type import EMPTY, ResourceKey


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
    FAILED = "failed"

    @property
    def counted_as(self) -> str:
        """Name of the counter of the contract that this status adds to."""
        if self in (RowStatus.PENDING, RowStatus.IN_PROGRESS, RowStatus.FAILED):
            return self.value
        return "skipped_unchanged" if self in (RowStatus.SKIPPED, RowStatus.WOULD_SKIP) else "succeeded"


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
        batch: number of the batch in which it is created or patched.
        target_fields: fields of the target's config that others refer to (derived values, aliases), once known.
        left: work that is left, in order: names of `Phase` members or `activate`, `verify`.
    """

    key: ResourceKey
    title: str
    status: RowStatus
    phase: Phase
    action: str
    batch: int
    generation: int
    target_id: str | None = None
    target_fields: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    attempt: int = 0
    left: tuple[str, ...] = ()
    error: RowError | None = None
    updated_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Header of a job.

    Attributes:
        org_id: the organisation that created it; only it sees the job.
        match: `heuristic` or `lineage_only`.
        retry_of: the job whose unresolved rows this one takes up.
        stages: per stage of phase_a the numbers of the batches that may run at the same time.
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
    finished_at: str | None = None
    phase: Phase = Phase.FETCH_AND_PLAN
    retry_of: str | None = None
    total: int = 0
    stages: tuple[tuple[int, ...], ...] = ()
    current_batch: Mapping[str, int] | None = None
    error: RowError | None = None
    errors_sample: tuple[Mapping[str, str], ...] = ()
