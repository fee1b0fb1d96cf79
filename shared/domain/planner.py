"""What a sync job will do, decided before the first write: purely from sources, target, lineage and catalogue.

sources + identifiers --matching--> an action per resource --graph--> generations --> batches
                               +--> a resolution per reference  (domain.remap builds bodies from them)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from shared.domain.api_operation import Removal
from shared.domain.errors import (
    CycleNotBreakableError,
    DanglingReferenceError,
    DependencyFailedError,
    DependencyNotSelectedError,
    NotFoundError,
    OperationUnsupportedError,
)
from shared.domain.fingerprint import agree, canonical, equal_where_sent, fingerprint
from shared.domain.graph import CHEAP, REQUIRED, Order, cut_batches, order
from shared.domain.links import Link, Links
from shared.domain.match_closure import match_closure
from shared.domain.matching import Match, Pair, TargetIndex, chosen_id, portable_id
from shared.domain.memory import WrittenReference, references_hash, written_value
from shared.domain.paths import find_value, is_plain, remove_paths, values_at
from shared.domain.plan import (
    Action,
    LineageEntry,
    Plan,
    PlannedResource,
    Resolution,
    ResolutionKind,
    SourceConfig,
    TargetConfig,
)
from shared.domain.remap import flags_of_both
from shared.domain.resource_type import EMPTY, Catalogue, ResourceKey, ResourceType
from shared.domain.rewriting import Replacement, rewrite
from shared.domain.row import RowError, RowStatus
from shared.domain.sendable import sendable
from shared.domain.since_last_sync import (
    Recall,
    SinceLastSync,
    conflict_note,
    conflicts,
    memories_wanted,
    names_of,
    removed_since,
    since_last_sync,
    turned,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.domain.references import Identifiers


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
    match: str = "heuristic",
    activation: str = "keep",
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
    pair = Pair(source_org_id, target_org_id, heuristic=match == "heuristic", follow=activation == "follow")
    closure = _Closure.read(sources, referents)
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
    planner = _Planner(catalogue, pair, closure, links, index, lineage, matches, frozenset(inactive))
    planner.decide_actions(known, recall)
    return planner.write_plan(planner.settle(), batch_size)


#: As many conflicts of a row are told one by one.
_MAX_CONFLICTS = 10

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
        return RowStatus.WOULD_MATCH if planned.rule == "5" and planned.record_lineage else RowStatus.WOULD_SKIP
    return _STATUS[planned.action]


#: Rules that follow a pair, of this direction or the other.
_BY_LINEAGE = frozenset({"3", "3b"})
_CREATED = frozenset({Action.CREATE})
_WRITTEN = frozenset({Action.CREATE, Action.PATCH, Action.MATCH})


class _Standing(StrEnum):
    """How the referent of a reference stands."""

    NONE = "none"  # external or unknown
    SELF = "self"
    EXISTS = "exists"
    CREATED = "created"  # by this plan
    REWRITTEN = "rewritten"  # exists, but this plan writes it, and what the reference says of it may change with that
    FAILED = "failed"
    ABSENT = "absent"  # system-managed and not on the target
    DANGLING = "dangling"  # not even on the source
    NOT_SELECTED = "not_selected"


class _Unknown:
    """What nobody can tell before the run, or at all."""


_UNKNOWN = _Unknown()
#: Identifier and siblings; None: left out.
type _Written = tuple[str, Mapping[str, Any]] | _Unknown | None


@dataclass(slots=True, eq=False)
class _Node:
    """A resource while it is planned."""

    config: SourceConfig
    type: ResourceType
    match: Match
    action: Action = Action.SKIP
    error: RowError | None = None
    body: dict[str, Any] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    source_fingerprint: str = ""
    target_fingerprint: str = ""
    target_fields: Mapping[str, Any] = EMPTY
    entry: LineageEntry | None = None
    paired_by: str = ""
    since: SinceLastSync = field(default_factory=SinceLastSync)
    removals: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    record_lineage: bool = False
    references: str = ""

    @property
    def key(self) -> ResourceKey:
        return self.config.key

    @property
    def target(self) -> TargetConfig | None:
        return self.match.target

    @property
    def written(self) -> bool:
        return self.action in _WRITTEN

    def fail(self, error: RowError) -> None:
        self.action, self.error = Action.FAIL, error


@dataclass(frozen=True, slots=True)
class _Closure:
    """What there is to plan.

    Attributes:
        configs: everything that has a row or is a referent, by key, in order.
        rows: those that get a row.
        dangling: referents that the source does not have.
        unread: referents that could not be read.
    """

    configs: Mapping[ResourceKey, SourceConfig]
    rows: Sequence[ResourceKey]
    dangling: frozenset[ResourceKey]
    unread: frozenset[ResourceKey]

    @classmethod
    def read(
        cls, sources: Mapping[ResourceKey, SourceConfig], referents: Mapping[ResourceKey, SourceConfig]
    ) -> _Closure:
        everything = {**referents, **sources}
        dangling = frozenset(key for key, config in everything.items() if _is_dangling(config))
        unread = frozenset(key for key, config in referents.items() if config.payload is None) - {*sources}
        configs = {key: everything[key] for key in sorted(everything) if key not in dangling | unread}
        return cls(configs, [key for key in configs if key in sources], dangling, unread)


class _Planner:
    """The steps of planning, each building on the one before."""

    def __init__(
        self,
        catalogue: Catalogue,
        pair: Pair,
        closure: _Closure,
        links: Links,
        index: TargetIndex,
        lineage: Mapping[ResourceKey, LineageEntry],
        matches: Mapping[ResourceKey, Match],
        inactive: frozenset[ResourceKey],
    ) -> None:
        self._catalogue = catalogue
        self._pair = pair
        self._closure = closure
        self._links = links
        self._index = index
        self._lineage = lineage
        self._matches = matches
        self._inactive = inactive
        self._nodes: dict[ResourceKey, _Node] = {}

    # Actions

    def decide_actions(self, known: Mapping[ResourceKey, LineageEntry], recall: Recall) -> None:
        """Give every row the action that its match asks for; what would not change is skipped.

        Args:
            known: what is known of the last sync of each source config, in whichever direction it went.
            recall: returns remembered contents.
        """
        for key in self._closure.rows:
            found = self._matches[key]
            node = _Node(self._closure.configs[key], self._catalogue[key.type], found)
            self._nodes[key] = node
            entry = known.get(key)
            if entry is not None and found.rule in _BY_LINEAGE:
                node.paired_by = entry.paired_by
            if found.target is not None:
                node.target_fields = self._links.read(found.target)
            if found.error is not None:
                node.fail(found.error)
            elif not found.untouched:
                node.action = Action.MATCH if found.rule == "5" else Action.PATCH if found.target else Action.CREATE
        for node in self._nodes.values():
            if node.written and node.config.payload is not None:
                self._prepare(node, node.config.payload)
        self._remember(known, recall)
        # What cannot be created is no change for those that name it.
        self._fail_unresolved(_CREATED)
        self._spread_failures(_CREATED)
        unchanged = [node for node in self._nodes.values() if node.written and self._is_unchanged(node)]
        for node in unchanged:
            # What is there names them as they stand now; that one of them fails below changes nothing of it.
            node.references = self._references(node) if node.record_lineage else ""
        for node in unchanged:
            node.action = Action.SKIP
        for node in self._nodes.values():
            if node.written and (node.type.update if node.target else node.type.create) is None:
                operation = "update" if node.target else "create"
                why = node.type.missing.get(operation, f"The API of {node.type.name} has no {operation}.")
                node.fail(RowError(OperationUnsupportedError.code, why))

    def _prepare(self, node: _Node, payload: dict[str, Any]) -> None:
        node.body = sendable(node.type, payload)
        node.links = self._links.find(node.type, node.body)
        node.source_fingerprint = node.config.source_fingerprint or fingerprint(node.type, payload)
        if node.target is not None and node.target.whole:
            node.target_fingerprint = fingerprint(node.type, node.target.payload)

    def _remember(self, known: Mapping[ResourceKey, LineageEntry], recall: Recall) -> None:
        """Say of each pair that was synced before what has become of both since."""
        wanted: set[str] = set()
        remembering: list[tuple[_Node, LineageEntry, TargetConfig]] = []
        for node in self._nodes.values():
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

    def _find_removals(self, node: _Node, source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
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
            elif empty is _UNKNOWN:
                node.notes.append(f"The source dropped {name}, which the API cannot take away: it stays on the target.")
            else:
                node.removals[name] = empty

    def _is_unchanged(self, node: _Node) -> bool:
        if node.target is None or not node.target.whole or node.key in self._inactive:
            return False
        if self._follows(node) and self._differing_flags(node):
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
        node.record_lineage = node.match.rule != "3" or agree(entry.source_fingerprint, node.source_fingerprint) is None
        return True

    def _says_the_same(self, node: _Node, target_payload: Mapping[str, Any]) -> bool:
        """Tell whether the target says already what would be sent, and nothing that would be taken away."""
        body = None if node.removals else self._body(node)
        if body is None:
            return False
        if node.type.active is not None:
            body = remove_paths(body, (node.type.active.path,))
        return equal_where_sent(node.type, body, target_payload)

    def _body(self, node: _Node) -> Any:
        """Return the body as it would be sent, before an update adds the target's own; None where the run must tell."""
        replacements = []
        for link in node.links:
            written = self._written(node, link)
            if isinstance(written, _Unknown):
                return None
            identifier, siblings = written or (None, EMPTY)
            if identifier != link.found.identifier or siblings:
                replacements.append(Replacement(link.found, identifier, siblings))
        return rewrite(node.body, replacements)

    def _names_the_same(self, node: _Node, entry: LineageEntry) -> bool:
        """Tell whether every reference would be written as it was at the last sync."""
        written: list[tuple[ResourceKey, tuple[str, Mapping[str, Any]] | None]] = []
        for link in node.links:
            if link.referent is None:
                continue
            value = self._written(node, link)
            if isinstance(value, _Unknown):
                return False
            written.append((link.referent, value))
        if entry.references and agree(entry.source_fingerprint, node.source_fingerprint):
            return entry.references == references_hash(
                WrittenReference(referent, written_value(*value) if value else None) for referent, value in written
            )
        # Nobody remembers what was written then: what would be sent of it has to stand there at least.
        sent, there = (
            json.dumps(one, ensure_ascii=False) for one in (self._body(node), node.target and node.target.payload)
        )
        named = {json.dumps(value[0], ensure_ascii=False)[1:-1] for _, value in written if value is not None}
        return all(identifier in there for identifier in named if identifier in sent)

    def _written(self, node: _Node, link: Link) -> _Written:
        """Return what a reference would be written as; None where it is left out."""
        standing = self._standing(node, link)
        is_there = standing in (_Standing.SELF, _Standing.EXISTS, _Standing.REWRITTEN, _Standing.CREATED)
        stays = link.found.portable or (link.copied and standing is _Standing.SELF)
        if standing is _Standing.NONE:
            return None if link.found.certain and not link.found.portable else (link.found.identifier, EMPTY)
        if link.free or (is_there and stays):
            return link.found.identifier, EMPTY
        if standing is _Standing.CREATED:
            return (link.found.identifier, EMPTY) if link.copied else _UNKNOWN
        return self._known(link) if is_there else None

    def _known(self, link: Link) -> tuple[str, dict[str, Any]] | None:
        """Return identifier and siblings of a referent that is on the target; None where they cannot be told."""
        if link.referent is None:
            return None
        target_id, fields = self._on_target(link.referent)
        value = self._links.value(link, target_id, fields) if target_id is not None else None
        if value is None:
            return None
        siblings = link.found.reference.siblings if link.found.reference else EMPTY
        return value, {name: fields[path] for name, path in siblings.items() if path in fields}

    def _on_target(self, key: ResourceKey) -> tuple[str | None, Mapping[str, Any]]:
        found = self._matches.get(key)
        node = self._nodes.get(key)
        if found is not None and found.target is not None:
            return found.target.key.id, node.target_fields if node is not None else self._links.read(found.target)
        resource_type = self._catalogue[key.type]
        by_id = portable_id(resource_type, key.id, self._pair)
        if found is not None and found.error is None:
            return by_id, EMPTY
        entry = self._lineage.get(key) if key not in self._closure.dangling else None
        for target_id in (entry.target_id if entry else None, by_id):
            target = self._index.find(ResourceKey(key.type, target_id)) if target_id else None
            if target is not None:
                return target.key.id, self._links.read(target)
        return None, EMPTY

    def _standing(self, node: _Node, link: Link) -> _Standing:
        key = link.referent
        if key is None:
            return _Standing.NONE
        if key == node.key:
            return _Standing.SELF
        other = self._nodes.get(key)
        if other is not None:
            return self._standing_of_row(link, other)
        exists = self._on_target(key)[0] is not None
        if key in self._closure.configs:
            found = self._matches[key]
            return _Standing.EXISTS if found.target or (exists and found.untouched) else _Standing.NOT_SELECTED
        if exists:
            return _Standing.EXISTS
        is_there = key in self._closure.unread or self._links.knows(key.id)
        return _Standing.DANGLING if key in self._closure.dangling or not is_there else _Standing.NOT_SELECTED

    def _standing_of_row(self, link: Link, other: _Node) -> _Standing:
        if other.action is Action.FAIL:
            # Its config can be named all the same, where there is one.
            is_there = not link.hard and self._on_target(other.key)[0] is not None
            return _Standing.EXISTS if is_there else _Standing.FAILED
        if other.action is Action.CREATE:
            return _Standing.CREATED
        if other.target is None:
            return _Standing.ABSENT if self._on_target(other.key)[0] is None else _Standing.EXISTS
        pinned = link.found.reference is not None and link.found.reference.siblings
        is_derived = bool(pinned) or link.field in other.type.derived_fields
        return _Standing.REWRITTEN if is_derived and other.written else _Standing.EXISTS

    # Failures and order

    def settle(self) -> Order:
        """Spread failures and changes until nothing moves any more, then order what is left."""
        while True:
            self._fail_unresolved(_WRITTEN)
            self._spread_failures(_WRITTEN)
            if self._spread_changes():
                continue
            arcs = self._arcs()
            ordered = order([key for key, node in self._nodes.items() if node.written], arcs)
            if not ordered.unbreakable:
                return ordered
            for component in ordered.unbreakable:
                named = ", ".join(str(key) for key in component[:10]) + (", …" if len(component) > 10 else "")
                for key in component:
                    message = f"Each of {named} has to exist before the next can be created."
                    self._nodes[key].fail(RowError(CycleNotBreakableError.code, message))

    def _fail_unresolved(self, among: Collection[Action]) -> None:
        for node in self._nodes.values():
            for link in node.links if node.action in among else ():
                error = self._failure(node, link)
                if error is not None:
                    node.fail(error)
                    break

    def _failure(self, node: _Node, link: Link) -> RowError | None:
        """Return why a config cannot be written with the reference as it stands; failed referents apart."""
        if not link.hard or link.free:
            return None
        standing, where = self._standing(node, link), link.found.pointer
        if standing is _Standing.DANGLING and link.required:
            return RowError(
                DanglingReferenceError.code,
                f"{where} names {link.referent}, which the source organisation does not have.",
            )
        if standing is _Standing.NOT_SELECTED:
            return RowError(
                DependencyNotSelectedError.code,
                f"{where} names {link.referent}, which was not selected and not found there.",
            )
        if standing is _Standing.ABSENT:
            return RowError(
                DependencyFailedError.code,
                f"{where} names {link.referent}, which is never created by a job and is not on the target.",
                link.referent,
            )
        if standing is _Standing.SELF and link.required and node.target is None and self._chosen_id(node) is None:
            return RowError(
                CycleNotBreakableError.code,
                f"{where} must name the config itself, whose id is not known before it exists.",
            )
        return None

    def _spread_failures(self, among: Collection[Action]) -> None:
        dependents: dict[ResourceKey, list[_Node]] = {}
        for node in self._nodes.values():
            for link in node.links if node.action in among else ():
                if link.hard and not link.free and link.referent is not None and link.referent != node.key:
                    dependents.setdefault(link.referent, []).append(node)
        failed = [node for node in self._nodes.values() if node.action is Action.FAIL]
        for cause in failed:  # grows while it is read
            root = cause.error.root if cause.error and cause.error.root else cause.key
            for node in dependents.get(cause.key, ()):
                if node.action in among:
                    why = self._nodes[root].error if root in self._nodes else None
                    reason = f": {why}" if why is not None and why.root is None else "."
                    node.fail(RowError(DependencyFailedError.code, f"It needs {root}, which failed{reason}", root))
                    failed.append(node)

    def _spread_changes(self) -> bool:
        """Turn skips into patches where a value that they pin changes because its referent is written."""
        moved = False
        for node in self._nodes.values():
            if node.action is not Action.SKIP or node.match.untouched or node.type.update is None:
                continue
            if any(self._standing(node, link) is _Standing.REWRITTEN for link in node.links):
                node.action = Action.MATCH if node.match.rule == "5" else Action.PATCH
                node.record_lineage = False
                moved = True
        return moved

    def _arcs(self) -> dict[tuple[ResourceKey, ResourceKey], int]:
        arcs: dict[tuple[ResourceKey, ResourceKey], int] = {}
        for node in self._nodes.values():
            for link in node.links if node.written else ():
                standing = self._standing(node, link)
                if link.referent is None or standing not in (_Standing.CREATED, _Standing.REWRITTEN):
                    continue
                arc = (node.key, link.referent)
                if standing is _Standing.REWRITTEN:
                    cost = CHEAP  # the referent is there: the value that is about to change will do at first
                else:
                    cost = REQUIRED if node.target is not None and not link.free else link.cost
                arcs[arc] = min(arcs.get(arc, 0) + cost, REQUIRED)
        return arcs

    # The plan

    def write_plan(self, ordered: Order, batch_size: int) -> Plan:
        """Write the plan down, in batch order; what is skipped or failed comes first."""
        resolutions = {
            key: tuple(self._resolution(node, link, ordered) for link in node.links) if node.written else ()
            for key, node in self._nodes.items()
        }
        again = {
            key
            for key, ones in resolutions.items()
            if self._catalogue[key.type].derived_fields and any(one.kind is ResolutionKind.DEFERRED for one in ones)
        }
        batches = cut_batches(ordered.generations, ordered.remaining, batch_size)
        batch_of = {key: number for number, keys in enumerate(batches.members, 1) for key in keys}
        generation_of = {key: number for number, keys in enumerate(ordered.generations) for key in keys}
        idle = [key for key in self._closure.rows if key not in batch_of]
        planned = []
        for key in (*idle, *(key for keys in batches.members for key in keys)):
            node = self._nodes[key]
            final, stale = _until_final(resolutions[key], again)
            planned.append(
                PlannedResource(
                    key=key,
                    title=node.config.title,
                    action=node.action,
                    target_id=node.target.key.id if node.target else None,
                    target_fields=node.target_fields,
                    reason=self._reason(node),
                    error=node.error,
                    warnings=self._warnings(node),
                    resolutions=final,
                    source_fingerprint=node.source_fingerprint,
                    override_fingerprint=node.config.override_fingerprint,
                    generation=generation_of.get(key, 0),
                    batch=batch_of.get(key, 0),
                    resolve=key in again,
                    patch=key not in again and stale,
                    activate=self._is_activated_last(node, stale),
                    follows=node.action is not Action.CREATE and self._follows(node),
                    rule=node.match.rule,
                    paired_by=node.paired_by,
                    create_id=self._chosen_id(node) if node.action is Action.CREATE else None,
                    record_lineage=node.record_lineage and node.action is Action.SKIP,
                    references=node.references if node.record_lineage and node.action is Action.SKIP else "",
                    removals=node.removals if node.written else EMPTY,
                    target_fingerprint=node.target_fingerprint,
                    remaining=ordered.remaining.get(key, 0),
                )
            )
        return Plan(resources=tuple(planned), stages=batches.stages)

    def _references(self, node: _Node) -> str:
        """Return the hash of the references of a config that says what would be sent already."""
        return references_hash(
            WrittenReference(link.referent, written_value(*value) if value else None)
            for link in node.links
            if link.referent is not None and not isinstance(value := self._written(node, link), _Unknown)
        )

    def _is_activated_last(self, node: _Node, stale: bool) -> bool:
        """Tell whether a config stays inactive until it is whole, so that nothing runs half-configured."""
        if not node.written or not _is_in_use(node):
            return False
        return stale if node.action is Action.CREATE else node.key in self._inactive

    def _follows(self, node: _Node) -> bool:
        """Tell whether a patch writes the source's active flag; what was created inactive is activated last."""
        flag = node.type.active
        if not self._pair.follow or flag is None or not flag.settable or node.key in self._inactive:
            return False
        return any(value is not None for value in values_at(node.body, flag.path))

    @staticmethod
    def _differing_flags(node: _Node) -> list[tuple[Any, Any]]:
        """Return the active flags that both source and target have and that differ."""
        flag, target = node.type.active, node.target
        if flag is None or target is None or not target.whole:
            return []
        return [(ours, theirs) for ours, theirs in flags_of_both(flag, node.body, target.payload) if ours != theirs]

    def _flag_warnings(self, node: _Node) -> tuple[str, ...]:
        """Say where a config is in use on one side only; of one with an end nobody can tell without a clock."""
        flag = node.type.active
        if flag is None or flag.expiry or node.action is Action.FAIL or node.key in self._inactive:
            return ()
        kept = not self._follows(node)
        texts: dict[str, None] = {}
        for ours, theirs in self._differing_flags(node):
            active = flag.is_active(ours)
            if active and not flag.is_active(theirs):
                becomes = "stays so" if kept else "is activated"
                texts[f"The source's is active, the target's is not: it {becomes}."] = None
            elif flag.is_active(theirs) and not active:
                becomes = "stays so" if kept else "is deactivated"
                texts[f"The source's is not active, the target's is: it {becomes}."] = None
        return tuple(texts)

    def _chosen_id(self, node: _Node) -> str | None:
        return chosen_id(node.type, node.key, self._pair)

    def _resolution(self, node: _Node, link: Link, ordered: Order) -> Resolution:
        standing = self._standing(node, link)
        if standing is _Standing.SELF:
            return self._self_resolution(node, link)
        if standing in (_Standing.CREATED, _Standing.REWRITTEN):
            dropped = (node.key, link.referent) in ordered.dropped and not link.free
            kind = ResolutionKind.DEFERRED if dropped else ResolutionKind.WRITTEN
            if link.free:
                return _resolution(link, ResolutionKind.KEEP)
            if link.found.portable:
                return _resolution(link, kind)
            if standing is _Standing.REWRITTEN:
                return _resolution(link, kind, *(self._known(link) or ()))
            return _resolution(link, kind, link.found.identifier if link.copied else None)
        if standing is _Standing.EXISTS and not link.free and not link.found.portable:
            known = self._known(link)
            return _resolution(link, ResolutionKind.KNOWN if known else ResolutionKind.LEFT_OUT, *(known or ()))
        is_content = link.found.certain and not link.found.portable
        if standing is _Standing.EXISTS or link.free or (standing is _Standing.NONE and not is_content):
            return _resolution(link, ResolutionKind.KEEP)
        return _resolution(link, ResolutionKind.LEFT_OUT)

    def _self_resolution(self, node: _Node, link: Link) -> Resolution:
        if link.found.portable or link.copied:
            return _resolution(link, ResolutionKind.KEEP)
        known = self._known(link) if node.target is not None else None
        if known is not None:
            return _resolution(link, ResolutionKind.KNOWN, *known)
        chosen = self._chosen_id(node)
        if chosen is not None and link.field == "id" and link.required:
            return _resolution(link, ResolutionKind.KNOWN, chosen)
        return _resolution(link, ResolutionKind.DEFERRED)

    @staticmethod
    def _reason(node: _Node) -> str:
        by_hand = f"Paired by hand by user {node.paired_by}." if node.paired_by else ""
        return " ".join(filter(None, (node.match.reason if node.action is not Action.FAIL else "", by_hand)))

    def _warnings(self, node: _Node) -> tuple[str, ...]:
        if not node.written or node.config.payload is None:
            return self._flag_warnings(node)
        warnings: dict[str, None] = {}
        for link in node.links:
            standing = self._standing(node, link)
            text = _WARNINGS.get(standing)
            if standing is _Standing.EXISTS and not (link.free or link.found.portable) and self._known(link) is None:
                text = f"has no {link.field} on the target"
            if text is not None and link.referent is not None:
                kept = link.free or not link.found.certain
                warnings[
                    f"{link.found.pointer} names {link.referent}, which {text}: it is {'kept' if kept else 'left out'}."
                ] = None
        payload = node.config.payload
        external = [path for path in node.type.external if find_value(payload, path) not in (None, "", [], {})]
        if external:
            warnings[f"What {', '.join(external)} name is outside of the resource types and kept as it is."] = None
        if node.action is Action.CREATE and node.type.secret_note:
            warnings[node.type.secret_note] = None
        return (*self._conflict_notes(node, payload), *node.notes, *warnings, *self._flag_warnings(node))

    def _conflict_notes(self, node: _Node, payload: Mapping[str, Any]) -> Sequence[str]:
        """Say what both sides changed since the last sync: the source's value is written over the target's."""
        if node.since.source_same is not False or node.since.target_same is not False or node.target is None:
            return ()
        body = self._body(node)
        found = conflicts(
            node.type,
            node.since,
            canonical(node.type, payload),
            canonical(node.type, node.target.payload),
            canonical(node.type, node.body if body is None else body),
        )
        return [conflict_note(one) for one in found[:_MAX_CONFLICTS]]


