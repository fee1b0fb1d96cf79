"""What planning knows of a closure, and how each reference of it stands on the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.errors import NotFoundError
from shared.domain.immutable import EMPTY
from shared.domain.matching import Match, Pair, TargetIndex, chosen_id, portable_id
from shared.domain.paths import values_at
from shared.domain.plan import Action, LineageEntry, SourceConfig, TargetConfig
from shared.domain.remap import flags_of_both
from shared.domain.resource_type import Catalogue, ResourceKey, ResourceType
from shared.domain.rewriting import Replacement, rewrite
from shared.domain.since_last_sync import SinceLastSync

if TYPE_CHECKING:
    from shared.domain.links import Link, Links
    from shared.domain.row import RowError

WRITTEN = frozenset({Action.CREATE, Action.PATCH, Action.MATCH})


class Standing(StrEnum):
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


class Unknown:
    """What nobody can tell before the run, or at all."""


UNKNOWN = Unknown()


#: Identifier and siblings; None: left out.
type Written = tuple[str, Mapping[str, Any]] | Unknown | None


@dataclass(slots=True, eq=False)
class Node:
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
        """Type and source id."""
        return self.config.key

    @property
    def target(self) -> TargetConfig | None:
        """What it is on the target, where something is there."""
        return self.match.target

    @property
    def written(self) -> bool:
        """The job writes it."""
        return self.action in WRITTEN

    def fail(self, error: RowError) -> None:
        """Let it fail, whatever was decided before."""
        self.action, self.error = Action.FAIL, error


@dataclass(frozen=True, slots=True)
class ClosureToPlan:
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
    ) -> ClosureToPlan:
        """Tell what is to be planned from what can only be referred to."""
        everything = {**referents, **sources}
        dangling = frozenset(key for key, config in everything.items() if _is_dangling(config))
        unread = frozenset(key for key, config in referents.items() if config.payload is None) - {*sources}
        configs = {key: everything[key] for key in sorted(everything) if key not in dangling | unread}
        return cls(configs, [key for key in configs if key in sources], dangling, unread)


@dataclass(kw_only=True)
class PlanState:
    """The rows of a job while it is planned, with all that decides about them.

    Attributes:
        lineage: per source config, of this pair of organisations.
        matches: what the rules say of each config of the closure.
        inactive: what an earlier job created inactive and did not come to activate.
        nodes: the rows, as they are decided so far.
    """

    catalogue: Catalogue
    pair: Pair
    closure: ClosureToPlan
    links: Links
    index: TargetIndex
    lineage: Mapping[ResourceKey, LineageEntry]
    matches: Mapping[ResourceKey, Match]
    inactive: frozenset[ResourceKey]
    nodes: dict[ResourceKey, Node] = field(default_factory=dict)

    def standing(self, node: Node, link: Link) -> Standing:
        """Return how the referent of a reference stands."""
        key = link.referent
        if key is None:
            return Standing.NONE
        if key == node.key:
            return Standing.SELF
        other = self.nodes.get(key)
        if other is not None:
            return self._standing_of_row(link, other)
        exists = self.on_target(key)[0] is not None
        if key in self.closure.configs:
            found = self.matches[key]
            return Standing.EXISTS if found.target or (exists and found.untouched) else Standing.NOT_SELECTED
        if exists:
            return Standing.EXISTS
        is_there = key in self.closure.unread or self.links.knows(key.id)
        return Standing.DANGLING if key in self.closure.dangling or not is_there else Standing.NOT_SELECTED

    def _standing_of_row(self, link: Link, other: Node) -> Standing:
        if other.action is Action.FAIL:
            # Its config can be named all the same, where there is one.
            is_there = not link.hard and self.on_target(other.key)[0] is not None
            return Standing.EXISTS if is_there else Standing.FAILED
        if other.action is Action.CREATE:
            return Standing.CREATED
        if other.target is None:
            return Standing.ABSENT if self.on_target(other.key)[0] is None else Standing.EXISTS
        pinned = link.found.reference is not None and link.found.reference.siblings
        is_derived = bool(pinned) or link.field in other.type.derived_fields
        return Standing.REWRITTEN if is_derived and other.written else Standing.EXISTS

    def on_target(self, key: ResourceKey) -> tuple[str | None, Mapping[str, Any]]:
        """Return the id of what a config is on the target, and the fields by which others name it; None without one."""
        found = self.matches.get(key)
        node = self.nodes.get(key)
        if found is not None and found.target is not None:
            return found.target.key.id, node.target_fields if node is not None else self.links.read(found.target)
        resource_type = self.catalogue[key.type]
        by_id = portable_id(resource_type, key.id, self.pair)
        if found is not None and found.error is None:
            return by_id, EMPTY
        entry = self.lineage.get(key) if key not in self.closure.dangling else None
        for target_id in (entry.target_id if entry else None, by_id):
            target = self.index.find(ResourceKey(key.type, target_id)) if target_id else None
            if target is not None:
                return target.key.id, self.links.read(target)
        return None, EMPTY

    def written(self, node: Node, link: Link) -> Written:
        """Return what a reference would be written as; None where it is left out."""
        standing = self.standing(node, link)
        is_there = standing in (Standing.SELF, Standing.EXISTS, Standing.REWRITTEN, Standing.CREATED)
        stays = link.found.portable or (link.copied and standing is Standing.SELF)
        if standing is Standing.NONE:
            return None if link.found.certain and not link.found.portable else (link.found.identifier, EMPTY)
        if link.free or (is_there and stays):
            return link.found.identifier, EMPTY
        if standing is Standing.CREATED:
            return (link.found.identifier, EMPTY) if link.copied else UNKNOWN
        return self.known(link) if is_there else None

    def known(self, link: Link) -> tuple[str, dict[str, Any]] | None:
        """Return identifier and siblings of a referent that is on the target; None where they cannot be told."""
        if link.referent is None:
            return None
        target_id, fields = self.on_target(link.referent)
        value = self.links.value(link, target_id, fields) if target_id is not None else None
        if value is None:
            return None
        siblings = link.found.reference.siblings if link.found.reference else EMPTY
        return value, {name: fields[path] for name, path in siblings.items() if path in fields}

    def body(self, node: Node) -> Any:
        """Return the body as it would be sent, before an update adds the target's own; None where the run must tell."""
        replacements = []
        for link in node.links:
            written = self.written(node, link)
            if isinstance(written, Unknown):
                return None
            identifier, siblings = written or (None, EMPTY)
            if identifier != link.found.identifier or siblings:
                replacements.append(Replacement(link.found, identifier, siblings))
        return rewrite(node.body, replacements)

    def follows(self, node: Node) -> bool:
        """Tell whether a patch writes the source's active flag; what was created inactive is activated last."""
        flag = node.type.active
        if not self.pair.follow or flag is None or not flag.settable or node.key in self.inactive:
            return False
        return any(value is not None for value in values_at(node.body, flag.path))

    @staticmethod
    def differing_flags(node: Node) -> list[tuple[Any, Any]]:
        """Return the active flags that both source and target have and that differ."""
        flag, target = node.type.active, node.target
        if flag is None or target is None or not target.whole:
            return []
        return [(ours, theirs) for ours, theirs in flags_of_both(flag, node.body, target.payload) if ours != theirs]

    def chosen_id(self, node: Node) -> str | None:
        """Return the id under which to create a config, where the caller chooses it."""
        return chosen_id(node.type, node.key, self.pair)


def _is_dangling(config: SourceConfig) -> bool:
    return config.error is not None and config.error.code == NotFoundError.code and not config.selected
