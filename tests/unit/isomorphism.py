"""Say what is wrong with a target after a sync, by other means than the product's: plain substitution in plain text.

Every string of a source payload is rewritten by substituting all source ids at once; what results must be found in the
target's payload. What names a config that has no counterpart on the target may stand there, changed or not, or be left
out with the part around it: which of these is the planner's to decide and is tested there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.domain.api_operation import Removal
from shared.domain.paths import find_value, remove_paths, values_at
from shared.domain.resource_type import PORTABLE_FORMS, Catalogue, Form, Identity, ResourceKey, ResourceType

Payload = Mapping[str, Any]
Payloads = Mapping[ResourceKey, Payload]


class _Wild:
    """Stands for a string that names what has no counterpart."""

    def __repr__(self) -> str:
        return "<anything>"


WILD = _Wild()
#: How far around such a string a part may be left out.
_LARGEST_PART = 3


@dataclass(frozen=True)
class Names:
    """What the configs of the source are called there, and what on the target.

    Attributes:
        counterparts: identifier of the source -> of the target.
        lost: identifiers of the source that have no counterpart.
    """

    counterparts: Mapping[str, str]
    lost: frozenset[str] = frozenset()
    _pattern: re.Pattern[str] | None = field(init=False, compare=False)
    _words: re.Pattern[str] | None = field(init=False, compare=False)

    def __post_init__(self) -> None:
        known = {*self.counterparts, *self.lost}
        inside = sorted((one for one in known if is_shaped(one)), key=lambda one: (-len(one), one))
        # An id ends where the characters of ids end: one id may begin like another.
        text = rf"(?<![A-Za-z0-9-])(?:{'|'.join(map(re.escape, inside))})(?![A-Za-z0-9_-])"
        object.__setattr__(self, "_pattern", re.compile(text) if inside else None)
        # What looks like a word is an id only where it is the whole of a string: in stringified JSON, between quotes.
        words = sorted(one for one, other in self.counterparts.items() if one != other and one not in inside)
        quoted = rf'(?<=")(?:{"|".join(map(re.escape, words))})(?=")'
        object.__setattr__(self, "_words", re.compile(quoted) if words else None)

    def expected(self, value: Any) -> Any:
        """Return what the target should hold in the place of a value."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.expected(item) for item in value]
        if isinstance(value, dict):
            named = {self._text(name): self.expected(item) for name, item in value.items()}
            return {name: item for name, item in named.items() if name is not WILD}
        return value

    def _text(self, text: str) -> Any:
        if text in self.lost or text.partition(":")[0] in self.lost or text.removeprefix("group_") in self.lost:
            return WILD
        if text in self.counterparts:
            return self.counterparts[text]
        if self._words is not None and text[:1] in ("{", "["):
            text = self._words.sub(lambda match: self.counterparts[match[0]], text)
        if self._pattern is None:
            return text
        lost = False

        def replaced(match: re.Match[str]) -> str:
            nonlocal lost
            lost = lost or match[0] in self.lost
            return self.counterparts.get(match[0], match[0])

        rewritten = self._pattern.sub(replaced, text)
        if not lost and any("{{" in text and one in text for one in self.lost):
            return WILD
        return WILD if lost else rewritten


def is_shaped(identifier: str) -> bool:
    """Tell whether an identifier is told from a word inside a longer text."""
    is_word = identifier.islower() or identifier.istitle()
    return len(identifier) >= 8 and (not is_word or ":" in identifier or any(one.isdigit() for one in identifier))


