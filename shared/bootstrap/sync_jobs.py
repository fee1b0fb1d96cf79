"""Open the headers, rows and activity logs of sync jobs."""

from __future__ import annotations

from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.job_store import JobStore


@cache
def sync_jobs() -> JobStore:
    """Return headers, counters, rows and activity logs of sync jobs."""
    return JobStore(aws.dynamodb(), settings.sync_jobs_table(), settings.sync_resources_table(), settings.index_table())
