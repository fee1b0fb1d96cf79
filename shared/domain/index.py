"""What the index of an organisation should hold, and what has to be written so that it does."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.domain.config_node import Blueprint, ConfigNode, Edge, normalise_time, read_node, strings_at, summary_of
from shared.domain.errors import HubError, InvalidRequestError
from shared.domain.fingerprint import fingerprint
from shared.domain.references import FoundReference, Identified, Identifiers, find_references, resolve, without_secrets
from shared.domain.resource_type import Catalogue, ResourceKey, ResourceType, can_be_id

if TYPE_CHECKING:
    from datetime import datetime

# Items outlive a rebuild that does not touch them; one under half of its time is given the whole again.
ITEM_LIFETIME_S = 30 * 86_400
_REFRESH_BELOW_S = 15 * 86_400
#: The index answers as missing this long after its last successful build.
INDEX_LIFETIME_S = 7 * 86_400
#: How long an invocation may wait in Lambda's queue: the template's MaximumEventAgeInSeconds.
QUEUED_S = 3_600
#: How long a build that waits there is believed to begin.
QUEUED_LEASE_S = QUEUED_S + 60.0
#: More places than a person reads; an item ends at 400 KB and an answer at 5 MB.
MAX_POINTERS = 20
#: An identifier that names more configs than this tells none of them apart.
MAX_CONFIGS_PER_IDENTIFIER = 100
#: How many configs a type that is indexed only where used may have.
MAX_INDEXED_WHEN_USED = 10_000

# A sort key of DynamoDB ends at 1,024 bytes; `%` and `#` take three there.
_MAX_IDENTIFIER_BYTES = 1000

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class UnindexableConfigError(HubError):
    """A config has an id that the index cannot hold."""

    code = "UNINDEXABLE_CONFIG"


class SupersededError(HubError):
    """A newer build of the same index has begun."""

    code = "SUPERSEDED"


def resource_type_named(catalogue: Catalogue, name: str) -> ResourceType:
    """Return a type of the catalogue.

    Raises:
        InvalidRequestError: there is none of this name; the message names those that there are.
    """
    if name not in catalogue:
        raise InvalidRequestError(f"type: one of {', '.join(sorted(catalogue))} is expected.")
    return catalogue[name]


def new_build_token(now: float, randomness: bytes) -> str:
    """Return a ULID: 48 bits of milliseconds, then 80 random bits, so that tokens sort by time.

    Args:
        now: epoch seconds.
        randomness: ten bytes.

    Source: https://github.com/ulid/spec
    """
    number = int(now * 1000) << 80 | int.from_bytes(randomness[:10], "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


# What is kept of a payload


class Candidate(NamedTuple):
    """What may be a reference, told apart by what it names and how.

    Attributes:
        identifier: the part of the string that would name the referent.
        reference: position in the type's references; negative where the scan found it, in a string or in an object key.
    """

    identifier: str
    reference: int


_IN_TEXT, _IN_KEY = -1, -2


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """All that a build keeps of one payload; no secret is in it.

    Attributes:
        node: its summary.
        content_hash: fingerprint of the payload.
        identifiers: identifier -> the field of the payload whose value it is.
        candidates: what may be a reference -> JSON pointers of its places.
        manifest: blueprints that the payload itself names.
    """

    node: ConfigNode
    content_hash: str
    identifiers: Mapping[str, str]
    candidates: Mapping[Candidate, tuple[str, ...]]
    manifest: tuple[str, ...] = ()

    @property
    def key(self) -> ResourceKey:
        """The config's type and id."""
        return self.node.key

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object from which `from_json` makes the same value."""
        node = {name: getattr(self.node, name) for name in _PLAIN_NODE_FIELDS}
        return {
            "key": list(self.key),
            "node": node,
            "metadata": dict(self.node.metadata),
            "content_hash": self.content_hash,
            "identifiers": dict(self.identifiers),
            "candidates": [[*candidate, list(pointers)] for candidate, pointers in self.candidates.items()],
            "manifest": list(self.manifest),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ReadConfig:
        """Return the value that `to_json` was called on; blueprints are assigned after reading and not part of it."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in value["node"].items()}
        return cls(
            node=ConfigNode(key=ResourceKey(*value["key"]), metadata=value["metadata"], **fields),
            content_hash=value["content_hash"],
            identifiers=value["identifiers"],
            candidates={Candidate(name, index): tuple(pointers) for name, index, pointers in value["candidates"]},
            manifest=tuple(value["manifest"]),
        )


