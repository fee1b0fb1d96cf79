"""Find the references in a payload and rewrite exactly those places: the one walker of index, planner and writer.

First the typed references of the catalogue, then a scan of every other string for identifiers that the organisation knows.
Strings are searched in their raw form, so ids inside longer strings, URLs, templates and stringified JSON are found alike, and
what is not a reference stays as it is, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from shared.domain.paths import ANY_KEY, DEEP, ITEMS, KEY_ITSELF, copy_json, parse_path, pointer_of
from shared.domain.resource_type import (
    PORTABLE_FORMS,
    TEXT_FORMS,
    Form,
    Reference,
    ResourceKey,
    ResourceType,
    Strength,
)

Step = str | int

#: Tells whether an identifier is one that the organisation knows.
IsKnown = Callable[[str], bool]

_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_URL_PATTERN = re.compile(r"https?://[^\s\"'<>\\)\]}]+")
_UUID_PATTERN = re.compile(_UUID)
_TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_-]{8,}(?::[A-Za-z0-9_-]+)?")
_HANDLEBARS_PATTERN = re.compile(r"\{\{\{?\s*(?:~~)?\s*([A-Za-z0-9_.-]+)\s*\}\}")
_ENV_PATTERN = re.compile(r"\{\{\s*env\.([a-z0-9][a-z0-9_.-]{0,127})\s*\}\}")


@dataclass(frozen=True, slots=True)
class FoundReference:
    """One place in a payload that names another configuration.

    Attributes:
        steps: keys and indexes that lead to the string.
        identifier: the part of the string that names the referent.
        start, end: where the identifier stands in the string (for a map key: in the key).
        reference: the catalogue's reference, None where the scan found it.
    """

    steps: tuple[Step, ...]
    identifier: str
    start: int
    end: int
    reference: Reference | None = None

    @property
    def pointer(self) -> str:
        """JSON pointer of the string."""
        return pointer_of(self.steps)

    @property
    def to(self) -> tuple[str, ...]:
        """Types it may lead to; empty: any."""
        return self.reference.to if self.reference else ()

    @property
    def strength(self) -> Strength:
        """What an absent referent means. A scanned id is soft: the string keeps its sense for the API."""
        return self.reference.strength if self.reference else Strength.SOFT

    @property
    def portable(self) -> bool:
        """The value is the same in every organisation."""
        return self.reference is not None and self.reference.form in PORTABLE_FORMS

    @property
    def certain(self) -> bool:
        """It is a reference even where the referent is not known."""
        return self.reference is not None and self.reference.form not in TEXT_FORMS


@dataclass(frozen=True, slots=True)
class Identified:
    """What an identifier stands for: a configuration, and the field of it whose value the identifier is."""

    key: ResourceKey
    field: str = "id"


#: id or alias -> what it stands for.
Identifiers = Mapping[str, Sequence[Identified]]


@dataclass(slots=True, eq=False)
class _Branch:
    """A position in the tree of all reference paths of a type; a deep one (`**`) stays reached on every further level."""

    deep: bool = False
    children: dict[str, _Branch] = field(default_factory=dict)
    ends: list[Reference] = field(default_factory=list)


@lru_cache(maxsize=256)
def _tree(references: tuple[Reference, ...]) -> _Branch:
    root = _Branch()
    for reference in references:
        branch = root
        for segment in parse_path(reference.path):
            branch = branch.children.setdefault(segment, _Branch(deep=segment == DEEP))
        branch.ends.append(reference)
    return root


def is_identifier_shaped(value: str) -> bool:
    """Tell whether a value looks like a machine's id rather than a word: only such ids take part in the scan.

    A UUID, a URL, `<a>:<b>`, or at least eight characters with a digit or with capitals behind small letters.
    """
    if _UUID_PATTERN.fullmatch(value) or _URL_PATTERN.fullmatch(value):
        return True
    if not _TOKEN_PATTERN.fullmatch(value):
        return False
    if ":" in value:
        return True
    has_digit = any(character.isdigit() for character in value)
    return has_digit or (not value.islower() and not value.isupper() and not value.istitle())


def find_references(resource_type: ResourceType, payload: Any, is_known: IsKnown | None = None) -> list[FoundReference]:
    """Find all references in a payload, in payload order.

    Args:
        resource_type: whose typed references count.
        payload: the payload as `get` returns it.
        is_known: whether the organisation knows an identifier. None collects candidates: everything that could be an
            identifier, overlapping ones included, to be resolved when all configs are read.

    Returns:
        Typed references whether known or not; text references and scanned ids only where known. Back references are left out.
    """
    root = _tree(resource_type.references)
    return list(_walk(payload, (), _reach([root]), (), is_known))


def _reach(branches: Iterable[_Branch]) -> list[_Branch]:
    """Add the deep positions that are reached without going a level down."""
    reached: list[_Branch] = []
    for branch in branches:
        reached.append(branch)
        if DEEP in branch.children:
            reached.append(branch.children[DEEP])
    return reached


def _step(branches: Sequence[_Branch], segment: str, wildcard: str) -> list[_Branch]:
    """Advance all positions by one level."""
    following = [branch for branch in branches if branch.deep]
    for branch in branches:
        for name in {segment, wildcard}:
            if name in branch.children and name != DEEP:
                following.extend(_reach([branch.children[name]]))
    return list(dict.fromkeys(following))


def _walk(
    node: Any,
    steps: tuple[Step, ...],
    branches: Sequence[_Branch],
    enclosing: tuple[Mapping[str, Any], ...],
    is_known: IsKnown | None,
) -> Iterator[FoundReference]:
    if isinstance(node, dict):
        inside = (*enclosing, node)
        for key, value in node.items():
            for branch in branches:
                keyed = branch.children.get(KEY_ITSELF)
                if keyed is not None:
                    for reference in keyed.ends:
                        yield FoundReference((*steps, key), key, 0, len(key), reference)
            yield from _walk(value, (*steps, key), _step(branches, key, ANY_KEY), inside, is_known)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _walk(value, (*steps, index), _step(branches, ITEMS, ITEMS), enclosing, is_known)
    elif isinstance(node, str) and node:
        references = [reference for branch in branches for reference in branch.ends]
        yield from _in_string(node, steps, references, enclosing, is_known)


def _in_string(
    text: str,
    steps: tuple[Step, ...],
    references: Sequence[Reference],
    enclosing: tuple[Mapping[str, Any], ...],
    is_known: IsKnown | None,
) -> Iterator[FoundReference]:
    whole = [r for r in references if r.form not in TEXT_FORMS and _applies(r, enclosing)]
    if whole:
        for reference in whole:
            found = _whole_value(text, steps, reference)
            if found is not None and reference.strength is not Strength.BACK_REFERENCE:
                yield found
        return
    taken: list[tuple[int, int]] = []
    for reference in references:
        if reference.form in TEXT_FORMS and reference.form is not Form.URL:
            pattern = _ENV_PATTERN if reference.form is Form.ENV_TEMPLATE else _HANDLEBARS_PATTERN
            for match in pattern.finditer(text):
                if is_known is None or is_known(match[1]):
                    taken.append(match.span(1))
                    yield FoundReference(steps, match[1], match.start(1), match.end(1), reference)
    typed_url = next((r for r in references if r.form is Form.URL), None)
    for identifier, start, end in _scan(text, is_known, taken):
        yield FoundReference(steps, identifier, start, end, typed_url)


def _whole_value(text: str, steps: tuple[Step, ...], reference: Reference) -> FoundReference | None:
    start, end = 0, len(text)
    if reference.form is Form.PREFIXED_ID:
        if not text.startswith(reference.prefix):
            return None
        start = len(reference.prefix)
    elif reference.form is Form.SLUG_PREFIX:
        end = text.find(":") if ":" in text else end
    return FoundReference(steps, text[start:end], start, end, reference) if start < end else None


def _applies(reference: Reference, enclosing: tuple[Mapping[str, Any], ...]) -> bool:
    if reference.when is None:
        return True
    name, value = reference.when
    return next((around[name] == value for around in reversed(enclosing) if name in around), False)


def _scan(text: str, is_known: IsKnown | None, taken: list[tuple[int, int]]) -> Iterator[tuple[str, int, int]]:
    """Yield what may be an identifier: whole URLs, then UUIDs, then other tokens and what follows a prefix in them."""
    if len(text) < 8:
        return
    for pattern in (_URL_PATTERN, _UUID_PATTERN, _TOKEN_PATTERN):
        for match in pattern.finditer(text):
            for start, end in _readings(match, pattern):
                identifier = text[start:end]
                if is_known is None:
                    if is_identifier_shaped(identifier):
                        yield identifier, start, end
                    continue
                if not any(start < e and s < end for s, e in taken) and is_known(identifier):
                    taken.append((start, end))
                    yield identifier, start, end
                    break


def _readings(match: re.Match[str], pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Yield the spans in which a match can be read: `group_<id>` is the id as well, `<a>:<b>` also its parts."""
    start, end = match.span()
    yield start, end
    if pattern is _TOKEN_PATTERN:
        token = match[0]
        colon = token.find(":")
        if colon > 0:
            yield start, start + colon
            yield start + colon + 1, end
        underscore = token.find("_")
        if 0 < underscore < len(token) - 1:
            yield start + underscore + 1, end