def names_between(
    catalogue: Catalogue, source: Payloads, target: Payloads, id_map: Mapping[ResourceKey, str], ever: Iterable[str]
) -> Names:
    """Collect what substitutes what.

    Args:
        catalogue: all resource types.
        source: raw payloads of the source organisation.
        target: raw payloads of the target organisation.
        id_map: source config -> target id.
        ever: identifiers that configs of the source have, had, or are said to have.
    """
    counterparts = {key.id: target_id for key, target_id in id_map.items()}
    for key, target_id in id_map.items():
        resource_type = catalogue[key.type]
        ours, theirs = source.get(key, {}), target.get(ResourceKey(key.type, target_id), {})
        for path in (*resource_type.fields.aliases, *resource_type.derived_fields):
            here, there = find_value(ours, path), find_value(theirs, path)
            if isinstance(here, str) and isinstance(there, str) and len(here) >= 8:
                counterparts.setdefault(here, there)
    return Names(counterparts, frozenset(ever) - counterparts.keys())


def carried_over(resource_type: ResourceType, payload: Payload) -> Any:
    """Leave out what is never copied: server-assigned fields, secrets, the target's own fields, derived siblings."""
    kept = {name: value for name, value in payload.items() if name in (resource_type.keep_only or payload)}
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
            *([resource_type.active.path] if resource_type.active else []),
        ],
    )


def ever_sent(resource_type: ResourceType, payload: Payload) -> Any:
    """Leave out what no job sends, at creation or later; places in which the catalogue declares references stay."""
    declared = [reference.path.removeprefix("$.") for reference in resource_type.references]
    external = [path for path in resource_type.external_strip if not any(one.startswith(path) for one in declared)]
    kept = {name: value for name, value in payload.items() if name in (resource_type.keep_only or payload)}
    return remove_paths(kept, [*resource_type.strip, *external])


def identifying_values(resource_type: ResourceType, payload: Payload) -> set[str]:
    """Return by what, besides its id, others name a config."""
    paths = ("slug", *resource_type.fields.aliases, *resource_type.derived_fields)
    return {value for path in paths for value in values_at(payload, path) if isinstance(value, str) and value}


def differences(resource_type: ResourceType, names: Names, source: Payload, target: Payload) -> Iterator[str]:
    """Yield one sentence for each place where a target is not what its source says."""
    expected = names.expected(carried_over(resource_type, source))
    sets = frozenset(resource_type.sets)
    yield from _compare(expected, carried_over(resource_type, target), "", "", sets)


def _compare(expected: Any, found: Any, pointer: str, path: str, sets: frozenset[str]) -> Iterator[str]:
    if expected is WILD:
        return
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            if name in found:
                yield from _compare(value, found[name], f"{pointer}/{name}", f"{path}.{name}".lstrip("."), sets)
            elif value not in (None, [], {}) and not _may_go(value):
                yield f"{pointer}/{name}: expected {value!r}, found nothing"
    elif isinstance(expected, list) and isinstance(found, list):
        if not (_covers if path in sets else _aligns)(expected, found, f"{path}[]", sets):
            yield from _first_difference(expected, found, pointer, path, sets)
    elif expected != found and not (expected in (None, [], {}) and found in (None, [], {})):
        yield f"{pointer}: expected {expected!r}, found {found!r}"


def _first_difference(
    expected: list[Any], found: list[Any], pointer: str, path: str, sets: frozenset[str]
) -> Iterator[str]:
    if len(expected) == len(found) and path not in sets:
        for index, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
            yield from _compare(ours, theirs, f"{pointer}/{index}", f"{path}[]", sets)
        return
    yield f"{pointer}: expected {expected!r}, found {found!r}"


def _may_go(value: Any, around: int = _LARGEST_PART) -> bool:
    """Tell whether a part holds, close by, what names something lost."""
    if value is WILD:
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return around > 0 and any(_may_go(part, around - 1) for part in parts)


def _aligns(expected: list[Any], found: list[Any], path: str, sets: frozenset[str]) -> bool:
    """Tell whether the found items are the expected ones in order, but for such as may be left out."""
    reached = {0}
    for item in expected:
        reached = {
            *(at for at in reached if _may_go(item)),
            *(at + 1 for at in reached if at < len(found) and not any(_compare(item, found[at], "", path, sets))),
        }
    return len(found) in reached