_PLAIN_NODE_FIELDS = (
    "title",
    "updated_at",
    "updated_by",
    "tags",
    "aliases",
    "purposes",
    "link",
    "active",
    "usage",
)


def identifying_fields(catalogue: Catalogue) -> Mapping[str, tuple[str, ...]]:
    """Return per type the fields whose values name a config: aliases, and what references of other types compare."""
    fields = {name: dict.fromkeys(resource_type.fields.aliases) for name, resource_type in catalogue.items()}
    for resource_type in catalogue.values():
        for reference in resource_type.references:
            for target in reference.to:
                if reference.field != "id" and target in fields:
                    fields[target][reference.field] = None
    return {name: tuple(paths) for name, paths in fields.items()}


def read_config(
    resource_type: ResourceType,
    payload: Mapping[str, Any],
    item: Mapping[str, Any] | None,
    fields: Sequence[str],
    now: datetime,
) -> ReadConfig:
    """Reduce a payload to what the index keeps of it.

    Args:
        resource_type: its type.
        payload: as `get` returns it.
        item: the list item, where the list is a summary.
        fields: fields besides the id whose values name the config.
        now: decides whether a config that expires is still active.

    Raises:
        ValueError: the payload has no id.
        UnindexableConfigError: the index cannot hold its id.
    """
    node = read_node(resource_type, payload, item, now=now)
    if not can_be_id(node.key.id):
        raise UnindexableConfigError(
            f"A {resource_type.name} is left out: its id is too long or has control characters."
        )
    cleaned = without_secrets(resource_type, payload)
    identifiers = identifiers_in(cleaned, node.key.id, fields)
    for alias in filter(is_storable_identifier, node.aliases):
        identifiers.setdefault(alias, "alias")
    return ReadConfig(
        node=node,
        content_hash=fingerprint(resource_type, cleaned),
        identifiers=identifiers,
        candidates=collect_candidates(resource_type, cleaned),
        manifest=strings_at(cleaned, resource_type.fields.manifest),
    )


def identifiers_in(payload: Mapping[str, Any], config_id: str, fields: Sequence[str]) -> dict[str, str]:
    """Return what names a config: identifier -> the field of its payload whose value it is.

    Args:
        payload: its payload, without secrets.
        config_id: its id.
        fields: fields besides the id whose values name it.
    """
    identifiers = {config_id: "id"}
    for path in fields:
        for value in strings_at(payload, path):
            identifiers.setdefault(value, path)
    return {value: path for value, path in identifiers.items() if is_storable_identifier(value)}


def is_storable_identifier(value: str) -> bool:
    """Tell whether the index can look a config up by this value."""
    return 0 < _encoded_size(value) <= _MAX_IDENTIFIER_BYTES and _is_text(value)


