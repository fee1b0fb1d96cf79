"""Build what starting an index build needs."""

from __future__ import annotations

from functools import cache

import boto3

from shared import settings
from shared.adapters.credentials import CredentialsStore
from shared.adapters.functions import AsyncFunction


@cache
def credentials_store() -> CredentialsStore:
    """Return the tokens of runs."""
    table = boto3.resource("dynamodb").Table(settings.credentials_table())
    return CredentialsStore(table, boto3.client("kms"), settings.credentials_key_id())


@cache
def build_index_function() -> AsyncFunction:
    """Return the Lambda that builds indexes."""
    return AsyncFunction(boto3.client("lambda"), settings.build_index_function())
