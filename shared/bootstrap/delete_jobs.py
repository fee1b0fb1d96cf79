"""Open the headers and rows of delete jobs."""

from __future__ import annotations

from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.job_store import SyncStore
from shared.domain.job import JobKind


@cache
def delete_jobs() -> SyncStore:
    """Return headers, counters and rows of delete jobs."""
    return SyncStore(aws.dynamodb(), settings.sync_jobs_table(), settings.sync_resources_table(), kind=JobKind.DELETE)