def _is_text(value: str) -> bool:
    """Tell whether a value is neither control characters nor half a surrogate pair anywhere."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _encoded_size(value: str) -> int:
    return len(value.encode(errors="replace")) + 2 * (value.count("%") + value.count("#"))


def collect_candidates(resource_type: ResourceType, payload: Any) -> dict[Candidate, tuple[str, ...]]:
    """Find everything in a payload that may be a reference, with the JSON pointers of its first places."""
    positions = {reference: index for index, reference in enumerate(resource_type.references)}
    found: dict[Candidate, dict[str, None]] = {}
    for place in find_references(resource_type, payload, None):
        scanned = _IN_KEY if place.in_key else _IN_TEXT
        position = positions[place.reference] if place.reference is not None else scanned
        pointers = found.setdefault(Candidate(place.identifier, position), {})
        if len(pointers) < MAX_POINTERS:
            pointers[place.pointer] = None
    return {candidate: tuple(pointers) for candidate, pointers in found.items()}


def with_blueprints(
    config: ReadConfig, members: Mapping[ResourceKey, Sequence[Blueprint]], titles: Mapping[str, str]
) -> ReadConfig:
    """Return the config with the blueprints that name it and those that its own manifest names, by id."""
    named = {blueprint.id: blueprint for blueprint in members.get(config.key, ())}
    for blueprint_id in config.manifest:
        named.setdefault(blueprint_id, Blueprint(blueprint_id, titles.get(blueprint_id, blueprint_id)))
    return replace(config, node=replace(config.node, blueprints=tuple(named[key] for key in sorted(named))))


# Resolution


def identifiers_of(configs: Iterable[ReadConfig]) -> dict[str, list[Identified]]:
    """Return what every id and alias stands for, in a stable order."""
    known: dict[str, list[Identified]] = {}
    for config in configs:
        for value, path in config.identifiers.items():
            known.setdefault(value, []).append(Identified(config.key, path))
    for identified in known.values():
        identified.sort(key=lambda one: (one.key, one.field))
    return known


def claimed_keys(
    catalogue: Catalogue, type_name: str, candidates: Iterable[Candidate], identifiers: Identifiers
) -> Iterator[tuple[Candidate, ResourceKey]]:
    """Yield the config that each candidate names: a known one, or for a typed reference also one that is not known."""
    references = catalogue[type_name].references
    for candidate in candidates:
        reference = references[candidate.reference] if candidate.reference >= 0 else None
        in_key = candidate.reference == _IN_KEY
        found = FoundReference((), candidate.identifier, 0, len(candidate.identifier), reference, in_key)
        identified = resolve(found, identifiers, catalogue)
        if identified is not None:
            yield candidate, identified.key


def edges_of(
    catalogue: Catalogue,
    source: ResourceKey,
    candidates: Mapping[Candidate, tuple[str, ...]],
    identifiers: Identifiers,
    is_known: Callable[[ResourceKey], bool],
) -> list[Edge]:
    """Return the edges from a config to known ones, by target; a config that names itself has no edge to itself."""
    pointers: dict[ResourceKey, dict[str, None]] = {}
    for candidate, target in claimed_keys(catalogue, source.type, candidates, identifiers):
        if target != source and is_known(target):
            pointers.setdefault(target, {}).update(dict.fromkeys(candidates[candidate]))
    return [Edge(source, target, tuple(pointers[target])[:MAX_POINTERS]) for target in sorted(pointers)]


# Desired items and what has to be written


class ItemKind:
    """The kinds of index items that a build keeps."""

    NODE = "node"
    EDGE = "edge"
    USED_BY = "used_by"
    IDENTIFIER = "identifier"


#: A kind, then what tells its items apart: node: type, id; edge: from type, from id, to type, to id;
#: used_by: to type, to id, from type, from id; identifier: the value.
ItemKey = tuple[str, ...]
#: JSON attributes of an item.
Content = Mapping[str, Any]


class Partition(NamedTuple):
    """A part of the index that is read and written together.

    Attributes:
        kind: NODE (nodes and forward edges of one type), USED_BY (inverse edges to one type) or IDENTIFIER (all).
        type: the type; empty for identifiers.
    """

    kind: str
    type: str = ""


class StoredItem(NamedTuple):
    """What a build needs to know of an item that the index holds.

    Attributes:
        digest: of its content.
        expires_at: epoch seconds.
        seen_by: user whose build wrote it.
        content: only for identifiers, where types share an item.
    """

    digest: str
    expires_at: int
    seen_by: str = ""
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to be written.

    Attributes:
        puts: items that are new, changed or near the end of their lifetime, with content and digest.
        touches: items whose content stays unread and whose lifetime begins anew.
        deletes: items that must go.
        kept: items that stay though the build did not read what they are made of.
    """

    puts: list[tuple[ItemKey, Content, str]] = field(default_factory=list)
    touches: list[ItemKey] = field(default_factory=list)
    deletes: list[ItemKey] = field(default_factory=list)
    kept: list[ItemKey] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many writes there are."""
        return len(self.puts) + len(self.touches) + len(self.deletes)


def node_items(configs: Iterable[ReadConfig]) -> dict[ItemKey, Content]:
    """Return the node items of configs."""
    return {
        (ItemKind.NODE, *config.key): {
            "summary": summary_of(config.node),
            "usage": config.node.usage,
            "title_folded": config.node.title.casefold(),
            "blueprint_ids": [blueprint.id for blueprint in config.node.blueprints],
            "content_hash": config.content_hash,
        }
        for config in configs
    }


def edge_items(edges: Iterable[Edge]) -> dict[ItemKey, Content]:
    """Return the forward items of edges."""
    return {(ItemKind.EDGE, *edge.source, *edge.target): {"pointers": list(edge.pointers)} for edge in edges}


def used_by_items(edges: Iterable[Edge], nodes: Mapping[ResourceKey, ConfigNode]) -> dict[ItemKey, Content]:
    """Return the inverse items of edges; each carries the summary of the using config."""
    return {
        (ItemKind.USED_BY, *edge.target, *edge.source): {
            "summary": summary_of(nodes[edge.source]),
            "pointers": list(edge.pointers),
        }
        for edge in edges
    }


def identifier_items(identifiers: Identifiers) -> dict[ItemKey, Content]:
    """Return the items by which a config is found from its id or an alias."""
    return {
        (ItemKind.IDENTIFIER, value): {
            "configs": [[*one.key, one.field] for one in identified[:MAX_CONFIGS_PER_IDENTIFIER]]
        }
        for value, identified in identifiers.items()
    }


def identified_in(content: Content) -> list[Identified]:
    """Return what the content of an identifier item says."""
    return [Identified(ResourceKey(type_name, config_id), path) for type_name, config_id, path in content["configs"]]


def owner_of(key: ItemKey) -> ResourceKey | None:
    """Return the config whose payload an item is made of; None for an identifier, which several may share."""
    if key[0] == ItemKind.IDENTIFIER:
        return None
    return ResourceKey(*(key[3:5] if key[0] == ItemKind.USED_BY else key[1:3]))


def plan_changes(
    desired: Mapping[ItemKey, Content],
    stored: Mapping[ItemKey, StoredItem],
    is_kept: Callable[[ResourceKey], bool],
    now: float,
) -> Changes:
    """Compare what a partition should hold with what it holds.

    Args:
        desired: items made of what the build read.
        stored: items that the partition holds.
        is_kept: whether items made of a config stay although the build did not read it.
        now: epoch seconds.
    """
    changes = Changes()
    refresh_below = now + _REFRESH_BELOW_S
    for key, content in desired.items():
        digest = digest_of(content)
        old = stored.get(key)
        if old is None or old.digest != digest or old.expires_at < refresh_below:
            changes.puts.append((key, content, digest))
    for key, old in stored.items():
        if key in desired:
            continue
        owner = owner_of(key)
        if owner is None or not is_kept(owner):
            changes.deletes.append(key)
            continue
        changes.kept.append(key)
        if old.expires_at < refresh_below:
            changes.touches.append(key)
    return changes


def digest_of(value: Any) -> str:
    """Return a hash of a JSON value that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


