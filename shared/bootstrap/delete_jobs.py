"""Open the headers and rows of delete jobs."""

from __future__ import annotations

from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.job_store import JobStore
from shared.domain.job import JobKind


@cache
def delete_jobs() -> JobStore:
    """Return headers, counters and rows of delete jobs."""
    return JobStore(aws.dynamodb(), settings.sync_jobs_table(), settings.sync_resources_table(), kind=JobKind.DELETE)
