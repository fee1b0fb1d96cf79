"""Build what operations need that only read the index."""

from __future__ import annotations

from functools import cache

import boto3
from botocore.config import Config

from shared import settings
from shared.adapters.dynamodb.index_store import IndexStore

# A build reads partitions and writes items from eight threads each.
_CONNECTIONS = 20
_TRIES = 6


@cache
def index_store() -> IndexStore:
    """Return the index; its connections live as long as the Lambda."""
    config = Config(max_pool_connections=_CONNECTIONS, retries={"mode": "standard", "max_attempts": _TRIES})
    return IndexStore(boto3.resource("dynamodb", config=config).meta.client, settings.index_table())
