"""The headers of sync and delete jobs as the contract has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.job import COUNTERS, Job

if TYPE_CHECKING:
    from collections.abc import Mapping


def job_answer(job: Job, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the header of a job as the contract has it; no token was ever part of it."""
    numbers = {name: counts.get(name, 0) for name in COUNTERS}
    answer = {
        "id": job.id,
        "name": job.name or None,
        "status": job.status.value,
        "direction": job.direction,
        "source_org_id": job.source_org_id,
        "target_org_id": job.target_org_id,
        "dry_run": job.dry_run,
        "include_dependencies": job.include_dependencies,
        "match": job.match,
        "activation": job.activation,
        "counts": {"total": sum(numbers.values()), **numbers},
        "current_phase": job.phase.value,
        "current_batch": dict(job.current_batch) if job.current_batch else None,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "retry_of": job.retry_of,
        "error": str(job.error) if job.error else None,
    }
    return {name: value for name, value in answer.items() if value is not None}


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
