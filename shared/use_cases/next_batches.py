"""phase_a: hand out the batches that may run now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.row import Work
from shared.use_cases.jobs.step import why_stopped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.use_cases.jobs.step import StepInput, StepPorts

# A stage is handed out again where rows of it were not reached: the answer that named its batches was lost.
_MAX_HAND_OUTS = 3


def next_batches(step: StepInput, ports: StepPorts) -> Mapping[str, Any]:
    """Return the batches of the next stage.

    Returns:
        `status` done with `batches` and whether stages `remain`, or failed where the job stopped.

    Raises:
        NotFoundError: there is no such job.
    """
    job = ports.jobs.get_job(step.org_id, step.job_id)
    if stopped := why_stopped(job, step):
        return {"status": "failed", "code": stopped, "wait_seconds": 0, "batches": [], "remaining": False}
    handed_out = job.stages[job.next_stage - 1] if job.next_stage else ()
    unfinished = _unfinished(step, ports, handed_out)
    if unfinished and job.hand_outs < _MAX_HAND_OUTS:
        ports.jobs.hand_out_stage(job, job.next_stage, job.hand_outs + 1)
        return _handed_out(unfinished, job.next_stage < len(job.stages))
    if job.next_stage >= len(job.stages):
        return _handed_out([], False)
    ports.jobs.hand_out_stage(job, job.next_stage + 1, 1)
    return _handed_out(list(job.stages[job.next_stage]), job.next_stage + 1 < len(job.stages))


def _unfinished(step: StepInput, ports: StepPorts, batches: Sequence[int]) -> list[int]:
    """Return the batches that have rows which were not reached; rows that only wait for a later phase do not count."""
    counts = ports.jobs.counts(step.org_id, step.job_id)
    if not any(counts.get(str(batch), {}).get("pending") for batch in batches):
        return []
    rows = ports.jobs.list_rows(step.org_id, step.job_id)
    left = {row.batch for row in rows if row.next_work is Work.WRITE}
    return [batch for batch in batches if batch in left]


def _handed_out(batches: list[int], remaining: bool) -> dict[str, Any]:
    return {"status": "done", "code": "", "wait_seconds": 0, "batches": batches, "remaining": remaining}
