"""Open the configs of an organisation through its downstream APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.downstream.client import DownstreamClient, shared_session
from shared.adapters.downstream.repository import DownstreamRepository
from shared.adapters.dynamodb.rate_budget import DynamoRateBudget
from shared.observability import count

if TYPE_CHECKING:
    from shared.entrypoints.request import Request

# The gateway ends a request after 29 s; a person rather hears sooner which API does not answer.
_LONGEST_CALL_S = 20.0


def open_repository(token: str, org_id: str, *, read_only: bool, **limits: Any) -> DownstreamRepository:
    """Return the configs of an organisation as the token's user sees them, within its shared rate budget.

    Args:
        token: bearer token of that organisation.
        org_id: the organisation.
        read_only: no write leaves, whatever is asked for.
        limits: `ends_at` or `call_deadline_s` of the client.
    """
    client = DownstreamClient(
        token,
        settings.downstream_url_template(),
        budget=DynamoRateBudget(aws.table(settings.sync_jobs_table()), org_id),
        session=shared_session(),
        read_only=read_only,
        on_throttled=lambda _host: count("DownstreamThrottled"),
        **limits,
    )
    return DownstreamRepository(client, org_id)


def caller_repository(request: Request) -> DownstreamRepository:
    """Return the configs of the caller's organisation as the caller sees them; nothing can be written through it."""
    return open_repository(request.token, request.org_id, read_only=True, call_deadline_s=_LONGEST_CALL_S)
