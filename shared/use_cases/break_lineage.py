"""Forget which config of the caller a config of another organisation is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.errors import ConflictError, NotFoundError
from shared.domain.node_query import resource_type_named
from shared.domain.resource_type import ResourceKey
from shared.use_cases.reading.check_rights import check_may_update

if TYPE_CHECKING:
    from shared.domain.plan import LineageEntry
    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.lineage import LineageRegistry
    from shared.domain.resource_type import Catalogue


def break_lineage(
    catalogue: Catalogue,
    lineage: LineageRegistry,
    current: ConfigRepository,
    *,
    type_name: str,
    source_id: str,
    source_org_id: str | None = None,
) -> dict[str, bool]:
    """Delete the lineage entry of a source config into the caller's organisation, and that of the way back.

    One that only a sync of the way back made is deleted where the source organisation is stated.

    Args:
        catalogue: all resource types.
        lineage: where the entry is.
        current: the caller's organisation, the target of the entry.
        type_name: type of the config.
        source_id: its id in the source organisation.
        source_org_id: the source organisation; needed where several share the id, as slugs do.

    Returns:
        The contract's `BreakLineageResponse`.

    Raises:
        InvalidRequestError: the type is unknown.
        NotFoundError: there is no such entry.
        ForbiddenError: the caller may not change the config that it names.
        ConflictError: entries of several source organisations have this id; the message names them.
    """
    resource_type = resource_type_named(catalogue, type_name)
    source, org_id = ResourceKey(resource_type.name, source_id), current.org_id
    entries = [
        entry for entry in lineage.find_entries_of(org_id, source) if source_org_id in (None, entry.source_org_id)
    ]
    if len(entries) > 1:
        named = ", ".join(sorted(entry.source_org_id for entry in entries))
        raise ConflictError(
            f"source_org_id: is needed, since several source organisations have a {source.type} {source_id}: {named}."
        )
    other_org = entries[0].source_org_id if entries else source_org_id
    way_back = _find_way_back(lineage, org_id, source, other_org) if other_org is not None else None
    if way_back is not None and all(entry.target_id == way_back.source_id for entry in entries):
        # It goes first: where this breaks off in between, a repeat still finds the rest.
        entries.insert(0, way_back)
    for mine in {entry.target_id if entry.target_org_id == org_id else entry.source_id for entry in entries}:
        check_may_update(current, resource_type, mine)
    deleted = [lineage.delete_entry(entry) for entry in entries]
    if not any(deleted):
        raise NotFoundError(f"There is no lineage entry for {source.type} {source_id} in this organisation.")
    return {"deleted": True}


def _find_way_back(lineage: LineageRegistry, org_id: str, source: ResourceKey, other_org: str) -> LineageEntry | None:
    """Return the entry by which a config of the other organisation is what one of this organisation became there."""
    mine = lineage.find_claimed_targets(other_org, org_id, [source]).get(source)
    return lineage.find_entries(other_org, org_id, [mine]).get(mine) if mine is not None else None
