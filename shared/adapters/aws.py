"""The AWS clients of a process: made when first needed, one of each."""

from __future__ import annotations

import random
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own names

from shared.domain.errors import StorageThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource, Table

# Steps and builds work from up to 32 threads. Validating parameters on our side is a third of what a transaction costs
# the processor, and the service does it again.
_CONFIG = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 6}, parameter_validation=False)


_MAX_CONFLICTS = 8
FIRST_PAUSE_S = 0.02


# What the client itself has tried again, and what may be answered otherwise in a moment.
_BUSY = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionConflictException",
        "InternalServerError",
        "ServiceUnavailable",
        # S3
        "SlowDown",
        "InternalError",
        # KMS
        "KMSInternalException",
        "DependencyTimeoutException",
        # Step Functions and Lambda
        "TooManyRequestsException",
        "ServiceException",
    }
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what AWS refuses for its limits, or does not answer, into our own error.

    Raises:
        StorageThrottledError: the tries of the client ran out.
    """
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _BUSY:
            raise
        service = error.operation_name
        raise StorageThrottledError(f"AWS is busy ({service}): try again in a moment.", retry_after=2) from error
    except (ConnectionError, HTTPClientError) as error:
        raise StorageThrottledError("AWS does not answer: try again in a moment.", retry_after=2) from error


@cache
def _resource() -> DynamoDBServiceResource:
    resource = boto3.resource("dynamodb", config=_CONFIG)
    resource.meta.client.meta.events.register("needs-retry.dynamodb", pause_after_conflict)  # type: ignore[arg-type]
    return resource


def pause_after_conflict(attempts: int, response: tuple[Any, Mapping[str, Any]] | None, **_: object) -> float | None:
    """Say after how many seconds a write of one item that met a transaction is sent again; None where it is not.

    botocore's own retries know what throttles and what fails, but not this; nothing was written.
    """
    error = response[1].get("Error", {}) if response is not None else {}
    if error.get("Code") != "TransactionConflictException" or attempts > _MAX_CONFLICTS:
        return None
    return random.uniform(0, FIRST_PAUSE_S * 2**attempts)  # noqa: S311


def dynamodb() -> DynamoDBClient:
    """Return the DynamoDB client that takes and gives Python values."""
    return _resource().meta.client


def table(name: str) -> Table:
    """Return one DynamoDB table."""
    return _resource().Table(name)


@cache
def client(service: str) -> Any:
    """Return the client of another service, such as `s3`."""
    return boto3.client(service, config=_CONFIG)  # type: ignore[call-overload]
