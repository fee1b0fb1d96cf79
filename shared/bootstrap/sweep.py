"""Build what closing ended runs needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.credentials import CredentialsStore
from shared.adapters.dynamodb.job_store import JobStore
from shared.adapters.functions import AsyncFunction
from shared.adapters.step_functions import Executions
from shared.bootstrap.index import index_store
from shared.bootstrap.index_builder import build_index_function
from shared.domain.job import JobKind
from shared.observability import logger, record
from shared.use_cases.rebuild_index import restart_build
from shared.use_cases.sweep_ended_runs import JobsOfAKind, Sweep, sweep_ended_runs

if TYPE_CHECKING:
    from collections.abc import Mapping


@aws.translated_errors()
def sweep(_event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Sweep as of now."""
    now = time.time()
    go_on = AsyncFunction(aws.client("lambda"), settings.continue_index_function())
    return sweep_ended_runs(
        Sweep(
            kinds=(
                _of_kind(JobKind.SYNC, settings.sync_executions_arn(), settings.finish_job_function()),
                _of_kind(JobKind.DELETE, settings.delete_executions_arn(), settings.finish_deletion_function()),
            ),
            builds=index_store(),
            restart_build=lambda org_id: restart_build(
                index_store(), build_index_function().invoke, go_on.invoke, org_id=org_id, now=now
            ),
            # It deletes tokens and never reads one: no key is needed.
            credentials=CredentialsStore(aws.table(settings.credentials_table()), aws.client("kms"), key_id=""),
            count=record,
            tell=logger.warning,
            now=now,
        )
    )


def _of_kind(kind: JobKind, executions_arn: str, closing_function: str) -> JobsOfAKind:
    return JobsOfAKind(
        jobs=JobStore(aws.dynamodb(), settings.sync_jobs_table(), kind=kind),
        executions=Executions(aws.client("stepfunctions"), executions_arn),
        close=AsyncFunction(aws.client("lambda"), closing_function).invoke,
    )
