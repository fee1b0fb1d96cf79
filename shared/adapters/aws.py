"""The AWS clients of a process: made when first needed, one of each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource, Table

# Steps and builds work from up to 32 threads. Validating parameters on our side is a third of what a transaction costs
# the processor, and the service does it again.
_CONFIG = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 6}, parameter_validation=False)


@cache
def _resource() -> DynamoDBServiceResource:
    return boto3.resource("dynamodb", config=_CONFIG)


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