# The state of an organisation's index


class BuildStatus:
    """How the last build stands, as stored."""

    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """The build state of one organisation; what the last success found stays while the next build runs.

    Attributes:
        build_token: ULID of the latest build.
        status: of the latest build.
        started_at, lease_until: of the latest build, epoch seconds; past the lease nobody works on it any more.
        expires_at: when what the last success found is no longer answered, epoch seconds; None before any success.
        last_built_at: end of the last success, ISO 8601.
        totals: nodes per type.
        failed_types: type -> why its nodes are those of an earlier build.
        not_listed: type -> why its API gives no complete list.
        capped: type -> how many are indexed, where there are more.
        built_by: user whose view of the organisation the last success has.
        error: why the latest build failed.
        event: what the latest invocation of the latest build was started with.
    """

    build_token: str
    status: str
    started_at: float = 0.0
    lease_until: float = 0.0
    expires_at: int | None = None
    last_built_at: str | None = None
    build_duration_ms: int | None = None
    totals: Mapping[str, int] = field(default_factory=dict)
    failed_types: Mapping[str, str] = field(default_factory=dict)
    not_listed: Mapping[str, str] = field(default_factory=dict)
    capped: Mapping[str, int] = field(default_factory=dict)
    built_by: str = ""
    error: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total_items(self) -> int:
        """Nodes of all types."""
        return sum(self.totals.values())

    def has_nodes(self, now: float) -> bool:
        """Tell whether a build has succeeded and what it found may still be answered."""
        return self.expires_at is not None and self.expires_at > now

    def is_building(self, now: float) -> bool:
        """Tell whether somebody works on a build."""
        return self.status == BuildStatus.BUILDING and self.lease_until > now

    def is_lost(self, now: float) -> bool:
        """Tell whether a build began and nobody works on it any more: its event was discarded, or its worker killed."""
        return self.status == BuildStatus.BUILDING and self.lease_until <= now

    def status_at(self, now: float) -> str:
        """Return missing, building, ready or failed."""
        if self.is_building(now):
            return BuildStatus.BUILDING
        if self.expires_at is not None and not self.has_nodes(now):
            return "missing"
        return BuildStatus.READY if self.status == BuildStatus.READY else BuildStatus.FAILED

    def facts_at(self, now: float) -> dict[str, Any]:
        """Return what the last success found, as the answers about the index say it; nothing past its time."""
        if not self.has_nodes(now):
            return {}
        facts = {
            "last_built_at": self.last_built_at,
            "total_items": self.total_items,
            "build_duration_ms": self.build_duration_ms,
            "failed_types": sorted(self.failed_types),
            "failures": dict(self.failed_types),
            "skipped_types": [{"type": name, "reason": reason} for name, reason in sorted(self.not_listed.items())],
            "totals": dict(self.totals),
            "capped_types": dict(self.capped) or None,
        }
        return {name: value for name, value in facts.items() if value is not None}


