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
        """Return the build state, None before any build.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def find_summaries(self, org_id: str, configs: Sequence[ResourceKey]) -> Mapping[ResourceKey, dict[str, Any]]:
        """Return the summaries of those configs that the index has.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def list_nodes(self, org_id: str, query: NodeQuery, size: int, cursor: str | None) -> Page:
        """Return a page of nodes; a short one with a cursor where 4 MB or 2 s are used up.

        Raises:
            InvalidRequestError: the cursor is not one of this query.
            StorageThrottledError: the table is busy.
        """
        ...

    def list_used_by(self, org_id: str, config: ResourceKey, size: int, cursor: str | None) -> Page:
        """Return a page of the configs that use one, each with its `pointers`: one Query on the inverse edges.

        Raises:
            InvalidRequestError: the cursor is not one of this query.
            StorageThrottledError: the table is busy.
        """
        ...

    def load_users(
        self, org_id: str, configs: Iterable[ResourceKey]
    ) -> Mapping[ResourceKey, Sequence[Mapping[str, Any]]]:
        """Return type, id and title of what uses each of many configs; those that nothing uses are left out.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def list_edges(self, org_id: str, config: ResourceKey) -> Mapping[ResourceKey, Sequence[str]]:
        """Return what a config uses, with the JSON pointers of the places.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def find_identifiers(self, org_id: str, values: Iterable[str]) -> Identifiers:
        """Return what the given ids and aliases stand for.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...


class IndexWriter(IndexReader, Protocol):
    """The index as builds see it. Every method raises StorageThrottledError."""

    def start_build(
        self, org_id: str, build_token: str, lease_until: float, debounce_s: float, event: Mapping[str, Any] = ...
    ) -> bool:
        """Make a build the latest one, which is about to be invoked with an event.

        What an earlier success found stays readable, unless its time is over.

        Returns:
            False where another build has begun less than `debounce_s` ago and still runs.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def extend_lease(
        self, org_id: str, build_token: str, lease_until: float, event: Mapping[str, Any] | None = None
    ) -> IndexState | None:
        """Say that the build is worked on until a point in time (epoch seconds); None where it is not the latest one.

        Args:
            org_id: whose index.
            build_token: the build.
            lease_until: until when.
            event: what its next invocation is about to be started with; by default that is known already.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def is_latest(self, org_id: str, build_token: str) -> bool:
        """Tell whether no newer build has begun.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def finish_build(self, org_id: str, build_token: str, user_id: str, result: BuildResult) -> bool:
        """Record the success of a build; False where it is not the latest one.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def fail_build(self, org_id: str, build_token: str, error: str) -> None:
        """Record why a build failed, if it is the latest one.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def load_partition(self, org_id: str, partition: Partition) -> Mapping[ItemKey, StoredItem]:
        """Return all items of a partition, strongly consistent; contents only of identifiers.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def load_blueprints(self, org_id: str, type_name: str) -> Mapping[ResourceKey, Sequence[Blueprint]]:
        """Return the blueprints of all nodes of a type that have any.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ...

    def apply(self, org_id: str, build_token: str, user_id: str, changes: Changes) -> Iterator[int]:
        """Write changes, each item on condition that no newer build wrote it.

        Yields:
            How many are done, after every round of writes.

        Raises:
            SupersededError: a newer build wrote an item.
            StorageThrottledError: the table is busy.
        """
        ...


class Checkpoints(Protocol):
    """JSON values by key, kept for some days."""

    def put(self, key: str, value: Any) -> None:
        """Store a JSON value, over the one that is there.

        Raises:
            PayloadTooLargeError: the value has over 64 MB, or the key over 1,024 bytes.
        """
        ...

    def get(self, key: str) -> Any:
        """Return a stored value.

        Raises:
            NotFoundError: there is none under this key.
        """
        ...

    def delete(self, prefix: str) -> None:
        """Delete every object whose key begins with the prefix.

        Raises:
            ValueError: the prefix is empty.
        """
        ...
