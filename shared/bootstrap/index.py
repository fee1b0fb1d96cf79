"""Build what operations need that only read the index."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from shared import settings
from shared.adapters import aws
from shared.adapters.dynamodb import cursor
from shared.adapters.dynamodb.index_store import IndexStore

if TYPE_CHECKING:
    from shared.domain.ports.index import Cursors


@cache
def index_store() -> IndexStore:
    """Return the index; its connections live as long as the Lambda."""
    return IndexStore(aws.dynamodb(), settings.index_table())


def cursors() -> Cursors:
    """Return what makes and reads cursors."""
    return cursor