def resolve(found: FoundReference, identifiers: Identifiers) -> Identified | None:
    """Say which configuration a found reference names.

    Args:
        found: a reference.
        identifiers: all ids and aliases that the organisation knows.

    Returns:
        The known configuration of the likeliest type; for a certain reference that nothing known matches, the configuration
        it claims, of its first type; None for a text or scanned identifier that is not known, or that is known twice over.
    """
    known = identifiers.get(found.identifier, ())
    wanted = found.reference.field if found.reference and found.reference.form is Form.CONTENT else None
    for resource_type in found.to:
        for candidate in known:
            if candidate.key.type == resource_type and wanted in (None, candidate.field):
                return candidate
    if found.certain:
        return Identified(ResourceKey(found.to[0], found.identifier))
    if found.reference is not None and found.reference.form is not Form.URL:
        return None
    keys = {candidate.key for candidate in known}
    return known[0] if len(keys) == 1 else None


def referents_of(resource_type: ResourceType, payload: Any, identifiers: Identifiers) -> dict[ResourceKey, bool]:
    """Return the configs that a payload leads to when it is copied: what a closure follows.

    Places that are not copied (server-assigned, secrets, values bound to the source organisation) do not count.

    Returns:
        In payload order; True where it is reached only by name (slug, key, template, role).
    """
    raise NotImplementedError


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


