"""phase_a: hand out the batches that may run now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.sync_job import JobStatus, Work
from shared.use_cases.write_rows import read_pack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.use_cases.sync_ports import StepInput, SyncPorts

# A stage is handed out again where its batches are not finished: the answer that named them was lost, or a step gave up.
_MAX_HAND_OUTS = 3


def next_batches(step: StepInput, ports: SyncPorts) -> Mapping[str, Any]:
    """Return the batches of the next stage.

    Returns:
        `status` done with `batches` and whether stages `remain`, or failed where the job stopped.

    Raises:
        NotFoundError: there is no such job.
    """
    job = ports.jobs.get_job(step.org_id, step.job_id)
    is_running = job.status is JobStatus.IN_PROGRESS and job.execution_id == step.execution_id
    if not is_running or job.error is not None:
        return {
            "status": "failed",
            "code": job.error.code if job.error else "JOB_STOPPED",
            "batches": [],
            "remaining": False,
        }
    handed_out = job.stages[job.next_stage - 1] if job.next_stage else ()
    unfinished = [batch for batch in handed_out if _is_unfinished(step, ports, str(batch))]
    if unfinished and job.hand_outs < _MAX_HAND_OUTS:
        ports.jobs.hand_out_stage(job, job.next_stage, job.hand_outs + 1)
        return _handed_out(unfinished, job.next_stage < len(job.stages))
    if job.next_stage >= len(job.stages):
        return _handed_out([], False)
    ports.jobs.hand_out_stage(job, job.next_stage + 1, 1)
    return _handed_out(list(job.stages[job.next_stage]), job.next_stage + 1 < len(job.stages))


def _is_unfinished(step: StepInput, ports: SyncPorts, batch: str) -> bool:
    keys = [planned.key for planned, _ in read_pack(ports, step.org_id, step.job_id, batch)]
    rows = ports.jobs.get_rows(step.org_id, step.job_id, keys).values()
    return any(row.next_work is Work.WRITE for row in rows)


def _handed_out(batches: list[int], remaining: bool) -> dict[str, Any]:
    return {"status": "done", "code": "", "wait_seconds": 0, "batches": batches, "remaining": remaining}
