"""Say what a configuration uses, from its live payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.edges import claimed_keys
from shared.domain.errors import DownstreamMalformedError, NotFoundError
from shared.domain.node_query import resource_type_named
from shared.domain.read_config import MAX_POINTERS, collect_candidates
from shared.domain.resource_type import ResourceKey
from shared.domain.sendable import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.index import Cursors, IndexReader
    from shared.domain.references import Identifiers
    from shared.domain.resource_type import Catalogue

_OPERATION = "getConfigDependencies"


def get_config_dependencies(
    catalogue: Catalogue,
    index: IndexReader,
    repository: ConfigRepository,
    cursors: Cursors,
    *,
    org_id: str,
    type_name: str,
    config_id: str,
    size: int,
    cursor: str | None,
    now: float,
) -> dict[str, Any]:
    """Return the indexed configs that a config's payload refers to, each with the JSON pointers of the places.

    Args:
        catalogue: all resource types.
        index: where the index is kept; it says what ids and aliases stand for.
        repository: the caller's own view of the downstream APIs.
        cursors: makes and reads cursors.
        org_id: the caller's organisation.
        type_name: type of the config.
        config_id: id of the config.
        size: results wanted.
        cursor: where the page before ended.
        now: epoch seconds.

    Returns:
        The contract's `ConfigDependenciesResponse`; `total` counts references that the index does not know, too.

    Raises:
        InvalidRequestError: the type is unknown, or the cursor is not one of this query.
        NotFoundError: the organisation has no such config.
        HubError: the downstream API throttles, fails or refuses.
    """
    entry = resource_type_named(catalogue, type_name)
    key = ResourceKey(entry.name, config_id)
    filters = {"type": type_name, "id": config_id}
    last = cursors.decode_cursor(cursor, _OPERATION, org_id, filters, 2)
    state = index.find_state(org_id)
    readable = state is not None and state.has_nodes(now)
    pointers = (
        _indexed_pointers(index, org_id, key, readable=readable)
        if entry.get is None
        else _live_pointers(catalogue, index, repository, org_id, key, readable=readable)
    )
    pointers.pop(key, None)
    summaries = index.find_summaries(org_id, list(pointers)) if readable else {}
    behind = [found for found in sorted(summaries) if tuple(found) > last]
    page = behind[:size]
    answer: dict[str, Any] = {
        "total": len(pointers),
        "results": [{**summaries[found], "pointers": list(pointers[found])[:MAX_POINTERS]} for found in page],
    }
    if len(behind) > size:
        answer["next_cursor"] = cursors.encode_cursor(_OPERATION, org_id, filters, page[-1])
    return answer


def _live_pointers(
    catalogue: Catalogue,
    index: IndexReader,
    repository: ConfigRepository,
    org_id: str,
    key: ResourceKey,
    *,
    readable: bool,
) -> dict[ResourceKey, Sequence[str]]:
    entry = catalogue[key.type]
    try:
        payload = without_secrets(entry, repository.get_config(entry, key.id))
    except (NotFoundError, DownstreamMalformedError) as error:
        raise NotFoundError(f"There is no {key.type} {key.id} in this organisation.") from error
    candidates = collect_candidates(entry, payload)
    identifiers: Identifiers = {}
    if readable:
        identifiers = index.find_identifiers(org_id, (candidate.identifier for candidate in candidates))
    pointers: dict[ResourceKey, list[str]] = {}
    for candidate, target in claimed_keys(catalogue, entry.name, candidates, identifiers):
        pointers.setdefault(target, []).extend(candidates[candidate])
    return {target: list(dict.fromkeys(places)) for target, places in pointers.items()}


def _indexed_pointers(
    index: IndexReader, org_id: str, key: ResourceKey, *, readable: bool
) -> dict[ResourceKey, Sequence[str]]:
    if not readable or not index.find_summaries(org_id, [key]):
        raise NotFoundError(f"There is no {key.type} {key.id} in the index of this organisation.")
    edges: Mapping[ResourceKey, Sequence[str]] = index.list_edges(org_id, key)
    return dict(edges)
