"""Close a delete job, whatever became of it: rebuild the index, let go of the token, say that it ended."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shared.domain.errors import CredentialsExpiredError, NotFoundError
from shared.domain.job import COUNTERS, Job, final_status, iso_time
from shared.domain.row import RowError, RowStatus, sample_errors
from shared.use_cases.jobs.answers import delete_job_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.ports.jobs import Jobs
    from shared.domain.ports.runs import Credentials, Events, KeptToken


def finish_deletion(
    org_id: str,
    job_id: str,
    *,
    jobs: Jobs,
    credentials: Credentials,
    events: Events,
    rebuild_index: Callable[[Job, KeptToken], None],
    count: Callable[..., None],
    now: Callable[[], float],
    busy_s: float = 0,
) -> Mapping[str, Any]:
    """Close a job; safe to run any number of times, also for one whose execution died.

    Its end is published at least once: again where an earlier invocation may have died on the way.

    Args:
        org_id: the organisation of the job.
        job_id: the job.
        jobs: headers and rows of delete jobs.
        credentials: tokens of runs.
        events: where the end is published.
        rebuild_index: starts a build of the organisation's index with the job's token.
        count: notes a value of a metric: its name, the value, its dimensions by name.
        now: epoch seconds.
        busy_s: for how many seconds steps of the job may still run; 0 where it is closed behind the last of them.

    Raises:
        NotFoundError: there is no such job.
        HubError: storage failed; it can run again.
    """
    job = jobs.get_job(org_id, job_id)
    is_untold = jobs.is_marked_running(job)
    rows = list(jobs.list_rows(org_id, job_id)) if job.planned else []
    counted = Counter(row.status.counted_as for row in rows)
    counts = {name: counted[name] for name in COUNTERS}
    unsettled = counts["pending"] + counts["in_progress"]
    if not job.status.final and job.error is None and (unsettled or not job.planned):
        jobs.stop_for(org_id, job_id, _why_unfinished(job, unsettled))
    rebuilt = job.rebuild_triggered or _rebuild(job, credentials, rebuild_index)
    job = jobs.finish_job(
        job,
        final_status(counts, interrupted=job.error is not None or not job.planned),
        iso_time(now()),
        sample_errors(row for row in rows if row.status is RowStatus.FAILED),
        counts,
        rebuild_triggered=rebuilt,
    )
    credentials.delete(job.id)
    if is_untold:
        events.put("DeleteJobFinished", delete_job_answer(job, counts))
        count("DeleteJobsEnded", 1, status=job.status.value)
    # Last, because the mark that goes with it says that the end is still to be published.
    jobs.release_slot(job, busy_s)
    return {"status": "done", "code": "", "wait_seconds": 0, "job_status": job.status.value}


def _why_unfinished(job: Job, unsettled: int) -> RowError:
    if not job.planned:
        return RowError("PLAN_FAILED", "The job ended before its rows stood.")
    return RowError("INTERRUPTED", f"The job ended before it came to {unsettled} of its {job.total} resources.")


def _rebuild(job: Job, credentials: Credentials, rebuild_index: Callable[[Job, KeptToken], None]) -> bool:
    """Start a build where something may have been deleted; False where nothing can have been, or the token is gone."""
    if not job.planned:
        return False
    with suppress(NotFoundError, CredentialsExpiredError):
        rebuild_index(job, credentials.get_kept(job.id, "target"))
        return True
    return False
