"""Reduce the payload of a config to what the index keeps of it; no secret is in that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.domain.config_node import Blueprint, ConfigNode, read_node, strings_at
from shared.domain.errors import HubError
from shared.domain.fingerprint import fingerprint
from shared.domain.identifiers import identifiers_in, is_storable_identifier
from shared.domain.index import IN_KEY, IN_TEXT
from shared.domain.references import find_references
from shared.domain.resource_type import ResourceKey, ResourceType, can_be_id
from shared.domain.sendable import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


#: More places than a person reads; an item ends at 400 KB and an answer at 5 MB.
MAX_POINTERS = 20
#: How many configs a type that is indexed only where used may have.
MAX_INDEXED_WHEN_USED = 10_000


class UnindexableConfigError(HubError):
    """A config has an id that the index cannot hold."""

    code = "UNINDEXABLE_CONFIG"


# What is kept of a payload


class Candidate(NamedTuple):
    """What may be a reference, told apart by what it names and how.

    Attributes:
        identifier: the part of the string that would name the referent.
        reference: position in the type's references; negative where the scan found it, in a string or in an object key.
    """

    identifier: str
    reference: int


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


def collect_candidates(resource_type: ResourceType, payload: Any) -> dict[Candidate, tuple[str, ...]]:
    """Find everything in a payload that may be a reference, with the JSON pointers of its first places."""
    positions = {reference: index for index, reference in enumerate(resource_type.references)}
    found: dict[Candidate, dict[str, None]] = {}
    for place in find_references(resource_type, payload, None):
        scanned = IN_KEY if place.in_key else IN_TEXT
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