_WARNINGS = {
    _Standing.DANGLING: "the source organisation does not have",
    _Standing.NOT_SELECTED: "was not selected and is not on the target",
    _Standing.ABSENT: "is not on the target and is never created by a job",
    _Standing.FAILED: "failed",
}


def _removed(removal: Removal, value: Any) -> Any:
    """Return what takes a value away; _UNKNOWN where nothing does."""
    if removal is Removal.NULL:
        return None
    return type(value)() if removal is Removal.EMPTY and isinstance(value, str | list | dict) else _UNKNOWN


def _is_dangling(config: SourceConfig) -> bool:
    return config.error is not None and config.error.code == NotFoundError.code and not config.selected


def _resolution(
    link: Link, kind: ResolutionKind, value: str | None = None, siblings: Mapping[str, Any] = EMPTY
) -> Resolution:
    return Resolution(
        found=link.found,
        kind=kind,
        referent=link.referent,
        field=link.field,
        value=value,
        siblings=siblings,
        position=link.position,
    )


def _until_final(
    resolutions: Sequence[Resolution], again: Collection[ResourceKey]
) -> tuple[tuple[Resolution, ...], bool]:
    """Defer references whose siblings change once more after phase_a.

    Args:
        resolutions: of one resource.
        again: the resources that phase_a5 writes again.

    Returns:
        The resolutions, and whether the resource needs a second write.
    """
    final = []
    stale = False
    for one in resolutions:
        reference = one.found.reference
        pinned = one.kind is ResolutionKind.WRITTEN and one.referent in again and reference and reference.siblings
        stale = stale or bool(pinned) or one.kind is ResolutionKind.DEFERRED
        defer = pinned and reference is not None and not reference.required
        final.append(replace(one, kind=ResolutionKind.DEFERRED) if defer else one)
    return tuple(final), stale


def _is_in_use(node: _Node) -> bool:
    """Tell whether a config of the source is active by a flag that a job may set."""
    flag = node.type.active
    if flag is None or not flag.settable or node.config.payload is None:
        return False
    values = list(values_at(node.config.payload, flag.path))
    if not values:
        return is_plain(flag.path) and flag.active is not None
    return any(map(flag.is_active, values))
