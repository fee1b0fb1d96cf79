"""Build what the operations on sync jobs need."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING

from shared import settings
from shared.adapters import aws
from shared.adapters.payloads import PayloadStore
from shared.adapters.step_functions import SyncExecutions
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.security import token_verifier
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.job import places_for
from shared.use_cases.jobs.intake import JobIntake

if TYPE_CHECKING:
    from shared.adapters.credentials import CredentialsStore


@cache
def _outside() -> tuple[PayloadStore, CredentialsStore, SyncExecutions]:
    return (
        PayloadStore(aws.client("s3"), settings.payload_bucket()),
        credentials_store(),
        SyncExecutions(aws.client("stepfunctions"), settings.state_machine_arn()),
    )


def intake() -> JobIntake:
    """Return where a new job goes, as of now."""
    payloads, credentials, executions = _outside()
    return JobIntake(
        jobs=sync_jobs(),
        payloads=payloads,
        credentials=credentials,
        executions=executions,
        tokens=token_verifier(),
        known_types=frozenset(catalogue()),
        places=places_for(settings.sync_concurrency()),
        now=time.time(),
    )
