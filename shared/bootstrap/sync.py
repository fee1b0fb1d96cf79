"""Build what the steps of a sync job need."""

from __future__ import annotations

import time
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.lineage_store import LineageStore
from shared.adapters.dynamodb.memory_store import MemoryStore
from shared.adapters.dynamodb.sync_commits import RowCommits
from shared.adapters.payloads import PayloadStore
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.downstream import open_repository
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.errors import CredentialsExpiredError, NotFoundError
from shared.observability import logger, record
from shared.use_cases.jobs.step import StepInput, StepPorts, run_noting_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.job import Job
    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.step_result import StepResult


@cache
def _payloads() -> PayloadStore:
    return PayloadStore(aws.client("s3"), settings.payload_bucket())


def ports(step: StepInput) -> StepPorts:
    """Return what a step works with.

    Args:
        step: ends the waiting of the downstream clients in time.
    """
    lineage_table = settings.lineage_table()
    return StepPorts(
        catalogue=catalogue(),
        jobs=sync_jobs(),
        commits=RowCommits(
            aws.dynamodb(),
            settings.sync_jobs_table(),
            settings.sync_resources_table(),
            lineage_table,
            settings.index_table(),
        ),
        lineage=LineageStore(aws.dynamodb(), lineage_table),
        memory=MemoryStore(aws.dynamodb(), settings.memory_table(), _payloads()),
        payloads=_payloads(),
        open_repository=lambda job, role: _open_repository(job, role, step.deadline),
        now=time.time,
        sleep=time.sleep,
        count=record,
        log_failure=_log_failure,
    )


def _open_repository(job: Job, role: str, ends_at: float) -> ConfigRepository:
    org_id = job.source_org_id if role == "source" else job.target_org_id
    try:
        token = credentials_store().get(job.id, role)
    except NotFoundError:
        raise CredentialsExpiredError(f"The job's token for its {role} is gone.") from None
    # A crawl reads as fast as it can, perhaps next to others of the same source.
    is_source = role == "source"
    return open_repository(token, org_id, read_only=is_source, budget_reads=is_source, ends_at=ends_at)


def _log_failure(resource_type: str, error: Exception) -> None:
    logger.error("Row failed", resource_type=resource_type, exc_info=error)


def run_step(
    step: Callable[[StepInput, StepPorts], StepResult],
) -> Callable[[dict[str, Any]], StepResult]:
    """Return a step that reads its input from the task's event and works on the real world."""
    translated = aws.translated_errors()(step)

    @wraps(step)
    def run(event: dict[str, Any]) -> StepResult:
        task = StepInput.from_event(event)
        return run_noting_progress(translated, task, ports(task))

    return run