class _Removed:
    """Marks a place that is left out until its container is swept."""


_REMOVED = _Removed()


def rewrite(payload: Any, replacements: Iterable[Replacement]) -> Any:
    """Return a copy of a payload in which exactly the given places are changed.

    Args:
        payload: the payload in which the references were found.
        replacements: at most one per found reference. A left-out identifier inside a longer string stays as it is.

    Raises:
        KeyError, IndexError: a reference was found in another payload.
    """
    copied = copy_json(payload)
    by_place: dict[tuple[Step, ...], list[Replacement]] = {}
    for replacement in replacements:
        by_place.setdefault(replacement.found.steps, []).append(replacement)
    removals: list[tuple[Step, ...]] = []
    for steps, group in by_place.items():
        container = _follow(copied, steps[:-1])
        original: str = container[steps[-1]] if not _is_key(group[0].found, container) else ""
        text = original
        for replacement in sorted(group, key=lambda r: r.found.start, reverse=True):
            found = replacement.found
            if replacement.value is not None:
                if text:
                    text = text[: found.start] + replacement.value + text[found.end :]
                for name, value in replacement.siblings.items():
                    container[name] = value
            elif found.certain:
                unit = found.reference.unit if found.reference else 0
                removals.append(steps[: len(steps) - unit])
        if text != original:
            container[steps[-1]] = text
    _leave_out(copied, removals)
    return copied


def _is_key(found: FoundReference, container: Any) -> bool:
    return found.reference is not None and found.reference.path.endswith(KEY_ITSELF) and isinstance(container, dict)


def _follow(node: Any, steps: Sequence[Step]) -> Any:
    for step in steps:
        node = node[step]
    return node


def _leave_out(payload: Any, places: Sequence[tuple[Step, ...]]) -> None:
    touched: list[list[Any]] = []
    for steps in places:
        if not steps:
            continue
        try:
            container = _follow(payload, steps[:-1])
        except (KeyError, IndexError, TypeError):
            continue  # an enclosing part was left out already
        if isinstance(container, list):
            container[int(steps[-1])] = _REMOVED
            touched.append(container)
        elif isinstance(container, dict):
            container.pop(str(steps[-1]), None)
    for items in touched:
        items[:] = [item for item in items if item is not _REMOVED]
