"""The index in memory: an IndexWriter that counts its writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from shared.domain.config_node import Blueprint
from shared.domain.index_items import ITEM_LIFETIME_S, Changes, ItemKey, ItemKind, Partition, StoredItem, identified_in
from shared.domain.index_state import INDEX_LIFETIME_S, BuildResult, BuildStatus, IndexState, SupersededError
from shared.domain.node_query import NodeQuery, Page
from shared.domain.references import Identifiers
from shared.domain.resource_type import ResourceKey
from tests.fakes.api import Clock


class FakeIndex:
    """One organisation's index.

    Attributes:
        items: key -> (content, digest, build, expires_at, seen_by).
        writes: items put, touched or deleted so far.
        before_apply: called before every round of writes.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.state: IndexState | None = None
        self.items: dict[ItemKey, dict[str, Any]] = {}
        self.writes = 0
        self.before_apply = lambda: None

    # reads

    def find_state(self, org_id: str) -> IndexState | None:
        return self.state

    def find_summaries(self, org_id: str, configs: Sequence[ResourceKey]) -> Mapping[ResourceKey, dict[str, Any]]:
        found = {config: self.items.get((ItemKind.NODE, *config)) for config in configs}
        return {config: item["content"]["summary"] for config, item in found.items() if item}

    def list_nodes(self, org_id: str, query: NodeQuery, size: int, cursor: str | None) -> Page:
        keys = sorted(key for key in self.items if key[:2] == (ItemKind.NODE, query.type))
        return Page([self.items[key]["content"]["summary"] for key in keys][:size], None)

    def list_used_by(self, org_id: str, config: ResourceKey, size: int, cursor: str | None) -> Page:
        keys = sorted(key for key in self.items if key[:3] == (ItemKind.USED_BY, *config))
        contents = [self.items[key]["content"] for key in keys]
        return Page([{**one["summary"], "pointers": one["pointers"]} for one in contents][:size], None)

    def load_users(
        self, org_id: str, configs: Iterable[ResourceKey]
    ) -> Mapping[ResourceKey, Sequence[Mapping[str, Any]]]:
        pages = {config: self.list_used_by(org_id, config, len(self.items), None) for config in configs}
        return {config: page.results for config, page in pages.items() if page.results}

    def list_edges(self, org_id: str, config: ResourceKey) -> Mapping[ResourceKey, Sequence[str]]:
        keys = [key for key in self.items if key[:3] == (ItemKind.EDGE, *config)]
        return {ResourceKey(*key[3:5]): self.items[key]["content"]["pointers"] for key in keys}

    def find_identifiers(self, org_id: str, values: Iterable[str]) -> Identifiers:
        found = {value: self.items.get((ItemKind.IDENTIFIER, value)) for value in values}
        return {value: identified_in(item["content"]) for value, item in found.items() if item}

    # builds

    def start_build(
        self,
        org_id: str,
        build_token: str,
        lease_until: float,
        debounce_s: float,
        event: Mapping[str, Any] = MappingProxyType({}),
    ) -> bool:
        now, state = self.clock(), self.state
        if state is not None and state.is_building(now) and state.started_at > now - debounce_s:
            return False
        state = state or IndexState(build_token="", status="")
        self.state = replace(
            state,
            build_token=build_token,
            status=BuildStatus.BUILDING,
            started_at=now,
            lease_until=lease_until,
            event=event,
        )
        return True

    def extend_lease(
        self, org_id: str, build_token: str, lease_until: float, event: Mapping[str, Any] | None = None
    ) -> IndexState | None:
        if not self.is_latest(org_id, build_token):
            return None
        assert self.state is not None
        self.state = replace(
            self.state, lease_until=lease_until, status=BuildStatus.BUILDING, event=event or self.state.event
        )
        return self.state

    def is_latest(self, org_id: str, build_token: str) -> bool:
        return self.state is not None and self.state.build_token == build_token

    def finish_build(self, org_id: str, build_token: str, user_id: str, result: BuildResult) -> bool:
        if not self.is_latest(org_id, build_token):
            return False
        assert self.state is not None
        self.state = replace(
            self.state,
            status=BuildStatus.READY,
            last_built_at="2026-03-01T08:00:00.000Z",
            expires_at=int(self.clock()) + INDEX_LIFETIME_S,
            built_by=user_id,
            totals=result.totals,
            failed_types=result.failed_types,
            not_listed=result.not_listed,
            capped=result.capped,
        )
        return True

    def fail_build(self, org_id: str, build_token: str, error: str) -> None:
        if self.state is not None and self.is_latest(org_id, build_token):
            self.state = replace(self.state, status=BuildStatus.FAILED, error=error)

    def load_partition(self, org_id: str, partition: Partition) -> Mapping[ItemKey, StoredItem]:
        kinds = {ItemKind.NODE, ItemKind.EDGE} if partition.kind == ItemKind.NODE else {partition.kind}
        return {
            key: StoredItem(
                digest=item["digest"],
                expires_at=item["expires_at"],
                seen_by=item["seen_by"],
                content=item["content"] if key[0] == ItemKind.IDENTIFIER else None,
            )
            for key, item in self.items.items()
            if key[0] in kinds and partition.type in ("", key[1])
        }

    def load_blueprints(self, org_id: str, type_name: str) -> Mapping[ResourceKey, Sequence[Blueprint]]:
        summaries = [item["content"]["summary"] for key, item in self.items.items() if key[0] == ItemKind.NODE]
        return {
            ResourceKey(type_name, one["id"]): [Blueprint(**blueprint) for blueprint in one["blueprints"]]
            for one in summaries
            if one["type"] == type_name and "blueprints" in one
        }

    def apply(self, org_id: str, build_token: str, user_id: str, changes: Changes) -> Iterator[int]:
        self.before_apply()
        touched = [*(key for key, _, _ in changes.puts), *changes.touches, *changes.deletes]
        if any(key in self.items and self.items[key]["build"] > build_token for key in touched):
            raise SupersededError("A newer build of this index has begun.")
        expires_at = int(self.clock()) + ITEM_LIFETIME_S
        for key, content, digest in changes.puts:
            stamp = {"build": build_token, "expires_at": expires_at, "seen_by": user_id}
            self.items[key] = {"content": content, "digest": digest, **stamp}
        for key in changes.touches:
            self.items[key] |= {"build": build_token, "expires_at": expires_at}
        for key in changes.deletes:
            del self.items[key]
        self.writes += len(touched)
        yield len(touched)
