"""What the use cases of the index need of its storage, as protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shared.domain.config_node import Blueprint
    from shared.domain.index_items import Changes, ItemKey, Partition, StoredItem
    from shared.domain.index_state import BuildResult, IndexState
    from shared.domain.node_query import NodeQuery, Page
    from shared.domain.references import Identifiers
    from shared.domain.resource_type import ResourceKey


class Cursors(Protocol):
    """Opaque cursors: only the operation, organisation and filters that made one can read it."""

    def encode_cursor(self, operation: str, org_id: str, filters: Mapping[str, Any], last: Sequence[str]) -> str:
        """Return a cursor that continues behind `last`."""
        ...

    def decode_cursor(
        self, cursor: str | None, operation: str, org_id: str, filters: Mapping[str, Any], parts: int
    ) -> tuple[str, ...]:
        """Return the `last` of so many parts that `encode_cursor` was given, empty without a cursor.

        Raises InvalidRequestError.
        """
        ...


class IndexReader(Protocol):
    """The index as reads see it. Every method raises StorageThrottledError."""

    def find_state(self, org_id: str) -> IndexState | None:
        """Return the build state, None before any build."""
        ...

    def find_summaries(self, org_id: str, configs: Sequence[ResourceKey]) -> Mapping[ResourceKey, dict[str, Any]]:
        """Return the summaries of those configs that the index has."""
        ...

    def list_nodes(self, org_id: str, query: NodeQuery, size: int, cursor: str | None) -> Page:
        """Return a page of nodes; short where 4 MB or 2 s are used up. Raises InvalidRequestError."""
        ...

    def list_used_by(self, org_id: str, config: ResourceKey, size: int, cursor: str | None) -> Page:
        """Return a page of the configs that use one, each with its `pointers`. Raises InvalidRequestError."""
        ...

    def load_users(
        self, org_id: str, configs: Iterable[ResourceKey]
    ) -> Mapping[ResourceKey, Sequence[Mapping[str, Any]]]:
        """Return type, id and title of what uses each of many configs; those that nothing uses are left out."""
        ...

    def list_edges(self, org_id: str, config: ResourceKey) -> Mapping[ResourceKey, Sequence[str]]:
        """Return what a config uses, with the JSON pointers of the places."""
        ...

    def find_identifiers(self, org_id: str, values: Iterable[str]) -> Identifiers:
        """Return what the given ids and aliases stand for."""
        ...


class IndexWriter(IndexReader, Protocol):
    """The index as builds see it. Every method raises StorageThrottledError."""

    def start_build(
        self, org_id: str, build_token: str, lease_until: float, debounce_s: float, event: Mapping[str, Any] = ...
    ) -> bool:
        """Make a build the latest one; False where another has begun less than `debounce_s` ago and still runs."""
        ...

    def extend_lease(
        self, org_id: str, build_token: str, lease_until: float, event: Mapping[str, Any] | None = None
    ) -> IndexState | None:
        """Say that the build is worked on, or waits with an event; None where it is not the latest one."""
        ...

    def is_latest(self, org_id: str, build_token: str) -> bool:
        """Tell whether no newer build has begun."""
        ...

    def finish_build(self, org_id: str, build_token: str, user_id: str, result: BuildResult) -> bool:
        """Record the success of a build; False where it is not the latest one."""
        ...

    def fail_build(self, org_id: str, build_token: str, error: str) -> None:
        """Record why a build failed, if it is the latest one."""
        ...

    def load_partition(self, org_id: str, partition: Partition) -> Mapping[ItemKey, StoredItem]:
        """Return all items of a partition, strongly consistent; contents only of identifiers."""
        ...

    def load_blueprints(self, org_id: str, type_name: str) -> Mapping[ResourceKey, Sequence[Blueprint]]:
        """Return the blueprints of all nodes of a type that have any."""
        ...

    def apply(self, org_id: str, build_token: str, user_id: str, changes: Changes) -> Iterator[int]:
        """Write changes, each item on condition that no newer build wrote it; yield after every round of writes.

        Raises:
            SupersededError: a newer build wrote an item.
        """
        ...


class Checkpoints(Protocol):
    """JSON values by key, kept for some days."""

    def put(self, key: str, value: Any) -> None:
        """Store a value."""
        ...

    def get(self, key: str) -> Any:
        """Return a stored value. Raises NotFoundError."""
        ...

    def delete(self, prefix: str) -> None:
        """Forget all values whose keys begin so."""
        ...
