"""What the operations on lineage need of its storage, as a protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.domain.plan import LineageEntry
    from shared.domain.resource_type import ResourceKey


class LineageRegistry(Protocol):
    """Which target config a source config became. Every method raises StorageThrottledError."""

    def list_entries(self, target_org: str, source_org: str, type_name: str | None = None) -> list[LineageEntry]:
        """Return the entries of a pair of organisations, of one type where one is given."""
        ...

    def find_entries(
        self, target_org: str, source_org: str, sources: Iterable[ResourceKey]
    ) -> dict[ResourceKey, LineageEntry]:
        """Return the entries of source configs."""
        ...

    def find_entries_of(self, target_org: str, source: ResourceKey) -> list[LineageEntry]:
        """Return the entries of a source id, over all source organisations."""
        ...

    def find_claimed_targets(
        self, target_org: str, source_org: str, targets: Sequence[ResourceKey]
    ) -> dict[ResourceKey, ResourceKey]:
        """Return target -> source of those targets that lineage claims."""
        ...

    def confirm_entry(self, entry: LineageEntry) -> LineageEntry:
        """Write an entry that a person confirmed; return the stored one. Raises ConflictError."""
        ...

    def delete_entry(self, entry: LineageEntry) -> bool:
        """Delete an entry; False where it is gone or names another target by now."""
        ...
