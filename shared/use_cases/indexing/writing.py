"""Write the index of an organisation: what changed of nodes, edges and identifiers, partition by partition."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from shared.domain.edges import edges_of, identifiers_of
from shared.domain.index_items import (
    Changes,
    Content,
    ItemKey,
    ItemKind,
    Partition,
    StoredItem,
    edge_items,
    identified_in,
    identifier_items,
    node_items,
    plan_changes,
    used_by_items,
)
from shared.domain.index_state import BuildResult, SupersededError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from shared.domain.config_node import Edge
    from shared.domain.read_config import (
        ReadConfig,
    )
    from shared.domain.references import Identified
    from shared.domain.resource_type import ResourceType
    from shared.use_cases.indexing.build_run import Build

_PARTITIONS_AT_ONCE = 8


class Writing:
    """The last stage of a build.

    Args:
        build: what was read.
    """

    def __init__(self, build: Build) -> None:
        self._build = build

    def write(self) -> None:
        """Write what changed, and record the success of the build."""
        configs = [
            config
            for reading in self._build.readings.values()
            if not reading.failure
            for config in reading.configs.values()
        ]
        nodes = {config.key: config.node for config in configs}
        stored = self._build.index.load_partition(self._build.run.org_id, Partition(ItemKind.IDENTIFIER))
        identifiers: dict[str, list[Identified]] = identifiers_of(configs)
        known = set(nodes)
        for key, item in stored.items():
            for one in identified_in(item.content) if item.content else ():
                if one.key not in nodes and self._build.is_kept(one.key):
                    identifiers.setdefault(key[1], []).append(one)
                    known.add(one.key)

        by_type: dict[str, list[ReadConfig]] = {}
        edges: dict[str, list[Edge]] = {}
        inverse: dict[str, list[Edge]] = {}
        for config in configs:
            by_type.setdefault(config.key.type, []).append(config)
            for edge in edges_of(self._build.catalogue, config.key, config.candidates, identifiers, known.__contains__):
                edges.setdefault(edge.source.type, []).append(edge)
                inverse.setdefault(edge.target.type, []).append(edge)

        totals = dict.fromkeys(self._build.catalogue, 0)
        for partition, held in self._load_partitions():
            name = partition.type
            if partition.kind == ItemKind.NODE:
                desired = node_items(by_type.get(name, ())) | edge_items(edges.get(name, ()))
            elif partition.kind == ItemKind.USED_BY:
                desired = used_by_items(inverse.get(name, ()), nodes)
            else:
                desired = identifier_items(identifiers)
            changes = self._apply(desired, stored if partition.kind == ItemKind.IDENTIFIER else held)
            if partition.kind == ItemKind.NODE:
                kept = sum(key[0] == ItemKind.NODE for key in changes.kept)
                totals[name] = len(by_type.get(name, ())) + kept
        self._finish(totals)

    def _load_partitions(self) -> Iterator[tuple[Partition, Mapping[ItemKey, StoredItem]]]:
        """Yield what every partition holds, nodes before inverse edges before identifiers, reading some ahead."""
        partitions = [
            Partition(kind, name) for kind in (ItemKind.NODE, ItemKind.USED_BY) for name in self._build.catalogue
        ]
        with ThreadPoolExecutor(_PARTITIONS_AT_ONCE) as pool:
            held = pool.map(
                lambda partition: self._build.index.load_partition(self._build.run.org_id, partition), partitions
            )
            yield from zip(partitions, held, strict=True)
        yield Partition(ItemKind.IDENTIFIER), {}

    def _apply(self, desired: Mapping[ItemKey, Content], stored: Mapping[ItemKey, StoredItem]) -> Changes:
        changes = plan_changes(desired, stored, self._build.is_kept, self._build.now())
        if changes:
            self._build.check()
            for _ in self._build.index.apply(
                self._build.run.org_id, self._build.run.build_token, self._build.run.user_id, changes
            ):
                self._build.check()
            self._build.report.writes += len(changes)
        return changes

    def _finish(self, totals: Mapping[str, int]) -> None:
        failed = {name: reading.failure for name, reading in self._build.readings.items() if reading.failure}
        result = BuildResult(
            totals={name: total for name, total in totals.items() if total},
            failed_types=failed,
            not_listed={
                name: _why_not_listed(entry) for name, entry in self._build.catalogue.items() if not entry.list
            },
            capped={name: totals[name] for name, reading in self._build.readings.items() if reading.capped},
        )
        if not self._build.index.finish_build(
            self._build.run.org_id, self._build.run.build_token, self._build.run.user_id, result
        ):
            raise SupersededError("A newer build of this index has begun.")
        self._build.report.indexed = sum(totals.values())
        self._build.report.failed_types = failed


def _why_not_listed(entry: ResourceType) -> str:
    return entry.missing.get("list", "Its API has no list.")
