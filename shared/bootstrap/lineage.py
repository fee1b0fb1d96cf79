"""Build the store of lineage."""

from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.lineage_store import LineageStore


@cache
def lineage_store() -> LineageStore:
    """Return which target config a source config became."""
    return LineageStore(aws.dynamodb(), settings.lineage_table())
