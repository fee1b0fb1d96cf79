"""Build the stores of lineage and of what syncs remember."""

from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb.lineage_store import LineageStore
from shared.adapters.dynamodb.memory_store import MemoryStore
from shared.adapters.payloads import PayloadStore


@cache
def lineage_store() -> LineageStore:
    """Return which target config a source config became."""
    return LineageStore(aws.dynamodb(), settings.lineage_table())


@cache
def memory_store() -> MemoryStore:
    """Return contents by their hashes."""
    payloads = PayloadStore(aws.client("s3"), settings.payload_bucket())
    return MemoryStore(aws.dynamodb(), settings.memory_table(), payloads)
