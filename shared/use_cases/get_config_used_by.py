"""Say what uses a configuration, from the index alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.errors import NotFoundError
from shared.domain.node_query import resource_type_named
from shared.domain.resource_type import ResourceKey

if TYPE_CHECKING:
    from shared.domain.ports.index import IndexReader
    from shared.domain.resource_type import Catalogue

DEFAULT_SIZE = 1_000
MAX_SIZE = 1_000


def get_config_used_by(
    catalogue: Catalogue,
    index: IndexReader,
    *,
    org_id: str,
    type_name: str,
    config_id: str,
    size: int,
    cursor: str | None,
    now: float,
) -> dict[str, Any]:
    """Return the configs that use one, each with the JSON pointers of the places.

    The cost is that of the answer: one Query. Only where nothing uses the config is it looked up itself.

    Args:
        catalogue: all resource types.
        index: where the index is kept.
        org_id: the caller's organisation.
        type_name: type of the config.
        config_id: id of the config.
        size: results wanted.
        cursor: where the page before ended.
        now: epoch seconds.

    Raises:
        InvalidRequestError: the type is unknown, or the cursor is not one of this query.
        NotFoundError: the organisation's index has no such config.
        StorageThrottledError: the table is busy.
    """
    key = ResourceKey(resource_type_named(catalogue, type_name).name, config_id)
    page = index.list_used_by(org_id, key, size, cursor)
    state = index.find_state(org_id)
    readable = state is not None and state.has_nodes(now)
    if not readable or (not page.results and not cursor and not index.find_summaries(org_id, [key])):
        raise NotFoundError(f"There is no {type_name} {config_id} in the index of this organisation.")
    answer: dict[str, Any] = {"results": page.results}
    if page.next_cursor:
        answer["next_cursor"] = page.next_cursor
    elif not cursor:
        answer["total"] = len(page.results)
    return answer
