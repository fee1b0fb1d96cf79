"""Say which configs a config uses, once every identifier of the organisation is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.config_node import Edge
from shared.domain.index import IN_KEY
from shared.domain.read_config import MAX_POINTERS, Candidate, ReadConfig
from shared.domain.references import FoundReference, Identified, Identifiers, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from shared.domain.resource_type import Catalogue, ResourceKey

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
    """Yield the config that each candidate names; for a typed reference it need not be known."""
    references = catalogue[type_name].references
    for candidate in candidates:
        reference = references[candidate.reference] if candidate.reference >= 0 else None
        in_key = candidate.reference == IN_KEY
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
