"""Items of the index, their keys, and the state of a build, as IndexTable holds them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.requests import stored
from shared.domain.index_items import Content, ItemKey, ItemKind, Partition
from shared.domain.index_state import BuildStatus, IndexStanding, IndexState
from shared.domain.resource_type import ResourceKey

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_state(item: Mapping[str, Any]) -> IndexState:
    """Return the state of an index, given its item."""
    return IndexState(
        build_token=item.get("build_token", ""),
        status=item.get("status", BuildStatus.FAILED),
        started_at=float(item.get("started_at", 0)),
        lease_until=float(item.get("lease_until", 0)),
        expires_at=int(item["expires_at"]) if "expires_at" in item else None,
        last_built_at=item.get("last_built_at"),
        build_duration_ms=int(item["build_duration_ms"]) if "build_duration_ms" in item else None,
        totals={name: int(total) for name, total in item.get("totals", {}).items()},
        failed_types=item.get("failed_types", {}),
        not_listed=item.get("not_listed", {}),
        capped={name: int(total) for name, total in item.get("capped", {}).items()},
        built_by=item.get("built_by", ""),
        error=item.get("error", ""),
        event={
            key: int(value) if isinstance(value, Decimal) else value for key, value in item.get("event", {}).items()
        },
    )


def read_standing(item: Mapping[str, Any]) -> IndexStanding:
    """Return what the health check has to know of an index, given its item in the `by_standing` index."""
    built_at = item.get("last_built_at")
    return IndexStanding(
        org_id=keys.split(item["pk"])[1],
        status=item["status"],
        size=item.get("size_class", ""),
        started_at=float(item["started_at"]),
        lease_until=float(item.get("lease_until", 0)),
        succeeded_at=datetime.fromisoformat(built_at).timestamp() if built_at else None,
    )


def partition_key(org_id: str, partition: Partition) -> str:
    """Return the partition key under which a part of the index is stored."""
    if partition.kind == ItemKind.IDENTIFIER:
        return keys.identifiers_partition(org_id)
    build = keys.used_by_partition if partition.kind == ItemKind.USED_BY else keys.type_partition
    return build(org_id, partition.type)


def item_key(partition: Partition, sort_key: str) -> ItemKey:
    """Return the key of an item of the index, given its sort key."""
    parts = keys.split(sort_key)
    if partition.kind == ItemKind.IDENTIFIER:
        return (ItemKind.IDENTIFIER, parts[0])
    if partition.kind == ItemKind.USED_BY:
        return (ItemKind.USED_BY, partition.type, *parts)
    kind = ItemKind.NODE if parts[0] == "NODE" else ItemKind.EDGE
    return (kind, partition.type, *parts[1:])


def table_key(org_id: str, key: ItemKey) -> keys.Key:
    """Return partition and sort key of an item of the index."""
    if key[0] == ItemKind.IDENTIFIER:
        return keys.identifier(org_id, key[1])
    first = ResourceKey(*key[1:3])
    if key[0] == ItemKind.NODE:
        return keys.node(org_id, first)
    build = keys.used_by if key[0] == ItemKind.USED_BY else keys.edge
    return build(org_id, first, ResourceKey(*key[3:5]))


def attributes_of(key: ItemKey, content: Content) -> dict[str, Any]:
    """Return what is stored of an item: its content, and of a node what it is sorted by."""
    attributes: dict[str, Any] = {name: stored(value) for name, value in content.items() if value is not None}
    if key[0] == ItemKind.NODE:
        summary = content["summary"]
        attributes |= {
            "updated_key": keys.updated_key(summary.get("updated_at"), key[2]),
            "name_key": keys.name_key(summary["title"], key[2]),
            "usage_key": keys.usage_key(content["usage"], key[2]),
        }
    return attributes
