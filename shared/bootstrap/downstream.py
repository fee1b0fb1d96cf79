"""Open the configs of an organisation through its downstream APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.downstream.client import DownstreamClient
from shared.adapters.downstream.repository import DownstreamRepository
from shared.adapters.downstream.sessions import shared_session
from shared.adapters.dynamodb.rate_budget import DynamoRateBudget
from shared.observability import logger, record

if TYPE_CHECKING:
    from shared.domain.api_operation import Operation
    from shared.entrypoints.request import Request

# The gateway ends a request after 29 s; a person rather hears sooner which API does not answer.
_LONGEST_CALL_S = 20.0
# What the query for the slowest calls finds.
_SLOW_MS = 1_000


def open_repository(token: str, org_id: str, *, read_only: bool, **limits: Any) -> DownstreamRepository:
    """Return the configs of an organisation as the token's user sees them, within its shared rate budget.

    Args:
        token: bearer token of that organisation.
        org_id: the organisation.
        read_only: no write leaves, whatever is asked for.
        limits: `ends_at`, `call_deadline_s` or `budget_reads` of the client.
    """
    client = DownstreamClient(
        token,
        settings.downstream_url_template(),
        budget=DynamoRateBudget(
            aws.table(settings.sync_jobs_table()),
            org_id,
            on_taken=lambda host, used: record("RateBudgetUsed", used, host=host),
        ),
        session=shared_session(),
        read_only=read_only,
        on_attempt=_record_attempt,
        on_budget=lambda host, waited_ms: record("RateBudgetWait", waited_ms, host=host),
        **limits,
    )
    return DownstreamRepository(client, org_id)


def _record_attempt(operation: Operation, ended: str, duration_ms: float, number: int) -> None:
    host = operation.host
    record("DownstreamCalls", host=host)
    record("DownstreamDuration", duration_ms, host=host)
    record("DownstreamThrottled", 1 if ended == "throttled" else 0, host=host)
    record("DownstreamFailed", 1 if ended == "failed" else 0, host=host)
    record("DownstreamRetried", 1 if number > 1 else 0, host=host)
    if duration_ms >= _SLOW_MS or ended != "answered":
        logger.warning(
            "Downstream call slow or refused",
            host=host,
            operation=operation.operation_id,
            ended=ended,
            attempt=number,
            duration_ms=round(duration_ms),
        )


def caller_repository(request: Request) -> DownstreamRepository:
    """Return the configs of the caller's organisation as the caller sees them; nothing can be written through it."""
    return open_repository(request.token, request.org_id, read_only=True, call_deadline_s=_LONGEST_CALL_S)
