"""Put other identifiers into a payload at the places of its references, and change nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.domain.escapes import escape_like
from shared.domain.paths import copy_json, follow, remove_places

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.references import FoundReference, Step


@dataclass(frozen=True, slots=True)
class Replacement:
    """What becomes of a found reference.

    Attributes:
        found: the place.
        value: the identifier to put in its stead; None leaves the smallest part out that makes sense without it.
        siblings: properties beside the value, with the value that must agree with the new referent.
    """

    found: FoundReference
    value: str | None
    siblings: Mapping[str, Any] = field(default_factory=dict)


def rewrite(payload: Any, replacements: Iterable[Replacement]) -> Any:
    """Return a copy of a payload in which exactly the given places are changed.

    Args:
        payload: the payload in which the references were found.
        replacements: at most one per found reference. A left-out identifier inside a longer string stays as it is.

    Raises:
        TypeError, KeyError, IndexError: a reference was found in another payload.
    """
    copied = copy_json(payload)
    by_place: dict[tuple[bool, tuple[Step, ...]], list[Replacement]] = {}
    # A sibling has its value from the reference beside it, whatever else was found in it.
    pinned: dict[tuple[Step, ...], Any] = {}
    for replacement in replacements:
        by_place.setdefault((replacement.found.in_key, replacement.found.steps), []).append(replacement)
        if replacement.value is not None:
            pinned |= {(*replacement.found.steps[:-1], name): value for name, value in replacement.siblings.items()}
    removals: list[tuple[Step, ...]] = []
    renames: dict[int, tuple[dict[str, Any], dict[str, str]]] = {}
    for (is_key, steps), group in by_place.items():
        if not is_key and steps in pinned:
            continue
        container = follow(copied, steps[:-1])
        original: str = str(steps[-1]) if is_key else container[steps[-1]]
        parts: list[str] = []
        last = 0
        for replacement in sorted(group, key=lambda r: r.found.start):
            found = replacement.found
            if replacement.value is not None:
                written = escape_like(replacement.value, found.identifier, original, found.start, found.end)
                parts += (original[last : found.start], written)
                last = found.end
            elif found.certain:
                unit = found.reference.unit if found.reference else 0
                removals.append(steps[: len(steps) - unit])
        text = "".join((*parts, original[last:]))
        if text != original:
            if is_key:
                renames.setdefault(id(container), (container, {}))[1][str(steps[-1])] = text
            else:
                container[steps[-1]] = text
    for steps, value in pinned.items():
        follow(copied, steps[:-1])[steps[-1]] = copy_json(value)
    remove_places(copied, removals)
    for container, names in renames.values():
        _rename(container, names)
    return copied


def _rename(container: dict[str, Any], names: Mapping[str, str]) -> None:
    """Rename properties, which keep their places; one whose new name another property has and keeps stays as it is."""
    kept = container.keys() - names.keys()
    items = [(key if names.get(key, key) in kept else names.get(key, key), value) for key, value in container.items()]
    container.clear()
    container.update(items)
