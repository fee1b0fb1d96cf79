"""What a sync job will do, decided before the first write: purely from sources, target, lineage and catalogue.

sources + identifiers --matching--> an action per resource --graph--> generations --> batches
                               +--> a resolution per reference  (domain.remap builds bodies from them)
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from shared.domain.api_operation import Removal
from shared.domain.errors import (
    CycleNotBreakableError,
    DanglingReferenceError,
    DependencyFailedError,
    DependencyNotSelectedError,
    OperationUnsupportedError,
)
from shared.domain.fingerprint import agree, canonical, equal_where_sent, fingerprint
from shared.domain.graph import CHEAP, REQUIRED, Order, order
from shared.domain.job import Activation, MatchMode
from shared.domain.links import Link, Links
from shared.domain.match_closure import match_closure
from shared.domain.matching import Pair, TargetIndex
from shared.domain.memory import WrittenReference, references_hash, written_value
from shared.domain.paths import remove_paths
from shared.domain.plan import Action, LineageEntry, Plan, PlannedResource, Rule, SourceConfig, TargetConfig
from shared.domain.plan_state import UNKNOWN, WRITTEN, ClosureToPlan, Node, PlanState, Standing, Unknown
from shared.domain.plan_writer import PlanWriter
from shared.domain.row import RowError, RowStatus
from shared.domain.sendable import sendable
from shared.domain.since_last_sync import Recall, memories_wanted, names_of, removed_since, since_last_sync, turned

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.domain.references import Identifiers
    from shared.domain.resource_type import Catalogue, ResourceKey


def plan(
    *,
    catalogue: Catalogue,
    source_org_id: str,
    target_org_id: str,
    sources: Mapping[ResourceKey, SourceConfig],
    identifiers: Identifiers,
    targets: Mapping[str, Sequence[TargetConfig]],
    lineage: Mapping[ResourceKey, LineageEntry],
    claimed: Collection[tuple[str, str]],
    referents: Mapping[ResourceKey, SourceConfig] = MappingProxyType({}),
    match: MatchMode = MatchMode.HEURISTIC,
    activation: Activation = Activation.KEEP,
    batch_size: int = 50,
    inactive: Collection[ResourceKey] = (),
    back: Mapping[ResourceKey, LineageEntry] = MappingProxyType({}),
    recall: Recall = lambda _digests: {},
) -> Plan:
    """Decide what becomes of every resource of a closure.

    Args:
        catalogue: all resource types.
        source_org_id: the organisation that is read.
        target_org_id: the organisation that is written.
        sources: the closure: what was selected and, with dependencies, all that it leads to. A referent that the source
            answers 404 for stands here with the error code NOT_FOUND and gets no row unless it was selected.
        identifiers: ids and aliases that the source organisation knows; those of `sources` and `referents` are added.
        targets: the snapshot of the target, per type.
        lineage: per source config, of this pair of organisations.
        claimed: (type, target id) that lineage of this source organisation claims.
        referents: unselected referents of a job without dependencies: resolved read-only, they get no row.
        match: `heuristic` or `lineage_only`.
        activation: `keep` or `follow`: whether a patch leaves the target's active flag or writes the source's.
        batch_size: most resources in a batch.
        inactive: what an earlier job created inactive and did not come to activate: it is written and activated.
        back: source config -> entry of the other direction whose target it is: it came from there.
        recall: returns remembered contents by their hashes, those that are not gone; asked once.

    Returns:
        The same plan for the same input, whatever the order of mappings.
    """
    pair = Pair(
        source_org_id, target_org_id, heuristic=match == MatchMode.HEURISTIC, follow=activation == Activation.FOLLOW
    )
    closure = ClosureToPlan.read(sources, referents)
    index = TargetIndex(catalogue, targets)
    links = Links(catalogue, closure.configs, identifiers)
    matches = match_closure(
        catalogue,
        pair,
        closure.configs,
        rows=closure.rows,
        links=links,
        index=index,
        lineage=lineage,
        claimed=claimed,
        back={key: entry.source_id for key, entry in back.items()},
    )
    known = {**{key: turned(entry) for key, entry in back.items()}, **lineage}
    state = PlanState(
        catalogue=catalogue,
        pair=pair,
        closure=closure,
        links=links,
        index=index,
        lineage=lineage,
        matches=matches,
        inactive=frozenset(inactive),
    )
    planner = _Planner(state)
    planner.decide_actions(known, recall)
    return PlanWriter(state).write_plan(planner.settle(), batch_size)


_STATUS = {
    Action.CREATE: RowStatus.WOULD_CREATE,
    Action.PATCH: RowStatus.WOULD_PATCH,
    Action.MATCH: RowStatus.WOULD_MATCH,
}


def planned_status(planned: PlannedResource, dry_run: bool) -> RowStatus:
    """Return the status that a row has when the plan is written."""
    if planned.action is Action.FAIL:
        return RowStatus.FAILED
    if not dry_run:
        return RowStatus.SKIPPED if planned.action is Action.SKIP else RowStatus.PENDING
    if planned.action is Action.SKIP:
        return (
            RowStatus.WOULD_MATCH
            if planned.rule is Rule.NATURAL_KEY and planned.record_lineage
            else RowStatus.WOULD_SKIP
        )
    return _STATUS[planned.action]


#: Rules that follow a pair, of this direction or the other.
_BY_LINEAGE = frozenset({Rule.LINEAGE, Rule.WAY_BACK})
_CREATED = frozenset({Action.CREATE})


class _Planner:
    """Gives every row its action, each step building on the one before."""

    def __init__(self, state: PlanState) -> None:
        self._state = state

    def decide_actions(self, known: Mapping[ResourceKey, LineageEntry], recall: Recall) -> None:
        """Give every row the action that its match asks for; what would not change is skipped.

        Args:
            known: what is known of the last sync of each source config, in whichever direction it went.
            recall: returns remembered contents.
        """
        for key in self._state.closure.rows:
            found = self._state.matches[key]
            node = Node(self._state.closure.configs[key], self._state.catalogue[key.type], found)
            self._state.nodes[key] = node
            entry = known.get(key)
            if entry is not None and found.rule in _BY_LINEAGE:
                node.paired_by = entry.paired_by
            if found.target is not None:
                node.target_fields = self._state.links.read(found.target)
            if found.error is not None:
                node.fail(found.error)
            elif not found.untouched:
                node.action = (
                    Action.MATCH if found.rule is Rule.NATURAL_KEY else Action.PATCH if found.target else Action.CREATE
                )
        for node in self._state.nodes.values():
            if node.written and node.config.payload is not None:
                self._prepare(node, node.config.payload)
        self._remember(known, recall)
        # What cannot be created is no change for those that name it.
        self._fail_unresolved(_CREATED)
        self._spread_failures(_CREATED)
        unchanged = [node for node in self._state.nodes.values() if node.written and self._is_unchanged(node)]
        for node in unchanged:
            # What is there names them as they stand now; that one of them fails below changes nothing of it.
            node.references = self._references(node) if node.record_lineage else ""
        for node in unchanged:
            node.action = Action.SKIP
        for node in self._state.nodes.values():
            if node.written and (node.type.update if node.target else node.type.create) is None:
                operation = "update" if node.target else "create"
                why = node.type.missing.get(operation, f"The API of {node.type.name} has no {operation}.")
                node.fail(RowError(OperationUnsupportedError.code, why))

    def _prepare(self, node: Node, payload: dict[str, Any]) -> None:
        node.body = sendable(node.type, payload)
        node.links = self._state.links.find(node.type, node.body)
        node.source_fingerprint = node.config.source_fingerprint or fingerprint(node.type, payload)
        if node.target is not None and node.target.whole:
            node.target_fingerprint = fingerprint(node.type, node.target.payload)

    def _remember(self, known: Mapping[ResourceKey, LineageEntry], recall: Recall) -> None:
        """Say of each pair that was synced before what has become of both since."""
        wanted: set[str] = set()
        remembering: list[tuple[Node, LineageEntry, TargetConfig]] = []
        for node in self._state.nodes.values():
            entry = known.get(node.key)
            if entry is None or not node.written or node.target is None or not node.target.whole:
                continue
            if entry.target_id == node.target.key.id:
                node.entry = entry
                remembering.append((node, entry, node.target))
                prints = (node.source_fingerprint, node.target_fingerprint, node.config.override_fingerprint)
                wanted.update(memories_wanted(entry, *prints))
        recalled = recall(wanted) if wanted else {}
        for node, entry, target in remembering:
            payload = node.config.payload or {}
            node.since = since_last_sync(
                node.type,
                entry,
                (node.source_fingerprint, payload),
                (node.target_fingerprint, target.payload),
                recalled,
            )
            if node.since.base is not None:
                self._find_removals(node, canonical(node.type, payload), canonical(node.type, target.payload))

    def _find_removals(self, node: Node, source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
        """Decide what is taken away from the target because the source dropped it since the last sync."""
        update = node.type.update
        if update is None or not update.merge or node.type.limited_view:
            return
        kept = names_of((*node.type.keep_target, *((node.type.active.path,) if node.type.active else ())))
        required = {*update.required, *(node.type.create.required if node.type.create else ())}
        for name in removed_since(node.since.base, source, target):
            if name in kept or update.rename.get(name, name) in required:
                continue
            empty = _removed(update.removal, target[name])
            if node.since.left is None or node.since.left.get(name) != target[name]:
                node.notes.append(f"The source dropped {name}, which is another one on the target by now: it stays.")
            elif empty is UNKNOWN:
                node.notes.append(f"The source dropped {name}, which the API cannot take away: it stays on the target.")
            else:
                node.removals[name] = empty

    def _is_unchanged(self, node: Node) -> bool:
        if node.target is None or not node.target.whole or node.key in self._state.inactive:
            return False
        if self._state.follows(node) and self._state.differing_flags(node):
            return False
        since, entry = node.since, node.entry
        if entry is None or since.source_same is None or since.target_same is None:
            node.record_lineage = self._says_the_same(node, node.target.payload)
            return node.record_lineage
        if not (since.source_same and since.target_same):
            return False
        if entry.override_fingerprint != node.config.override_fingerprint or not self._names_the_same(node, entry):
            return False
        # Under another catalogue version, and on the way back, the entry is written anew, and nothing else.
        node.record_lineage = (
            node.match.rule is not Rule.LINEAGE or agree(entry.source_fingerprint, node.source_fingerprint) is None
        )
        return True

    def _says_the_same(self, node: Node, target_payload: Mapping[str, Any]) -> bool:
        """Tell whether the target says already what would be sent, and nothing that would be taken away."""
        body = None if node.removals else self._state.body(node)
        if body is None:
            return False
        if node.type.active is not None:
            body = remove_paths(body, (node.type.active.path,))
        return equal_where_sent(node.type, body, target_payload)

    def _names_the_same(self, node: Node, entry: LineageEntry) -> bool:
        """Tell whether every reference would be written as it was at the last sync."""
        written: list[tuple[ResourceKey, tuple[str, Mapping[str, Any]] | None]] = []
        for link in node.links:
            if link.referent is None:
                continue
            value = self._state.written(node, link)
            if isinstance(value, Unknown):
                return False
            written.append((link.referent, value))
        if entry.references and agree(entry.source_fingerprint, node.source_fingerprint):
            return entry.references == references_hash(
                WrittenReference(referent, written_value(*value) if value else None) for referent, value in written
            )
        # Nobody remembers what was written then: what would be sent of it has to stand there at least.
        sent, there = (
            json.dumps(one, ensure_ascii=False) for one in (self._state.body(node), node.target and node.target.payload)
        )
        named = {json.dumps(value[0], ensure_ascii=False)[1:-1] for _, value in written if value is not None}
        return all(identifier in there for identifier in named if identifier in sent)

    def _references(self, node: Node) -> str:
        """Return the hash of the references of a config that says what would be sent already."""
        return references_hash(
            WrittenReference(link.referent, written_value(*value) if value else None)
            for link in node.links
            if link.referent is not None and not isinstance(value := self._state.written(node, link), Unknown)
        )

    def settle(self) -> Order:
        """Spread failures and changes until nothing moves any more, then order what is left."""
        while True:
            self._fail_unresolved(WRITTEN)
            self._spread_failures(WRITTEN)
            if self._spread_changes():
                continue
            arcs = self._arcs()
            ordered = order([key for key, node in self._state.nodes.items() if node.written], arcs)
            if not ordered.unbreakable:
                return ordered
            for component in ordered.unbreakable:
                named = ", ".join(str(key) for key in component[:10]) + (", …" if len(component) > 10 else "")
                for key in component:
                    message = f"Each of {named} has to exist before the next can be created."
                    self._state.nodes[key].fail(RowError(CycleNotBreakableError.code, message))

    def _fail_unresolved(self, among: Collection[Action]) -> None:
        for node in self._state.nodes.values():
            for link in node.links if node.action in among else ():
                error = self._failure(node, link)
                if error is not None:
                    node.fail(error)
                    break

    def _failure(self, node: Node, link: Link) -> RowError | None:
        """Return why a config cannot be written with the reference as it stands; failed referents apart."""
        if not link.hard or link.free:
            return None
        standing, where = self._state.standing(node, link), link.found.pointer
        if standing is Standing.DANGLING and link.required:
            return RowError(
                DanglingReferenceError.code,
                f"{where} names {link.referent}, which the source organisation does not have.",
            )
        if standing is Standing.NOT_SELECTED:
            return RowError(
                DependencyNotSelectedError.code,
                f"{where} names {link.referent}, which was not selected and not found there.",
            )
        if standing is Standing.ABSENT:
            return RowError(
                DependencyFailedError.code,
                f"{where} names {link.referent}, which is never created by a job and is not on the target.",
                link.referent,
            )
        if standing is Standing.SELF and link.required and node.target is None and self._state.chosen_id(node) is None:
            return RowError(
                CycleNotBreakableError.code,
                f"{where} must name the config itself, whose id is not known before it exists.",
            )
        return None

    def _spread_failures(self, among: Collection[Action]) -> None:
        dependents: dict[ResourceKey, list[Node]] = {}
        for node in self._state.nodes.values():
            for link in node.links if node.action in among else ():
                if link.hard and not link.free and link.referent is not None and link.referent != node.key:
                    dependents.setdefault(link.referent, []).append(node)
        failed = [node for node in self._state.nodes.values() if node.action is Action.FAIL]
        for cause in failed:  # grows while it is read
            root = cause.error.root if cause.error and cause.error.root else cause.key
            for node in dependents.get(cause.key, ()):
                if node.action in among:
                    why = self._state.nodes[root].error if root in self._state.nodes else None
                    reason = f": {why}" if why is not None and why.root is None else "."
                    node.fail(RowError(DependencyFailedError.code, f"It needs {root}, which failed{reason}", root))
                    failed.append(node)

    def _spread_changes(self) -> bool:
        """Turn skips into patches where a value that they pin changes because its referent is written."""
        moved = False
        for node in self._state.nodes.values():
            if node.action is not Action.SKIP or node.match.untouched or node.type.update is None:
                continue
            if any(self._state.standing(node, link) is Standing.REWRITTEN for link in node.links):
                node.action = Action.MATCH if node.match.rule is Rule.NATURAL_KEY else Action.PATCH
                node.record_lineage = False
                moved = True
        return moved

    def _arcs(self) -> dict[tuple[ResourceKey, ResourceKey], int]:
        arcs: dict[tuple[ResourceKey, ResourceKey], int] = {}
        for node in self._state.nodes.values():
            for link in node.links if node.written else ():
                standing = self._state.standing(node, link)
                if link.referent is None or standing not in (Standing.CREATED, Standing.REWRITTEN):
                    continue
                arc = (node.key, link.referent)
                if standing is Standing.REWRITTEN:
                    cost = CHEAP  # the referent is there: the value that is about to change will do at first
                else:
                    cost = REQUIRED if node.target is not None and not link.free else link.cost
                arcs[arc] = min(arcs.get(arc, 0) + cost, REQUIRED)
        return arcs


def _removed(removal: Removal, value: Any) -> Any:
    """Return what takes a value away; UNKNOWN where nothing does."""
    if removal is Removal.NULL:
        return None
    return type(value)() if removal is Removal.EMPTY and isinstance(value, str | list | dict) else UNKNOWN
