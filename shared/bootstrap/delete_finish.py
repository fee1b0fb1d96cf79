"""Build what closing a delete job needs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from shared.adapters import aws
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.delete_jobs import delete_jobs
from shared.bootstrap.sync_finish import event_bus, rebuild_target_index
from shared.observability import record
from shared.use_cases.finish_deletion import finish_deletion
from shared.use_cases.sync_ports import LONGEST_STEP_S

if TYPE_CHECKING:
    from collections.abc import Mapping


@aws.translated_errors()
def finish(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Close the job that the machine's state names, or that the ended execution of an EventBridge event was for.

    Whatever closes it but the machine itself does not know that the last of its steps has ended.
    """
    state: Mapping[str, Any] = json.loads(event["input"]) if "input" in event else event
    return finish_deletion(
        state["org_id"],
        state["job_id"],
        jobs=delete_jobs(),
        credentials=credentials_store(),
        events=event_bus(),
        rebuild_index=rebuild_target_index,
        count=record,
        now=time.time,
        busy_s=0 if "execution_id" in event else LONGEST_STEP_S,
    )
