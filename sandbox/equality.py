"""Check that a synced organisation equals its source under the id map, independently of the hub's own walker.

Every string of a source payload is rewritten by plain substitution of source ids with target ids; what results must be
found again in the target's payload. A target may hold more than the source (defaults that its API filled in), never
something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.domain.paths import find_value, remove_paths, values_at
from shared.domain.resource_type import Catalogue, ResourceKey, ResourceType

Payload = Mapping[str, Any]

#: Begins every secret value of a seeded organisation.
SECRET_MARK = "SECRET-"  # noqa: S105 - the mark, not a secret


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the target is not what the source says."""

    source: ResourceKey
    target_id: str
    pointer: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.source} -> {self.target_id} at {self.pointer}: expected {self.expected!r}, found {self.found!r}"


def differences(
    catalogue: Catalogue,
    source: Mapping[ResourceKey, Payload],
    target: Mapping[ResourceKey, Payload],
    id_map: Mapping[ResourceKey, str],
    written: Iterable[ResourceKey],
    unmapped: Iterable[str] = (),
) -> Iterator[Difference]:
    """Yield every difference between what was written and its source.

    Args:
        catalogue: the resource types.
        source: raw payloads of the source organisation.
        target: raw payloads of the target organisation.
        id_map: source config -> target id, of all configs that the job accounted for.
        written: the source configs that the job created or patched.
        unmapped: source ids of what the job left alone without a counterpart on the target (tokens): lists lose them.
    """
    substitute = _substitution(catalogue, source, target, id_map)
    gone = frozenset(unmapped)
    for key in written:
        resource_type = catalogue[key.type]
        target_id = id_map[key]
        found = target.get(ResourceKey(key.type, target_id))
        if found is None:
            yield Difference(key, target_id, "", "a config", "nothing")
            continue
        expected = substitute(_without(_carried_over(resource_type, source[key]), gone))
        sets = set(resource_type.sets)
        yield from (
            Difference(key, target_id, pointer, wanted, got)
            for pointer, wanted, got in _compare(expected, _carried_over(resource_type, found), "", "", sets)
        )
        yield from _stale_siblings(resource_type, key, found, target)


def _carried_over(resource_type: ResourceType, payload: Payload) -> Any:
    """Leave out what is never copied: server-assigned fields, secrets, the target's own fields, derived siblings."""
    kept = (
        {name: payload[name] for name in resource_type.keep_only if name in payload}
        if resource_type.keep_only
        else dict(payload)
    )
    siblings = [
        f"{reference.path.rpartition('.')[0]}.{name}"
        for reference in resource_type.references
        for name in reference.siblings
    ]
    return remove_paths(
        kept,
        [
            *resource_type.strip,
            *resource_type.external_strip,
            *resource_type.secrets,
            *resource_type.keep_target,
            *siblings,
            *([resource_type.bytes_field] if resource_type.bytes_field else []),
        ],
    )


def _without(value: Any, gone: frozenset[str]) -> Any:
    """Drop from lists what names something gone, and what holds a secret of the seed: the APIs never return those."""
    if isinstance(value, dict):
        return {name: _without(item, gone) for name, item in value.items()}
    if isinstance(value, list):
        return [
            _without(item, gone)
            for item in value
            if not (isinstance(item, str) and item in gone)
            and not (isinstance(item, dict) and any(str(part).startswith(SECRET_MARK) for part in item.values()))
        ]
    return value


def _substitution(
    catalogue: Catalogue,
    source: Mapping[ResourceKey, Payload],
    target: Mapping[ResourceKey, Payload],
    id_map: Mapping[ResourceKey, str],
) -> Any:
    pairs: dict[str, str] = {}
    for key, target_id in id_map.items():
        resource_type = catalogue[key.type]
        pairs[key.id] = target_id
        there = target.get(ResourceKey(key.type, target_id), {})
        for path in (*resource_type.fields.aliases, *resource_type.derived_fields):
            ours, theirs = find_value(source.get(key, {}), path), find_value(there, path)
            if isinstance(ours, str) and isinstance(theirs, str) and len(ours) >= 8:
                pairs[ours] = theirs
    changed = {ours: theirs for ours, theirs in pairs.items() if ours != theirs}
    if not changed:
        return lambda value: value
    longest_first = sorted(changed, key=len, reverse=True)
    # An id ends where the characters of ids end: one id may begin like another.
    pattern = re.compile(r"(?<![A-Za-z0-9-])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![A-Za-z0-9_-])")

    def substitute(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda match: changed[match[0]], value)
        if isinstance(value, list):
            return [substitute(item) for item in value]
        if isinstance(value, dict):
            return {name: substitute(item) for name, item in value.items()}
        return value

    return substitute


def _compare(expected: Any, found: Any, pointer: str, path: str, sets: set[str]) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            if value is not None or name in found:
                below = f"{path}.{name}" if path else name
                yield from _compare(value, found.get(name), f"{pointer}/{name}", below, sets)
    elif isinstance(expected, list) and isinstance(found, list) and path in sets:
        if sorted(map(repr, expected)) != sorted(map(repr, found)) and not _covers(expected, found):
            yield pointer, expected, found
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
            yield from _compare(ours, theirs, f"{pointer}/{index}", f"{path}[]", sets)
    elif expected != found:
        yield pointer, expected, found


def _covers(expected: list[Any], found: list[Any]) -> bool:
    """Tell whether each expected item of a set is among the found ones, which may carry more fields."""
    return all(any(not list(_compare(item, other, "", "", set())) for other in found) for item in expected)


def _stale_siblings(
    resource_type: ResourceType,
    key: ResourceKey,
    found: Payload,
    target: Mapping[ResourceKey, Payload],
) -> Iterator[Difference]:
    """Yield pinned values, such as a mapping's version, that do not agree with the referent on the target."""
    for reference in resource_type.references:
        if not reference.siblings or reference.field != "id":
            continue
        parent, _, name = reference.path.rpartition(".")
        for holder in values_at(found, parent):
            referent = target.get(ResourceKey(reference.to[0], str(holder.get(name))))
            for sibling, field in reference.siblings.items():
                wanted = find_value(referent, field) if referent is not None else None
                if wanted is not None and sibling in holder and holder[sibling] != wanted:
                    yield Difference(key, "", f"{parent}.{sibling}", wanted, holder[sibling])