_SIZES = {"small": 1_000, "medium": 10_000}
#: Classes of organisations by the number of their configs: how long a build may take depends on it.
SIZE_CLASSES = (*_SIZES, "large")


def size_class(indexed: int) -> str:
    """Return the class of an organisation with so many configs."""
    return next((name for name, below in _SIZES.items() if indexed < below), SIZE_CLASSES[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStanding:
    """What an operator asks of an organisation's index.

    Attributes:
        size: class of the organisation at the last success, empty before any.
        started_at, lease_until: of the latest build, epoch seconds.
        succeeded_at: end of the last success, epoch seconds; None before any.
    """

    org_id: str
    status: str
    size: str
    started_at: float
    lease_until: float
    succeeded_at: float | None

    def fails_at(self, now: float) -> bool:
        """Tell whether the latest build failed, or nobody works on it any more."""
        return self.status == BuildStatus.FAILED or (self.status == BuildStatus.BUILDING and self.lease_until <= now)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a successful build found; the fields are those of the state."""

    totals: Mapping[str, int]
    failed_types: Mapping[str, str]
    not_listed: Mapping[str, str]
    capped: Mapping[str, int]


# Reads


SORT_ORDERS = ("updated_at", "name", "usage")


def iso_time(moment: datetime | None) -> str:
    """Return a point in time as nodes have it, so that texts compare by time; empty for None."""
    return (normalise_time(moment.isoformat()) or "") if moment is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeQuery:
    """Which nodes of a type, in which order.

    Attributes:
        sort: updated_at, name or usage.
        q: part of the title, whatever its case, or a whole id or alias.
        updated_after, updated_before: exclusive, ISO 8601 in UTC with milliseconds.
        purposes, blueprint_ids: any of these.
        active_only: leave out what says that it is inactive.
    """

    type: str
    sort: str = "updated_at"
    q: str = ""
    updated_after: str = ""
    updated_before: str = ""
    purposes: tuple[str, ...] = ()
    blueprint_ids: tuple[str, ...] = ()
    active_only: bool = False

    @property
    def is_filtered(self) -> bool:
        """Tell whether any node may be left out."""
        return any(
            (self.q, self.updated_after, self.updated_before, self.purposes, self.blueprint_ids, self.active_only)
        )


class Page(NamedTuple):
    """One page of an answer.

    Attributes:
        results: contract summaries.
        next_cursor: continues behind this page; None: there is nothing behind it.
    """

    results: list[dict[str, Any]]
    next_cursor: str | None
