"""Build what closing a sync job needs."""

from __future__ import annotations

import json
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.events import EventBus
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.index import index_store
from shared.bootstrap.index_builder import build_index_function
from shared.bootstrap.sync_jobs import sync_jobs
from shared.observability import record
from shared.use_cases.finish_job import finish_job
from shared.use_cases.jobs.step import LONGEST_STEP_S
from shared.use_cases.rebuild_index import rebuild_index

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.job import Job
    from shared.domain.ports.runs import KeptToken
    from shared.domain.step_result import StepResult

# A build takes minutes; it deletes its token when it ends.
_BUILD_CREDENTIALS_S = 3600


@cache
def event_bus() -> EventBus:
    """Return where the ends of jobs are published."""
    return EventBus(aws.client("events"), settings.event_bus())


def ended_job(event: Mapping[str, Any]) -> tuple[str, str, float]:
    """Return which job to close, by organisation and id, and for how many seconds steps of it may still run.

    It is the one that the machine's state names, or that the ended execution of an EventBridge event was for. Whatever
    closes it but the machine itself does not know that the last of its steps has ended.
    """
    state: Mapping[str, Any] = json.loads(event["input"]) if "input" in event else event
    return state["org_id"], state["job_id"], 0 if "execution_id" in event else LONGEST_STEP_S


@aws.translated_errors()
def finish(event: Mapping[str, Any]) -> StepResult:
    """Close the sync job that an event is about."""
    org_id, job_id, busy_s = ended_job(event)
    return finish_job(
        org_id,
        job_id,
        jobs=sync_jobs(),
        credentials=credentials_store(),
        events=event_bus(),
        rebuild_target_index=rebuild_target_index,
        count=record,
        now=time.time,
        busy_s=busy_s,
    )


def rebuild_target_index(job: Job, kept: KeptToken) -> None:
    """Start a build of the index of the organisation that a job wrote to; it ends one that began before."""
    now = time.time()
    rebuild_index(
        index_store(),
        credentials_store(),
        build_index_function().invoke,
        org_id=job.target_org_id,
        user_id=job.target_user_id,
        token=kept.token,
        token_expires_at=min(kept.expires_at, int(now) + _BUILD_CREDENTIALS_S),
        now=now,
        randomness=os.urandom(10),
        debounce_s=0,
    )
