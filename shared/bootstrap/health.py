"""Build what measuring the service's health needs."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.job_store import JobStore
from shared.adapters.queues import LetterQueue
from shared.bootstrap.index import index_store
from shared.domain.job import JobKind
from shared.observability import logger, record
from shared.use_cases.measure_health import Health, measure_health

if TYPE_CHECKING:
    from collections.abc import Mapping


@aws.translated_errors()
def measure(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Measure as of the moment that the schedule names, however late it comes; as of now where there is none."""
    return measure_health(
        Health(
            jobs={kind: JobStore(aws.dynamodb(), settings.sync_jobs_table(), kind=kind) for kind in JobKind},
            indexes=index_store(),
            letters=LetterQueue(aws.client("sqs"), settings.dead_letter_queue_url()),
            count=record,
            tell=logger.warning,
            now=datetime.fromisoformat(event["time"]).timestamp() if "time" in event else time.time(),
        )
    )
