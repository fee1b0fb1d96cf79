"""Say how an organisation's index stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.domain.ports.index import IndexReader


def get_index(index: IndexReader, *, org_id: str, now: float) -> dict[str, Any]:
    """Return the contract's `IndexStatusResponse`, with why types are not, or not freshly, in the index.

    Raises:
        StorageThrottledError: the table is busy.
    """
    state = index.find_state(org_id)
    status = state.status_at(now) if state else "missing"
    answer = {"status": status, "org_id": org_id, **(state.facts_at(now) if state else {})}
    if state is not None and status == "failed":
        answer["error"] = state.error or "The build ended without a result: start another one."
    return answer
