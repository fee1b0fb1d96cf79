"""Build what closing a delete job needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shared.adapters import aws
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.delete_jobs import delete_jobs
from shared.bootstrap.sync_finish import ended_job, event_bus, rebuild_target_index
from shared.observability import record
from shared.use_cases.finish_deletion import finish_deletion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.step_result import StepResult


@aws.translated_errors()
def finish(event: Mapping[str, Any]) -> StepResult:
    """Close the delete job that an event is about."""
    org_id, job_id, busy_s = ended_job(event)
    return finish_deletion(
        org_id,
        job_id,
        jobs=delete_jobs(),
        credentials=credentials_store(),
        events=event_bus(),
        rebuild_index=rebuild_target_index,
        count=record,
        now=time.time,
        busy_s=busy_s,
    )
