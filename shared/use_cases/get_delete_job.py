"""Show one delete job: where it stands, and its counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.sync_job import Job
    from shared.use_cases.sync_ports import SyncJobs


def get_delete_job(jobs: SyncJobs, *, org_id: str, job_id: str) -> dict[str, Any]:
    """Return the contract's `DeleteJob`.

    Raises:
        NotFoundError: this organisation has no such job.
    """
    job = jobs.get_job(org_id, job_id)
    return delete_job_answer(job, job.counts or jobs.total_counts(org_id, job_id))


def delete_job_answer(job: Job, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the header of a delete job as the contract has it; before its rows stand, all it names is pending."""
    numbers = {
        "pending": counts.get("pending", 0) if job.planned else job.total,
        "in_progress": counts.get("in_progress", 0),
        "deleted": counts.get("succeeded", 0),
        "skipped": counts.get("skipped_unchanged", 0),
        "failed": counts.get("failed", 0),
    }
    answer = {
        "id": job.id,
        "name": job.name or None,
        "status": job.status.value,
        "org_id": job.org_id,
        "counts": {"total": sum(numbers.values()), **numbers},
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "rebuild_triggered": job.rebuild_triggered,
        "error": str(job.error) if job.error else None,
    }
    return {name: value for name, value in answer.items() if value is not None}
