"""What a step of a state machine answers, by which a Choice routes it."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class StepResult(TypedDict):
    """The answer of a step.

    Attributes:
        status: `done`; `more`: once more at once; `wait`: once more later; `failed`: the job ends.
        code: why, where it is not done.
        wait_seconds: how long a `wait` lasts.
        types: of FetchSources: the types whose configs the target is looked at for.
        dry_run, has_batches: of PlanJob: what follows.
        resolve_batches, patch_batches, finalize_batches, verify_batches: of PlanJob: batches of the later phases.
        batches, remaining: of NextBatches: the batches of a stage, and whether further stages follow.
        job_status: of FinishJob and FinishDeletion.
    """

    status: str
    code: str
    wait_seconds: int
    types: NotRequired[list[str]]
    dry_run: NotRequired[bool]
    has_batches: NotRequired[bool]
    resolve_batches: NotRequired[list[int]]
    patch_batches: NotRequired[list[int]]
    finalize_batches: NotRequired[list[int]]
    verify_batches: NotRequired[list[int]]
    batches: NotRequired[list[int]]
    remaining: NotRequired[bool]
    job_status: NotRequired[str]
