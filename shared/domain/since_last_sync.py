"""Who changed what since the last sync: source and target beside what both were then.

base ---- source        what was sent last, and what the source says now
|          |
left ---- target        what was read back then, and what the target says now
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.domain.fingerprint import agree, canonical, canonical_again
from shared.domain.paths import ITEMS, follow, parse_path, pointer_of
from shared.domain.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shared.domain.plan import LineageEntry
    from shared.domain.resource_type import ResourceType

Steps = tuple[str | int, ...]

#: Returns remembered contents by their hashes; those that are gone are left out.
Recall = Callable[[Collection[str]], Mapping[str, Any]]

_ABSENT = object()
_MAX_SHOWN = 80


def turned(entry: LineageEntry) -> LineageEntry:
    """Return an entry as one of the other direction, which knows nothing of references.

    What an override changed is on one side only, so such an entry tells nothing of what the other direction left.
    """
    if entry.override_fingerprint:
        entry = replace(entry, source_fingerprint="", target_fingerprint="", base="", left="")
    return replace(
        entry,
        source_org_id=entry.target_org_id,
        source_id=entry.target_id,
        target_org_id=entry.source_org_id,
        target_id=entry.source_id,
        source_fingerprint=entry.target_fingerprint,
        target_fingerprint=entry.source_fingerprint,
        override_fingerprint="",
        references="",
        left_out=(),
        base=entry.left,
        left=entry.base,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SinceLastSync:
    """What has become of source and target since the last sync of both.

    Attributes:
        source_same, target_same: whether each says what it said then; None where nobody can tell.
        base, left: canonical contents of then, None where they are gone or were not asked for.
    """

    source_same: bool | None = None
    target_same: bool | None = None
    base: Any = None
    left: Any = None


def memories_wanted(
    entry: LineageEntry, source_fingerprint: str, target_fingerprint: str, override_fingerprint: str
) -> tuple[str, ...]:
    """Return the hashes of the memories that tell more than the fingerprints of an entry do; empty where they tell all.

    Where only the target has changed it is written over, whatever was there.
    """
    source_same = agree(entry.source_fingerprint, source_fingerprint)
    target_same = agree(entry.target_fingerprint, target_fingerprint)
    if source_same and target_same is not None and entry.override_fingerprint == override_fingerprint:
        return ()
    return tuple(digest for digest in (entry.base, entry.left) if digest)


def memories_of_older_forms(entry: LineageEntry, source_fingerprint: str, target_fingerprint: str) -> tuple[str, ...]:
    """Return the hashes of the memories without which nobody can tell what has changed: what fingerprints do not."""
    sides = (
        (entry.source_fingerprint, source_fingerprint, entry.base),
        (entry.target_fingerprint, target_fingerprint, entry.left),
    )
    return tuple(digest for then, now, digest in sides if digest and then and agree(then, now) is None)


def since_last_sync(
    resource_type: ResourceType,
    entry: LineageEntry,
    source: tuple[str, Mapping[str, Any]],
    target: tuple[str, Mapping[str, Any]],
    recalled: Mapping[str, Any],
) -> SinceLastSync:
    """Compare source and target with what is remembered of them.

    Args:
        resource_type: the type of both.
        entry: what is known of their last sync.
        source: fingerprint of the source, and its payload with overrides applied.
        target: fingerprint and payload of the target.
        recalled: remembered contents by their hashes.
    """
    base = canonical_again(resource_type, recalled[entry.base]) if entry.base in recalled else None
    left = canonical_again(resource_type, recalled[entry.left]) if entry.left in recalled else None
    known = bool(entry.source_fingerprint and entry.target_fingerprint)
    return SinceLastSync(
        source_same=_same(resource_type, entry.source_fingerprint, source, base) if known else None,
        target_same=_same(resource_type, entry.target_fingerprint, target, left) if known else None,
        base=base,
        left=left,
    )


def _same(resource_type: ResourceType, then: str, now: tuple[str, Mapping[str, Any]], content_then: Any) -> bool | None:
    """Compare by fingerprint, or by content where the canonical form is another one since then."""
    by_fingerprint = agree(then, now[0])
    if by_fingerprint is not None or content_then is None:
        return by_fingerprint
    return bool(content_then == canonical(resource_type, now[1]))


def removed_since(base: Any, source: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """Return the top-level properties that were sent last, that the source no longer has, and that the target has.

    All three are canonical contents, in which what is empty counts as absent.
    """
    names = base if isinstance(base, dict) else ()
    return [name for name in names if _is_empty(source.get(name)) and not _is_empty(target.get(name))]


def _is_empty(value: Any) -> bool:
    return value in (None, "", [], {})


def conflicts(
    resource_type: ResourceType, since: SinceLastSync, source: Any, target: Any, written: Any
) -> list[tuple[Steps, str, str]]:
    """Return the places that source and target both changed since the last sync, to different values.

    Args:
        resource_type: the type of both.
        since: with `base` and `left`.
        source: canonical content of now.
        target: canonical content of now.
        written: canonical content of what would be sent, references as on the target.

    Returns:
        Per place its steps in the target, what the source says there and what the target says, short and without
        tokens; empty where base or left is not known.
    """
    if since.base is None or since.left is None:
        return []
    ours = set(differing_places(resource_type, since.base, source))
    above_ours = {steps[:depth] for steps in ours for depth in range(len(steps))}
    found = []
    for theirs in differing_places(resource_type, since.left, target):
        if theirs in above_ours or any(theirs[:depth] in ours for depth in range(len(theirs) + 1)):
            new, old = follow(written, theirs), follow(target, theirs)
            if new != old:
                found.append((theirs, _shown(new), _shown(old)))
    return found


def _shown(value: Any) -> str:
    text = redact(json.dumps(value, ensure_ascii=False)[: 10 * _MAX_SHOWN])
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def conflict_note(conflict: tuple[Steps, str, str]) -> str:
    """Say a conflict in one sentence."""
    steps, new, old = conflict
    return f"CONFLICT at {pointer_of(steps)}: both sides changed it since the last sync, to {new} here and {old} there."


def differing_places(resource_type: ResourceType, one: Any, other: Any) -> Iterator[Steps]:
    """Yield the places at which two canonical contents differ.

    An array of which the length differs, and a set, count as one place; so does a string that holds JSON.
    """
    whole = frozenset(parse_path(path) for path in (*resource_type.sets, *resource_type.stringified))
    yield from _differing(one, other, (), (), whole)


def _differing(
    one: Any, other: Any, steps: Steps, path: tuple[str, ...], whole: Collection[tuple[str, ...]]
) -> Iterator[Steps]:
    if path not in whole:
        if isinstance(one, dict) and isinstance(other, dict):
            for name in sorted(one.keys() | other.keys()):
                below = one.get(name, _ABSENT), other.get(name, _ABSENT)
                yield from _differing(*below, (*steps, name), (*path, name), whole)
            return
        if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            for index, (item, twin) in enumerate(zip(one, other, strict=True)):
                yield from _differing(item, twin, (*steps, index), (*path, ITEMS), whole)
            return
    if isinstance(one, bool) is not isinstance(other, bool) or one != other:
        yield steps


def names_of(paths: Iterable[str]) -> set[str]:
    """Return the top-level properties that catalogue paths lead through."""
    return {parse_path(path)[0] for path in paths if parse_path(path)}
