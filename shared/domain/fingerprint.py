"""Tell whether two payloads say the same, whatever the server added, reordered or wrote in another number format."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from hashlib import sha256
from itertools import chain, repeat, starmap
from typing import TYPE_CHECKING, Any

from shared.domain.bounds import read_json_text
from shared.domain.paths import ITEMS, copy_json, parse_path, replace_values, values_at
from shared.domain.sendable import sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.resource_type import Reference, ResourceType

#: Part of every catalogue version; raised where this module makes other content of the same payload.
_RULES = 1
# How often an item of a set looks for a partner, on average, before the set counts as changed: all with all would be
# the square. At worst that costs one more write.
_TRIES_AN_ITEM = 32


def fingerprint(resource_type: ResourceType, payload: Mapping[str, Any]) -> str:
    """Return the catalogue version and a SHA-256 of the canonical content of a payload, in hex: `<version>:<hash>`."""
    return fingerprint_of(resource_type, canonical(resource_type, payload))


def fingerprint_of(resource_type: ResourceType, content: Any) -> str:
    """Return the fingerprint of a payload whose canonical content is given."""
    return f"{catalogue_version(resource_type)}:{_digest(content)}"


def agree(one: str, other: str) -> bool | None:
    """Tell whether two fingerprints are of the same content; None where their canonical forms differ, or one is empty.

    A fingerprint that names no version, as they were kept once, is taken for one of the other's version.
    """
    if not one or not other:
        return None
    version, _, digest = one.rpartition(":")
    other_version, _, other_digest = other.rpartition(":")
    if version and other_version and version != other_version:
        return None
    return digest == other_digest


def override_fingerprint(override: Any) -> str:
    """Return a fingerprint of a payload override as it is: keys in any order, nulls counted (they remove)."""
    return _digest(override)


def canonical(resource_type: ResourceType, payload: Mapping[str, Any]) -> Any:
    """Return what of a payload counts for its fingerprint.

    Only what may be sent counts. A property that is null counts as absent, since APIs write an unset property either
    way; 1.0 counts as 1; sets stand sorted; a stringified object or array counts by its content.
    """
    content = sendable(resource_type, payload)
    for path in resource_type.stringified:
        replace_values(content, path, _parsed)
    content = _normalised(content)
    _sort_sets(resource_type, content)
    return content


def canonical_again(resource_type: ResourceType, content: Mapping[str, Any]) -> Any:
    """Return canonical content of an older catalogue version as today's entry has it.

    Content that `canonical` has just made comes out as it went in. What an older entry removed stays removed.
    """
    payload: dict[str, Any] = copy_json(content)
    for path in resource_type.stringified:
        replace_values(payload, path, _stringified)
    return canonical(resource_type, payload)


def catalogue_version(resource_type: ResourceType) -> str:
    """Return a short hash of what an entry declares about canonical content: two of one version make it alike."""
    return _version(
        resource_type.external_strip,
        resource_type.references,
        (
            resource_type.strip,
            resource_type.secrets,
            resource_type.keep_only,
            tuple(resource_type.drop_without.items()),
            resource_type.sets,
            resource_type.stringified,
        ),
    )


@lru_cache(maxsize=256)
def _version(
    external_strip: tuple[str, ...], references: tuple[Reference, ...], declarations: tuple[tuple[Any, ...], ...]
) -> str:
    stripped = [parse_path(path) for path in external_strip]
    # What a reference holds is kept, so those at or below a stripped place count.
    keeping = [
        (reference.path, reference.form, reference.prefix, reference.strength, reference.when or ())
        for reference in references
        if any(parse_path(reference.path)[: len(segments)] == segments for segments in stripped)
    ]
    return _digest([_RULES, *map(sorted, (external_strip, keeping, *declarations))])[:12]


def equal_where_sent(resource_type: ResourceType, body: Mapping[str, Any], target_payload: Mapping[str, Any]) -> bool:
    """Tell whether writing a body would leave a target config as it is.

    Only the properties of the body count, at every depth, so that defaults which the server filled in do not. Arrays
    count as a whole: as many items, in the same order, each by the properties of the body's item; in sets the order is
    free. Null counts as missing. An empty text, object or array does not: an API may well take it for `none` and fill
    in a default for what is missing. At worst that costs one more write, after which the fingerprints decide.

    Args:
        resource_type: the type of both.
        body: what would be sent, references remapped.
        target_payload: what is on the target, whole.
    """
    sets = frozenset(parse_path(path) for path in resource_type.sets)
    ours, theirs = dict(body), dict(target_payload)
    for path in resource_type.stringified:
        ours, theirs = _with_parsed(ours, path), _with_parsed(theirs, path)
    return _is_within(ours, theirs, (), sets)


def _digest(value: Any) -> str:
    return sha256(_text(value).encode("utf-8", "surrogatepass")).hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _with_parsed(payload: dict[str, Any], path: str) -> dict[str, Any]:
    copied: dict[str, Any] = copy_json(payload)
    replace_values(copied, path, _parsed)
    return copied


def _parsed(value: Any) -> Any:
    """Read a stringified object or array; what is none stays as it is."""
    parsed = read_json_text(value) if isinstance(value, str) else None
    return value if parsed is None else parsed


def _stringified(value: Any) -> Any:
    return _text(value) if isinstance(value, dict | list) else value


def _normalised(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normalised(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_normalised(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _sort_sets(resource_type: ResourceType, content: Any) -> None:
    """Sort the sets in place, inner ones first."""
    for path in sorted(resource_type.sets, key=lambda path: -len(parse_path(path))):
        for items in values_at(content, path):
            if isinstance(items, list):
                items.sort(key=_text)


def _is_within(ours: Any, theirs: Any, path: tuple[str, ...], sets: frozenset[tuple[str, ...]]) -> bool:
    # One frame a level: a payload and the JSON in one of its texts may each be as deep as their bound.
    if isinstance(ours, dict):
        if not isinstance(theirs, dict):
            return False
        pairs = ((value, theirs.get(name), (*path, name), sets) for name, value in ours.items())
        return all(starmap(_is_within, pairs))
    if isinstance(ours, list):
        if not isinstance(theirs, list) or len(ours) != len(theirs):
            return False
        below = (*path, ITEMS)
        if path not in sets:
            return all(map(_is_within, ours, theirs, repeat(below), repeat(sets)))
        return _pairs_up(ours, theirs, below, sets)
    return type(_number(ours)) is type(_number(theirs)) and ours == theirs


def _number(value: Any) -> Any:
    """Make numbers of one type, so that 1 equals 1.0 but not true."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _pairs_up(ours: list[Any], theirs: list[Any], path: tuple[str, ...], sets: frozenset[tuple[str, ...]]) -> bool:
    """Tell whether every item can have a partner of its own that carries all that it says.

    Equal ones go together first: whoever else fits one of them fits the partner that the other has instead. What is
    left is a bipartite matching, grown by one augmenting path for each item.
    """
    left: dict[str, list[Any]] = {}
    for item in theirs:
        left.setdefault(_text(_normalised(item)), []).append(item)
    unequal = [item for item in ours if not _take(left, _text(_normalised(item)))]
    others = [item for items in left.values() for item in items]
    # A plain value has equals only.
    if len(unequal) > len(others) or not all(isinstance(item, dict | list) for item in unequal):
        return False

    @cache
    def fits(one: int, place: int) -> bool:
        return _is_within(unequal[one], others[place], path, sets)

    return _all_find_a_place(len(unequal), len(others), fits)


def _all_find_a_place(items: int, places: int, fits: Callable[[int, int], bool]) -> bool:
    """Tell whether every item can have a place of its own; False where too many tries do not tell.

    An item is tried at its own position first: mostly the server has only filled in defaults.
    """
    tries_left = _TRIES_AN_ITEM * max(places, 2 * _TRIES_AN_ITEM)
    owners: dict[int, int] = {}
    held: dict[int, int] = {}
    for number in range(items):
        reached: dict[int, int] = {}
        queue, free = [number], None
        for one in queue:
            for place in chain(range(one, places), range(min(one, places))):
                tries_left -= 1
                if place not in reached and fits(one, place):
                    reached[place] = one
                    if place not in owners:
                        free = place
                        break
                    queue.append(owners[place])
                if not tries_left:
                    return False
            if free is not None:
                break
        if free is None:
            return False
        while free is not None:
            one = reached[free]
            owners[free] = one
            held[one], free = free, held.get(one)
    return True


def _take(items: dict[str, list[Any]], text: str) -> bool:
    """Take one of the items that say so out; False where there is none left."""
    if items.get(text):
        items[text].pop()
        return True
    return False
