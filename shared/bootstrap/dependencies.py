"""Build what the operation needs that reads a payload live with the caller's token."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3

from shared import settings
from shared.adapters.downstream.client import DownstreamClient, shared_session
from shared.adapters.downstream.repository import DownstreamRepository
from shared.adapters.dynamodb import cursor
from shared.adapters.dynamodb.rate_budget import DynamoRateBudget

if TYPE_CHECKING:
    from shared.domain.index_ports import Cursors
    from shared.entrypoints.request import Request

# The gateway ends a request after 29 s; a person rather hears sooner which API does not answer.
_LONGEST_CALL_S = 20.0


@cache
def _budget_table() -> Any:
    return boto3.resource("dynamodb").Table(settings.sync_jobs_table())


def caller_repository(request: Request) -> DownstreamRepository:
    """Return the configs of the caller's organisation as the caller sees them; nothing can be written through it."""
    client = DownstreamClient(
        request.token,
        settings.downstream_url_template(),
        budget=DynamoRateBudget(_budget_table(), request.org_id),
        session=shared_session(),
        read_only=True,
        call_deadline_s=_LONGEST_CALL_S,
    )
    return DownstreamRepository(client, request.org_id)


def cursors() -> Cursors:
    """Return what makes and reads cursors."""
    return cursor
