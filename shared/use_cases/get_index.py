"""Say how an organisation's index stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.domain.index import IndexState
    from shared.domain.index_ports import IndexReader


def get_index(index: IndexReader, *, org_id: str, now: float) -> dict[str, Any]:
    """Return the contract's `IndexStatusResponse`, with why types are not, or not freshly, in the index.

    Raises:
        StorageThrottledError: the table is busy.
    """
    state = index.find_state(org_id)
    status = state.status_at(now) if state else "missing"
    answer = {"status": status, "org_id": org_id, **facts_of(state, now)}
    if state is not None and status == "failed":
        answer["error"] = state.error or "The build ended without a result: start another one."
    return answer


def facts_of(state: IndexState | None, now: float) -> dict[str, Any]:
    """Return what the last success found, as both answers about the index say it; nothing where its time is over."""
    if state is None or not state.has_nodes(now):
        return {}
    facts = {
        "last_built_at": state.last_built_at,
        "total_items": state.total_items,
        "build_duration_ms": state.build_duration_ms,
        "failed_types": sorted(state.failed_types),
        "failures": dict(state.failed_types),
        "skipped_types": [{"type": name, "reason": reason} for name, reason in sorted(state.not_listed.items())],
        "totals": dict(state.totals),
    }
    if state.capped:
        facts["capped_types"] = dict(state.capped)
    return {name: value for name, value in facts.items() if value is not None}
