"""Show one sync job: where it stands, its counters, its latest events, a sample of its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.row import Event, RowStatus, sample_errors
from shared.use_cases.jobs.answers import job_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.domain.ports.jobs import Jobs


_LATEST_EVENTS = 10
# Root causes stand first among these; a job with more failed rows names them all in its list of resources.
_FAILED_ROWS_LOOKED_AT = 100


def get_sync_job(jobs: Jobs, *, org_id: str, job_id: str) -> dict[str, Any]:
    """Return the contract's `SyncJob`.

    Raises:
        NotFoundError: this organisation has no such job.
    """
    job = jobs.get_job(org_id, job_id)
    sample: Sequence[Mapping[str, str]] = job.errors_sample
    if not job.status.final and job.planned:
        failed, _ = jobs.list_rows_page(org_id, job_id, RowStatus.FAILED, _FAILED_ROWS_LOOKED_AT, None)
        sample = sample_errors(failed)
    return {
        **job_answer(job, job.counts or jobs.total_counts(org_id, job_id)),
        "events": [_event_answer(event) for event in jobs.list_events(org_id, job_id, _LATEST_EVENTS)],
        "errors_sample": list(sample),
    }


def _event_answer(event: Event) -> dict[str, Any]:
    answer = {
        "seq": event.seq,
        "ts": event.ts,
        "status": event.status,
        "phase": event.phase.value if event.phase else None,
        "type": event.key.type if event.key else None,
        "source_id": event.key.id if event.key else None,
        "target_id": event.target_id,
        "message": event.message or None,
        "error": event.error or None,
    }
    return {name: value for name, value in answer.items() if value is not None}
