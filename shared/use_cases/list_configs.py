"""List the configurations of one type from the index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.node_query import NodeQuery, Page, resource_type_named

if TYPE_CHECKING:
    from shared.domain.ports.index import IndexReader
    from shared.domain.resource_type import Catalogue


def list_configs(
    catalogue: Catalogue,
    index: IndexReader,
    org_id: str,
    query: NodeQuery,
    *,
    size: int,
    cursor: str | None,
    now: float,
) -> dict[str, Any]:
    """Return a page of summaries; empty before any build and past the index's time.

    Args:
        catalogue: all resource types.
        index: where the index is kept.
        org_id: the caller's organisation.
        query: which configs, in which order.
        size: results wanted; a page may be shorter and still have a `next_cursor`.
        cursor: where the page before ended.
        now: epoch seconds.

    Raises:
        InvalidRequestError: the type is unknown, or the cursor is not one of this query.
        StorageThrottledError: the table is busy.
    """
    entry = resource_type_named(catalogue, query.type)
    state = index.find_state(org_id)
    readable = state is not None and state.has_nodes(now)
    page = index.list_nodes(org_id, query, size, cursor)
    answer: dict[str, Any] = {"type": entry.name, "label": entry.label, "icon": entry.icon}
    if not readable:
        page = Page([], None)
    if not query.is_filtered:
        answer["total"] = state.totals.get(entry.name, 0) if state is not None and readable else 0
    answer["results"] = page.results
    if page.next_cursor:
        answer["next_cursor"] = page.next_cursor
    return answer
