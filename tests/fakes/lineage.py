"""Lineage in memory: a LineageRegistry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.domain.errors import ConflictError
from shared.domain.plan import LineageEntry
from shared.domain.resource_type import ResourceKey


class FakeLineage:
    """Entries of any organisations."""

    def __init__(self, *entries: LineageEntry) -> None:
        self.entries = list(entries)

    def list_entries(self, target_org: str, source_org: str, type_name: str | None = None) -> list[LineageEntry]:
        return [
            entry
            for entry in self.entries
            if (entry.target_org_id, entry.source_org_id) == (target_org, source_org)
            and type_name in (None, entry.type)
        ]

    def find_entries(
        self, target_org: str, source_org: str, sources: Iterable[ResourceKey]
    ) -> dict[ResourceKey, LineageEntry]:
        wanted = {*sources}
        found = {ResourceKey(one.type, one.source_id): one for one in self.list_entries(target_org, source_org)}
        return {key: entry for key, entry in found.items() if key in wanted}

    def find_entries_of(self, target_org: str, source: ResourceKey) -> list[LineageEntry]:
        return [
            entry
            for entry in self.entries
            if entry.target_org_id == target_org and ResourceKey(entry.type, entry.source_id) == source
        ]

    def find_claimed_targets(
        self, target_org: str, source_org: str, targets: Sequence[ResourceKey]
    ) -> dict[ResourceKey, ResourceKey]:
        found = {
            ResourceKey(one.type, one.target_id): ResourceKey(one.type, one.source_id)
            for one in self.list_entries(target_org, source_org)
        }
        return {key: source for key, source in found.items() if key in targets}

    def confirm_entry(self, entry: LineageEntry) -> LineageEntry:
        for other in self.list_entries(entry.target_org_id, entry.source_org_id, entry.type):
            same = (other.source_id == entry.source_id, other.target_id == entry.target_id)
            if all(same):
                return other
            if any(same):
                raise ConflictError("paired already")
        self.entries.append(entry)
        return entry

    def delete_entry(self, entry: LineageEntry) -> bool:
        if entry not in self.entries:
            return False
        self.entries.remove(entry)
        return True
