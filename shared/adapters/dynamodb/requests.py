"""Requests to DynamoDB that stores share: whole queries, batches that are finished, transactions despite conflicts."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from decimal import Decimal
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.adapters.aws import FIRST_PAUSE_S, translated_errors
from shared.domain.errors import StorageThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_BATCH_GET = 100
MAX_BATCH_WRITE = 25
MAX_TRANSACTION = 100

_MAX_TRIES = 12
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
        yield random.uniform(0, min(_LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))  # noqa: S311


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


def query_all(client: DynamoDBClient, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all items of a query, page after page.

    Raises:
        StorageThrottledError: the table is busy.
    """
    paged = dict(request)
    while True:
        with translated_errors():
            answer: Any = client.query(**paged)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        paged["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def batch_get(
    client: DynamoDBClient,
    table: str,
    wanted: Sequence[dict[str, str]],
    *,
    projection: str = "",
    consistent: bool = True,
) -> list[dict[str, Any]]:
    """Read items by their keys; those that do not exist are left out.

    Args:
        client: of DynamoDB.
        table: its name.
        wanted: the keys, each read once.
        projection: attributes to read; by default all.
        consistent: a read that is not costs half.

    Raises:
        StorageThrottledError: the table kept leaving keys unread.
    """
    found: list[dict[str, Any]] = []
    unique = {(key["pk"], key["sk"]): key for key in wanted}
    how: dict[str, Any] = {"ConsistentRead": consistent}
    if projection:
        how["ProjectionExpression"] = projection
    for block in batched(unique.values(), MAX_BATCH_GET, strict=False):
        left: list[Any] = list(block)
        for pause in pauses():
            with translated_errors():
                items: Any = {table: {"Keys": left, **how}}
                answer: Any = client.batch_get_item(RequestItems=items)
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


def stored(value: Any) -> Any:
    """Return a JSON value as DynamoDB stores it: fractions as Decimal, no half of a surrogate pair in a text."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, float):
        return int(value) if value.is_integer() else Decimal(repr(value))
    if isinstance(value, Mapping):
        return {name: stored(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [stored(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """Return a stored value in which every Decimal is a number of JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