def _covers(expected: list[Any], found: list[Any], path: str, sets: frozenset[str]) -> bool:
    """Tell whether each expected item of a set is among the found ones, which may carry more fields."""
    return all(_may_go(item) or any(not any(_compare(item, one, "", path, sets)) for one in found) for item in expected)


def stale_siblings(
    resource_type: ResourceType, names: Names, source: Payload, payload: Payload, target: Payloads
) -> Iterator[str]:
    """Yield pinned values, such as a mapping's version, that do not agree with what they are pinned to.

    What the target names by itself is the target's: a job changes what it pins and knows nothing of it.
    """
    for reference in resource_type.references:
        if not reference.siblings or reference.field != "id":
            continue
        parent, _, name = reference.path.rpartition(".")
        carried = [names.expected(holder.get(name)) for holder in values_at(source, parent)]
        for holder in values_at(payload, parent):
            if holder.get(name) not in carried:
                continue
            referent = target.get(ResourceKey(reference.to[0], str(holder.get(name))), {})
            for sibling, path in reference.siblings.items():
                wanted = find_value(referent, path)
                if wanted is not None and sibling in holder and holder[sibling] != wanted:
                    yield f"{parent}.{sibling}: expected {wanted!r}, found {holder[sibling]!r}"


def left_ids(payload: Any, gone: Iterable[str]) -> Iterator[str]:
    """Yield identifiers that a payload's text still names."""
    text = json.dumps(payload, ensure_ascii=False)
    yield from (one for one in gone if one in text)


def kept_though_dropped(
    resource_type: ResourceType, base: Payload, now: Payload, left: Payload, before: Payload, after: Payload
) -> Iterator[str]:
    """Yield properties that the source has dropped since the last sync and the target still has, untouched by hand.

    Where the catalogue says that the API takes nothing away, or shows only a part, they stay.

    Args:
        resource_type: of all.
        base: the source at the last sync.
        now: the source.
        left: the target after the last sync.
        before: the target before this one.
        after: the target after it.
    """
    ours, theirs = carried_over(resource_type, base), carried_over(resource_type, now)
    update = resource_type.update
    if update is None or (update.merge and (resource_type.limited_view or update.removal is Removal.IMPOSSIBLE)):
        return
    needed = update.required
    for name in ours.keys() - theirs.keys():
        untouched = name in left and left[name] == before.get(name)
        if untouched and after.get(name) not in (None, [], {}, "") and name not in needed:
            yield f"/{name}: the source has dropped it, the target keeps {after[name]!r}"


def named_by_id(catalogue: Catalogue, key: ResourceKey, payload: Payload, others: Payloads) -> bool:
    """Tell whether one of some payloads names a config by what the server assigned to it.

    An id that is made of slugs is the same in every organisation: only an id path names a config by it.
    """
    resource_type = catalogue[key.type]
    if resource_type.identity in (Identity.PORTABLE, Identity.ORG_PREFIXED):
        return False
    if ":" in key.id:
        return any(key.id in ids_at_id_paths(catalogue[other.type], held, key.type) for other, held in others.items())
    fields = [*resource_type.derived_fields, *(path for path in resource_type.fields.aliases if "." in path)]
    aliases: list[Any] = [key.id, *(find_value(payload, path) for path in fields), find_value(payload, "public_url")]
    assigned = [one for one in aliases if isinstance(one, str) and len(one) >= 8]
    texts = [json.dumps(held, ensure_ascii=False) for held in others.values()]
    return any(one in text for one in assigned for text in texts)


def ids_at_id_paths(resource_type: ResourceType, payload: Payload, to: str) -> set[Any]:
    """Return what a payload holds where the catalogue declares ids of a type."""
    return {
        value
        for reference in resource_type.references
        if to in reference.to and reference.form not in (*PORTABLE_FORMS, Form.URL, Form.ROLE_ID)
        for value in values_at(payload, reference.path)
        if isinstance(value, str)
    }
