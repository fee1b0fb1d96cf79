"""Search what was written for ids of the source: a second, simpler search that shares nothing with the walker.

What the walker cannot see it neither rewrites nor misses; this one looks at the plain text of every string and key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from shared.domain.paths import follow, pointer_of
from shared.domain.plan import ResolutionKind
from shared.domain.references import Identifiers, is_portable
from shared.domain.sendable import sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shared.domain.plan import Resolution
    from shared.domain.remap import IdMap
    from shared.domain.resource_type import Catalogue, ResourceType

_START = 8
# A shorter id may be a part of another word by chance.
_UNMISTAKABLE = 20
# Nobody encodes an id more often; `%2525…` would go on for as long as it is.
_MAX_ENCODINGS = 8


@dataclass(frozen=True, slots=True)
class SourceIds:
    """Ids that must not be left in what was written.

    Attributes:
        ids: the ids.
        lengths: the first characters of an id -> how long those that begin so are.
    """

    ids: frozenset[str]
    lengths: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, ids: Iterable[str]) -> SourceIds:
        """Return what finds the given ids."""
        known = frozenset(one for one in ids if len(one) >= _START)
        lengths: dict[str, set[int]] = {}
        for one in known:
            lengths.setdefault(one[:_START], set()).add(len(one))
        return cls(known, {start: tuple(sorted(found, reverse=True)) for start, found in lengths.items()})

    def inside(self, text: str) -> dict[str, None]:
        """Return the ids that a text holds, raw or percent-decoded, the longest at each place."""
        found = dict.fromkeys(self._inside(text))
        for _ in range(_MAX_ENCODINGS):
            decoded = unquote(text) if "%" in text else text
            if decoded == text:
                break
            text = decoded
            found |= dict.fromkeys(self._inside(text))
        return found

    def _inside(self, text: str) -> Iterator[str]:
        starts = self.lengths
        end = 0
        for at in [at for at in range(len(text) - _START + 1) if text[at : at + _START] in starts]:
            for length in starts[text[at : at + _START]] if at >= end else ():
                one = text[at : at + length]
                if one in self.ids and (length >= _UNMISTAKABLE or _stands_alone(text, at, at + length)):
                    yield one
                    end = at + length
                    break


def _stands_alone(text: str, start: int, end: int) -> bool:
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())


def remapped_ids(catalogue: Catalogue, identifiers: Identifiers, id_map: IdMap) -> SourceIds:
    """Return the ids that the source's server assigned and that are others on the target.

    Args:
        catalogue: all resource types.
        identifiers: ids and aliases of the source.
        id_map: every resource of the job with a target, existing ones included. What is an id of the target, too (an
            organisation may be the clone of another), does not count.
    """
    on_target = {written.id for written in id_map.values()}
    remapped = set()
    for identifier, meanings in identifiers.items():
        if identifier in on_target or any(is_portable(catalogue, one, identifier) for one in meanings):
            continue
        known = [(one, id_map[one.key]) for one in meanings if one.key in id_map]
        if known and len(known) == len(meanings):
            there = [
                written.id if one.key.id == identifier else written.fields.get(one.field, identifier)
                for one, written in known
            ]
            if all(isinstance(value, str) and value != identifier for value in there):
                remapped.add(identifier)
    return SourceIds.of(remapped)


def leftover_source_ids(
    resource_type: ResourceType,
    source_payload: Mapping[str, Any],
    target_payload: Mapping[str, Any],
    ids: SourceIds,
    resolutions: Iterable[Resolution],
) -> list[tuple[str, str]]:
    """Return (JSON pointer, id) of each id of the source that source and target hold at the same place.

    Args:
        resource_type: the type of both.
        source_payload: what was written from.
        target_payload: what was read back.
        ids: what must not be left.
        resolutions: of the references of the source; what they keep is no leftover.
    """
    meant = (ResolutionKind.KEEP, ResolutionKind.LEFT_OUT)
    kept = {(one.found.steps, one.found.in_key, one.found.identifier) for one in resolutions if one.kind in meant}
    source = sendable(resource_type, source_payload)
    left: list[tuple[str, str]] = []
    for steps, in_key, text in _texts(sendable(resource_type, target_payload)):
        found = ids.inside(text)
        there = _inside_source(source, steps, in_key, ids) if found else found
        pointer = pointer_of(steps) if there else ""
        left += [
            (pointer, identifier)
            for identifier in found
            if identifier in there and (steps, in_key, identifier) not in kept
        ]
    return left


def _inside_source(source: Any, steps: Sequence[str | int], in_key: bool, ids: SourceIds) -> Mapping[str, None]:
    """Return the ids that the source has at a place."""
    container = follow(source, steps[:-1])
    if in_key:
        text = steps[-1] if isinstance(container, dict) and steps[-1] in container else None
    else:
        text = follow(source, steps)
    return ids.inside(text) if isinstance(text, str) else {}


def _texts(payload: Any) -> Iterator[tuple[tuple[str | int, ...], bool, str]]:
    """Yield every key and string with the steps that lead to it, in payload order; True for a key."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), payload)]
    while waiting:
        steps, node = waiting.pop()
        if isinstance(node, str):
            yield steps, False, node
        elif isinstance(node, dict):
            for key in node:
                yield (*steps, key), True, key
            waiting += [((*steps, key), value) for key, value in reversed(node.items())]
        elif isinstance(node, list):
            waiting += [((*steps, index), value) for index, value in reversed(list(enumerate(node)))]
