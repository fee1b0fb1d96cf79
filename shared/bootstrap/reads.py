"""Build what operations need that only read the index."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb import cursor
from shared.adapters.dynamodb.index_store import IndexStore
from shared.observability import record

if TYPE_CHECKING:
    from shared.domain.index_ports import Cursors


@cache
def index_store() -> IndexStore:
    """Return the index; its connections live as long as the Lambda."""
    return IndexStore(aws.dynamodb(), settings.index_table())


def record_age(answer: dict[str, Any], now: float) -> dict[str, Any]:
    """Record how old the index is that a caller was told about; return the answer as it came."""
    if built_at := answer.get("last_built_at"):
        record("IndexAge", max(0.0, now - datetime.fromisoformat(built_at).timestamp()))
    return answer


def cursors() -> Cursors:
    """Return what makes and reads cursors."""
    return cursor
