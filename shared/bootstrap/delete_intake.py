"""Build what taking a delete job in needs."""

from __future__ import annotations

import time
from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.payloads import PayloadStore
from shared.adapters.step_functions import SyncExecutions
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.delete_jobs import delete_jobs
from shared.domain.job import places_for
from shared.use_cases.jobs.intake import JobStores


@cache
def _outside() -> tuple[PayloadStore, SyncExecutions]:
    return (
        PayloadStore(aws.client("s3"), settings.payload_bucket()),
        SyncExecutions(aws.client("stepfunctions"), settings.delete_machine_arn()),
    )


def delete_intake() -> JobStores:
    """Return where a new delete job goes, as of now."""
    payloads, executions = _outside()
    return JobStores(
        jobs=delete_jobs(),
        payloads=payloads,
        credentials=credentials_store(),
        executions=executions,
        known_types=frozenset(catalogue()),
        places=places_for(settings.sync_concurrency()),
        now=time.time(),
    )
