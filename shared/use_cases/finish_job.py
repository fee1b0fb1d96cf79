"""finalize: close a job, whatever became of it, and let go of what it held."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shared.domain.errors import CredentialsExpiredError, NotFoundError
from shared.domain.job import COUNTERS, Job, JobStatus, epoch_seconds, final_status, iso_time, phase_durations
from shared.domain.row import Row, RowError, RowStatus, sample_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.ports.jobs import Jobs
    from shared.domain.ports.runs import Credentials, Events, KeptToken


CREDENTIALS_KEPT_S = 24 * 3600


def finish_job(
    org_id: str,
    job_id: str,
    *,
    jobs: Jobs,
    credentials: Credentials,
    events: Events,
    rebuild_target_index: Callable[[Job, KeptToken], None],
    count: Callable[..., None],
    now: Callable[[], float],
    busy_s: float = 0,
) -> Mapping[str, Any]:
    """Close a job; safe to run any number of times, also for one that was cancelled or whose execution died.

    Its end is published at least once: again where an earlier invocation may have died on the way.

    Args:
        org_id: the organisation that created the job.
        job_id: the job.
        jobs: headers and rows.
        credentials: tokens of runs.
        events: where the end is published.
        rebuild_target_index: starts a build with the job's token for the target.
        count: notes a value of a metric: its name, the value, its dimensions by name.
        now: epoch seconds.
        busy_s: for how many seconds steps of the job may still run; 0 where it is closed behind the last of them.

    Raises:
        NotFoundError: there is no such job.
        HubError: storage failed; it can run again.
    """
    job = jobs.get_job(org_id, job_id)
    rows = list(jobs.list_rows(org_id, job_id)) if job.planned else []
    counts = dict.fromkeys(COUNTERS, 0)
    for row in rows:
        counts[row.status.counted_as] += 1
    if not job.planned and job.error is None and not job.status.final:
        jobs.stop_for(org_id, job_id, RowError("PLAN_FAILED", "The job ended before its plan stood."))
    interrupted = job.error is not None or not job.planned
    is_untold = jobs.is_marked_running(job)
    status = final_status(counts, interrupted=interrupted)
    job = jobs.finish_job(job, status, iso_time(now()), sample_errors(rows), counts)
    _let_go_of_credentials(job, rows, credentials, rebuild_target_index, now)
    if is_untold:
        events.put("SyncJobFinished", _detail(job, counts))
        mode = "dry_run" if job.dry_run else "run"
        count("SyncJobsEnded", 1, status=job.status.value, mode=mode)
        count("SyncJobDuration", max(0.0, now() - epoch_seconds(job.started_at)), mode=mode)
        for phase, seconds in phase_durations(job, now()).items():
            count("PhaseDuration", seconds, phase=phase.value)
        for kind, number in Counter(row.key.type for row in rows if row.status is RowStatus.SKIPPED).items():
            count("ResourcesSettled", number, outcome=RowStatus.SKIPPED.value, resource_type=kind)
    # Last, because the mark that goes with it says that the end is still to be published.
    jobs.release_slot(job, busy_s)
    return {"status": "done", "code": "", "wait_seconds": 0, "job_status": job.status.value}


def _let_go_of_credentials(
    job: Job,
    rows: list[Row],
    credentials: Credentials,
    rebuild_target_index: Callable[[Job, KeptToken], None],
    now: Callable[[], float],
) -> None:
    if any(row.status in (RowStatus.CREATED, RowStatus.PATCHED, RowStatus.IN_PROGRESS) for row in rows):
        with suppress(NotFoundError, CredentialsExpiredError):
            rebuild_target_index(job, credentials.get_kept(job.id, "target"))
    if job.status is JobStatus.SUCCEEDED:
        credentials.delete(job.id)
    else:
        credentials.limit(job.id, int(now()) + CREDENTIALS_KEPT_S)


def _detail(job: Job, counts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "org_id": job.org_id,
        "source_org_id": job.source_org_id,
        "target_org_id": job.target_org_id,
        "status": job.status.value,
        "dry_run": job.dry_run,
        "finished_at": job.finished_at,
        "counts": {"total": sum(counts.values()), **counts},
    }
