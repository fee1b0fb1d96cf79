"""Requests over many items: batches that finish what DynamoDB left over, transactions that outlast conflicts."""

from __future__ import annotations

import random
import time
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.domain.errors import StorageThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_BATCH_GET = 100
MAX_BATCH_WRITE = 25
MAX_TRANSACTION = 100

_MAX_TRIES = 12
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 2.0

# Reasons of a cancelled transaction that the same transaction may not meet again.
_PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_PASSING_ERRORS = frozenset(
    {
        "TransactionInProgressException",
        "TransactionConflictException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "ProvisionedThroughputExceededException",
        "InternalServerError",
    }
)


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before each further try: exponential backoff with full jitter."""
    for attempt in range(_MAX_TRIES):
        yield random.uniform(0, min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**attempt))  # noqa: S311


def cancellation_codes(error: ClientError) -> list[str]:
    """Return the reason per item of a cancelled transaction, in the order of its items."""
    reasons: list[dict[str, Any]] = error.response.get("CancellationReasons", [])  # type: ignore[assignment]
    return [reason.get("Code") or "None" for reason in reasons]


def transact(client: DynamoDBClient, items: Sequence[dict[str, Any]]) -> list[str] | None:
    """Write a transaction, again and again while it only met a conflict or a limit.

    Returns:
        None where it is written; the reason per item where a condition failed and nothing was written.

    Raises:
        StorageThrottledError: it met conflicts or limits until the tries ran out.
    """
    for pause in pauses():
        try:
            client.transact_write_items(TransactItems=list(items))  # type: ignore[arg-type]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "TransactionCanceledException":
                codes = cancellation_codes(error)
                if "ConditionalCheckFailed" in codes:
                    return codes
                if not _PASSING & set(codes):
                    raise
            elif code not in _PASSING_ERRORS:
                raise
        else:
            return None
        time.sleep(pause)
    raise StorageThrottledError("The tables refused a transaction again and again for conflicts or their limits.", 2)


def batch_get(client: DynamoDBClient, table: str, wanted: Sequence[dict[str, str]]) -> list[dict[str, Any]]:
    """Read items, strongly consistent; those that do not exist are left out.

    Raises:
        StorageThrottledError: the table kept leaving keys unread.
    """
    found: list[dict[str, Any]] = []
    unique = {(key["pk"], key["sk"]): key for key in wanted}
    for block in batched(unique.values(), MAX_BATCH_GET, strict=False):
        left: list[Any] = list(block)
        for pause in pauses():
            answer: Any = client.batch_get_item(RequestItems={table: {"Keys": left, "ConsistentRead": True}})
            found += answer["Responses"].get(table, [])
            left = list(answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", []))
            if not left:
                break
            time.sleep(pause)
        else:
            raise StorageThrottledError("A table refused reads again and again for its limits.", 2)
    return found


def batch_put(client: DynamoDBClient, table: str, items: Sequence[dict[str, Any]]) -> None:
    """Put items, whatever was there before.

    Raises:
        StorageThrottledError: the table kept leaving items unwritten.
    """
    for block in batched(items, MAX_BATCH_WRITE, strict=False):
        left: list[Any] = [{"PutRequest": {"Item": item}} for item in block]
        for pause in pauses():
            answer: Any = client.batch_write_item(RequestItems={table: left})
            left = list(answer.get("UnprocessedItems", {}).get(table, []))
            if not left:
                break
            time.sleep(pause)
        else:
            raise StorageThrottledError("A table refused writes again and again for its limits.", 2)
