"""Build what operations need that only read the index."""

from __future__ import annotations

from functools import cache

import boto3

from shared import settings
from shared.adapters.dynamodb.index_store import IndexStore


@cache
def index_store() -> IndexStore:
    """Return the index; its connections live as long as the Lambda."""
    return IndexStore(boto3.resource("dynamodb").meta.client, settings.index_table())
