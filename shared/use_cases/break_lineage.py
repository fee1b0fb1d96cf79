"""Forget which config of the caller a config of another organisation is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.errors import ConflictError, NotFoundError
from shared.domain.index import resource_type_named
from shared.domain.resource_type import ResourceKey

if TYPE_CHECKING:
    from shared.domain.resource_type import Catalogue
    from shared.use_cases.lineage_ports import LineageRegistry


def break_lineage(
    catalogue: Catalogue,
    lineage: LineageRegistry,
    *,
    org_id: str,
    type_name: str,
    source_id: str,
    source_org_id: str | None = None,
) -> dict[str, bool]:
    """Delete the lineage entry of a source config into the caller's organisation.

    Args:
        catalogue: all resource types.
        lineage: where the entry is.
        org_id: the caller's organisation, the target of the entry.
        type_name: type of the config.
        source_id: its id in the source organisation.
        source_org_id: the source organisation; needed only where several share the id, as slugs do.

    Returns:
        The contract's `BreakLineageResponse`.

    Raises:
        InvalidRequestError: the type is unknown.
        NotFoundError: there is no such entry.
        ConflictError: entries of several source organisations have this id; the message names them.
    """
    source = ResourceKey(resource_type_named(catalogue, type_name).name, source_id)
    entries = [
        entry for entry in lineage.find_entries_of(org_id, source) if source_org_id in (None, entry.source_org_id)
    ]
    if len(entries) > 1:
        named = ", ".join(sorted(entry.source_org_id for entry in entries))
        raise ConflictError(
            f"source_org_id: is needed, since several source organisations have a {source.type} {source_id}: {named}."
        )
    if not entries or not lineage.delete_entry(entries[0]):
        raise NotFoundError(f"There is no lineage entry for {source.type} {source_id} in this organisation.")
    return {"deleted": True}
