"""Serve the operations of the API: each organisation may ask so many times a minute, of all functions together."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.rate_budget import DynamoRateBudget
from shared.domain.errors import DownstreamThrottledError, StorageThrottledError, TooManyRequestsError
from shared.entrypoints.http import http_handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.entrypoints.request import Request, Response

_HUB, _REQUESTS = "hub", "request"
# What a function holds and does not use is lost to the others for a minute: a hundredth at a time.
_BLOCKS_PER_MINUTE = 100


def serve(
    operation: Callable[[Request], Response | Any],
) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the Lambda handler of one operation."""
    return http_handler(operation, admit)


def admit(org_id: str) -> None:
    """Let an organisation ask once.

    Raises:
        TooManyRequestsError: its minute is used up.
    """
    allowed = settings.requests_per_organisation()
    if not allowed:
        return
    try:
        _budget(org_id, allowed).take(_HUB, _REQUESTS, timeout_s=0)
    except (DownstreamThrottledError, StorageThrottledError) as error:
        raise TooManyRequestsError(
            f"Your organisation may ask {allowed:,} times a minute: try again later.", retry_after=error.retry_after
        ) from error


@lru_cache(maxsize=100)
def _budget(org_id: str, allowed: int) -> DynamoRateBudget:
    return DynamoRateBudget(
        aws.table(settings.sync_jobs_table()),
        org_id,
        limits={(_HUB, _REQUESTS): allowed},
        # Lambda freezes what a function does in the background between requests: a block is taken when it is needed.
        in_background=lambda _: None,
        blocks_per_minute=_BLOCKS_PER_MINUTE,
    )
