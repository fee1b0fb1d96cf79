"""Storage of lineage: which target config a source config became."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.domain.job import Job
    from shared.domain.plan import LineageEntry
    from shared.domain.resource_type import ResourceKey
    from shared.domain.row_commit import Claim


class Lineage(Protocol):
    """Which target config a source config became."""

    def find_entries(
        self, target_org: str, source_org: str, sources: Iterable[ResourceKey]
    ) -> dict[ResourceKey, LineageEntry]:
        """Return the entries of source configs."""
        ...

    def find_inactive(self, target_org: str, source_org: str, sources: Iterable[ResourceKey]) -> set[ResourceKey]:
        """Return the source configs whose target was created inactive and waits to be activated."""
        ...

    def find_claimed_targets(
        self, target_org: str, source_org: str, targets: Sequence[ResourceKey]
    ) -> dict[ResourceKey, ResourceKey]:
        """Return target -> source of those targets that lineage claims."""
        ...

    def find_claims(self, target_org: str, source_org: str, sources: Iterable[ResourceKey]) -> dict[ResourceKey, Claim]:
        """Return the claims on source configs, whether they have run out or not."""
        ...

    def find_target_claims(self, target_org: str, targets: Iterable[ResourceKey]) -> dict[ResourceKey, Claim]:
        """Return the claims on target configs, whether they have run out or not."""
        ...

    def settle_claim(self, job: Job, claim: Claim, entry: LineageEntry | None, *, inactive: bool) -> None:
        """Let go of a claim of an ended job, and record what it made, if anything.

        Args:
            job: the job whose claim it is.
            claim: as it was read; one that somebody else has settled or taken meanwhile is left alone.
            entry: the lineage of what was made.
            inactive: it waits to be activated.
        """
        ...

    def give_up_claim(self, job: Job, claim: Claim) -> None:
        """Let others take a claim of a running job over once its lease has ended; at once where that is so already.

        Args:
            job: the job whose claim it is, and which may have written under it.
            claim: as it was read; one that somebody else has taken meanwhile is left alone.
        """
        ...

    def put_entries(self, entries: Iterable[LineageEntry]) -> list[LineageEntry]:
        """Write entries that no commit of a row carries.

        Returns:
            Those that were refused, because their target is another source config's already.
        """
        ...


class LineageRegistry(Protocol):
    """Which target config a source config became. Every method raises StorageThrottledError."""

    def list_entries(self, target_org: str, source_org: str, type_name: str | None = None) -> list[LineageEntry]:
        """Return the entries of a pair of organisations, of one type where one is given."""
        ...

    def find_entries(
        self, target_org: str, source_org: str, sources: Iterable[ResourceKey]
    ) -> dict[ResourceKey, LineageEntry]:
        """Return the entries of source configs; those that have none are left out."""
        ...

    def find_entries_of(self, target_org: str, source: ResourceKey) -> list[LineageEntry]:
        """Return the entries of a source id, over all source organisations."""
        ...

    def find_claimed_targets(
        self, target_org: str, source_org: str, targets: Sequence[ResourceKey]
    ) -> dict[ResourceKey, ResourceKey]:
        """Return, of the given target configs, those that a source config became, with that source config."""
        ...

    def confirm_entry(self, entry: LineageEntry) -> LineageEntry:
        """Write an entry that a person confirmed; an equal one stays unchanged.

        Returns:
            The stored entry.

        Raises:
            ConflictError: the source config has another target, or the target is another source config's already.
        """
        ...

    def delete_entry(self, entry: LineageEntry) -> bool:
        """Delete an entry and what makes its target unique; False where it is gone or names another target by now."""
        ...
