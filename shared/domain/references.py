"""Find the references in a payload and rewrite exactly those places: the one walker of index, planner and writer.

First the typed references of the catalogue, then a scan of every other string and object key for identifiers that the
organisation knows (`domain.text_scan`). Places are spans of the raw string, whatever escapes stand in it, so what is
not a reference stays as it is, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any

from shared.domain.immutable import EMPTY
from shared.domain.paths import ANY_KEY, DEEP, ITEMS, KEY_ITSELF, parse_path, pointer_of
from shared.domain.resource_type import (
    PORTABLE_FORMS,
    PORTABLE_IDENTITIES,
    TEXT_FORMS,
    Catalogue,
    Form,
    Reference,
    ResourceKey,
    ResourceType,
    Strength,
    claimed_id,
)
from shared.domain.text_scan import Hit, IsKnown, is_identifier_shaped, scan, scan_key

Step = str | int
_SLUG_PREFIX_PATTERN = re.compile(r"\A([A-Za-z0-9_-]+):")
_HANDLEBARS_PATTERN = re.compile(r"\{\{\{?\s*+(?:~~\s*+)?([A-Za-z0-9_.-]++)\s*+\}\}")
_ENV_PATTERN = re.compile(r"\{\{\s*+env\.([a-z0-9][a-z0-9_.-]{0,127})\s*\}\}")


@dataclass(frozen=True, slots=True)
class FoundReference:
    """One place in a payload that names another configuration.

    Attributes:
        steps: keys and indexes that lead to the string.
        identifier: what names the referent, escapes undone.
        start, end: where the identifier stands in the string, with whatever escapes it has there.
        reference: the catalogue's reference, None where the scan found it.
        in_key: the string is the key itself that the steps end at, not its value.
    """

    steps: tuple[Step, ...]
    identifier: str
    start: int
    end: int
    reference: Reference | None = None
    in_key: bool = False

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
    """A position in the tree of all reference paths of a type; a deep one (`**`) stays reached on further levels."""

    deep: bool = False
    children: dict[str, _Branch] = field(default_factory=dict)
    ends: list[tuple[int, Reference]] = field(default_factory=list)


@lru_cache(maxsize=256)
def _tree(references: tuple[Reference, ...]) -> _Branch:
    root = _Branch()
    for position, reference in enumerate(references):
        branch = root
        for segment in parse_path(reference.path):
            branch = branch.children.setdefault(segment, _Branch(deep=segment == DEEP))
        branch.ends.append((position, reference))
    return root


def find_references(resource_type: ResourceType, payload: Any, is_known: IsKnown | None = None) -> list[FoundReference]:
    """Find all references in a payload, in payload order.

    Args:
        resource_type: whose typed references count.
        payload: the payload as `get` returns it.
        is_known: whether the organisation knows an identifier. None collects candidates: everything that could be an
            identifier, overlapping ones included, to be resolved when all configs are read.

    Returns:
        Typed references whether known or not; text references and scanned ids only where known. Back references are
        left out. Of several typed references that fit one place the catalogue's first counts.
    """
    walk = _Walk(is_known)
    walk.visit(payload, (), _reach([_tree(resource_type.references)]), ())
    return walk.found


def _ending(branches: Sequence[_Branch]) -> list[Reference]:
    """Return the references that end at any of the positions, in the order of the catalogue."""
    ends = [end for branch in branches for end in branch.ends]
    return [reference for _, reference in (sorted(ends, key=itemgetter(0)) if len(ends) > 1 else ends)]


def _reach(branches: Iterable[_Branch]) -> list[_Branch]:
    """Add the deep positions that are reached without going a level down."""
    reached: list[_Branch] = []
    for branch in branches:
        reached.append(branch)
        if DEEP in branch.children:
            reached.append(branch.children[DEEP])
    return reached


_WILDCARDS = frozenset({ITEMS, ANY_KEY, KEY_ITSELF, DEEP})


def _step(branches: Sequence[_Branch], segment: str | None, wildcard: str) -> list[_Branch]:
    """Advance all positions by one level, over a property (`segment`) or an array item (None)."""
    following = [branch for branch in branches if branch.deep]
    for branch in branches:
        children = branch.children
        if not children:
            continue
        if segment is not None and segment in children and segment not in _WILDCARDS:
            following.extend(_reach([children[segment]]))
        if wildcard in children:
            following.extend(_reach([children[wildcard]]))
    return list(dict.fromkeys(following)) if len(following) > 1 else following


@dataclass(slots=True)
class _Walk:
    """One walk through a payload."""

    is_known: IsKnown | None
    found: list[FoundReference] = field(default_factory=list)
    keys: dict[str, list[Hit]] = field(default_factory=dict)

    def visit(
        self,
        node: Any,
        steps: tuple[Step, ...],
        branches: Sequence[_Branch],
        enclosing: tuple[Mapping[str, Any], ...],
    ) -> None:
        if isinstance(node, str):
            if node:
                self.search(node, steps, _ending(branches), enclosing)
        elif isinstance(node, dict):
            inside = (*enclosing, node)
            keyed = _ending([branch.children[KEY_ITSELF] for branch in branches if KEY_ITSELF in branch.children])
            for key, value in node.items():
                below = (*steps, key)
                if keyed or len(key) >= 8:
                    self.search_key(key, below, keyed, inside)
                self.visit(value, below, _step(branches, key, ANY_KEY) if branches else (), inside)
        elif isinstance(node, list):
            items = _step(branches, None, ITEMS) if branches else ()
            for index, value in enumerate(node):
                self.visit(value, (*steps, index), items, enclosing)

    def search_key(
        self,
        key: str,
        steps: tuple[Step, ...],
        references: Sequence[Reference],
        enclosing: tuple[Mapping[str, Any], ...],
    ) -> None:
        if references and key and self.search_whole(key, steps, references, enclosing, in_key=True):
            return
        hits = self.keys.get(key)  # the same few keys stand all over a payload
        if hits is None:
            hits = self.keys[key] = scan_key(key, self.is_known)
        self.found.extend(FoundReference(steps, *hit, in_key=True) for hit in hits)

    def search_whole(
        self,
        text: str,
        steps: tuple[Step, ...],
        references: Sequence[Reference],
        enclosing: tuple[Mapping[str, Any], ...],
        *,
        in_key: bool = False,
    ) -> bool:
        """Read a string as a reference of its own; True where one applies, so that it is not searched any further.

        A template is none: what it becomes, and so whether it names anything, is decided when it is expanded.
        """
        applying = [r for r in references if r.form not in TEXT_FORMS and _applies(r, enclosing)]
        if "{{" in text and "}}" in text:
            return False
        if not any(reference.strength is Strength.BACK_REFERENCE for reference in applying):
            whole = (_whole_value(text, steps, reference, in_key) for reference in applying)
            self.found.extend([found for found in whole if found is not None][:1])
        return bool(applying)

    def search(
        self,
        text: str,
        steps: tuple[Step, ...],
        references: Sequence[Reference],
        enclosing: tuple[Mapping[str, Any], ...],
    ) -> None:
        if references and self.search_whole(text, steps, references, enclosing):
            return
        taken: dict[tuple[int, int], None] = {}
        typed_url = None
        for reference in references:
            if reference.form is Form.URL:
                if typed_url is None and _applies(reference, enclosing):
                    typed_url = reference
            elif reference.form in TEXT_FORMS and "{{" in text and _applies(reference, enclosing):
                pattern = _ENV_PATTERN if reference.form is Form.ENV_TEMPLATE else _HANDLEBARS_PATTERN
                for match in pattern.finditer(text):
                    if match.span(1) not in taken and (self.is_known is None or self.is_known(match[1])):
                        taken[match.span(1)] = None
                        self.found.append(FoundReference(steps, match[1], match.start(1), match.end(1), reference))
        if len(text) < 8:
            return
        if typed_url is not None and typed_url.strength is Strength.BACK_REFERENCE:
            return
        hits = scan(text, self.is_known, taken)
        if self.is_known is None:  # what may name something counts once a string
            hits = list({hit.identifier: hit for hit in hits}.values())
        for identifier, start, end in hits:
            self.found.append(FoundReference(steps, identifier, start, end, typed_url))


def _whole_value(text: str, steps: tuple[Step, ...], reference: Reference, in_key: bool) -> FoundReference | None:
    start, end = 0, len(text)
    if reference.form is Form.PREFIXED_ID:
        if not text.startswith(reference.prefix):
            return None
        start = len(reference.prefix)
    elif reference.form is Form.SLUG_PREFIX:
        # A wildcard (`*`, `*:view`) or a bare word names no slug in front of a colon.
        prefix = _SLUG_PREFIX_PATTERN.match(text)
        if prefix is None:
            return None
        end = prefix.end(1)
    return FoundReference(steps, text[start:end], start, end, reference, in_key) if start < end else None


def _applies(reference: Reference, enclosing: tuple[Mapping[str, Any], ...]) -> bool:
    if reference.when is None:
        return True
    name, value = reference.when
    return next((around[name] == value for around in reversed(enclosing) if name in around), False)


def resolve(found: FoundReference, identifiers: Identifiers, catalogue: Catalogue = EMPTY) -> Identified | None:
    """Say which configuration a found reference names.

    Args:
        found: a reference.
        identifiers: all ids and aliases that the organisation knows.
        catalogue: tells ids that the server assigns from portable words; of a type that it lacks, ids are the former.

    Returns:
        The known configuration of the likeliest type, by its id rather than by the alias of another; for a certain
        reference that nothing known matches, the configuration it claims, of its first type (not by CONTENT: no id is
        claimed); None for a text or scanned identifier that is not known, or that is known twice over. A scanned word
        counts only as an id that the server assigned, a scanned key only as that or another value of its own.
    """
    known = identifiers.get(found.identifier, ())
    by_content = found.reference is not None and found.reference.form is Form.CONTENT
    for resource_type in found.to:
        of_type = [
            one
            for one in known
            if one.key.type == resource_type and not (by_content and one.key.id == found.identifier)
        ]
        if of_type:
            return next((one for one in of_type if one.key.id == found.identifier), of_type[0])
    if found.certain and not by_content:
        return Identified(ResourceKey(found.to[0], claimed_id(found.identifier)))
    if found.reference is not None and found.reference.form is not Form.URL:
        return None
    is_word = not is_identifier_shaped(found.identifier)
    if found.in_key or is_word:
        known = [one for one in known if not is_portable(catalogue, one, found.identifier)]
    if is_word:
        known = [one for one in known if one.key.id == found.identifier]
    known = [one for one in known if one.key.id == found.identifier] or known
    return known[0] if len({one.key for one in known}) == 1 else None


def is_copied(resource_type: ResourceType, path: str) -> bool:
    """Tell whether a field goes to the target as it is."""
    segments = parse_path(path)
    return not any(
        segments[: len(parse_path(other))] == parse_path(other)
        for other in (
            *resource_type.strip,
            *resource_type.keep_target,
            *resource_type.secrets,
            *resource_type.external_strip,
        )
    )


def is_portable(catalogue: Catalogue, identified: Identified, identifier: str) -> bool:
    """Tell whether an identifier of a config is the same in every organisation: a slug, a key, a code.

    Others are server-assigned ones of that very config: its id, the address of its file. An id with a colon is none of
    these: it is made of slugs, as that of a label is of its taxonomy's and its own.
    """
    resource_type = catalogue.get(identified.key.type)
    if identifier == identified.key.id:
        return resource_type is not None and (resource_type.identity in PORTABLE_IDENTITIES or ":" in identifier)
    return resource_type is None or is_copied(resource_type, identified.field)


def is_by_name(found: FoundReference, identified: Identified, catalogue: Catalogue = EMPTY) -> bool:
    """Tell whether a reference names its referent by something that other organisations have too.

    A slug, key, template or role at a typed path does; of what only the scan found, every portable identifier.
    """
    if found.reference is None or found.reference.form is Form.URL:
        return is_portable(catalogue, identified, found.identifier)
    return found.portable or found.reference.form is Form.ROLE_ID


def held_within(resource_type: ResourceType, payload: Any, path: str) -> set[tuple[Step, ...]]:
    """Return the places at a path in which typed references of the entry stand, at or below it."""
    segments = parse_path(path)
    within = tuple(r for r in resource_type.references if parse_path(r.path)[: len(segments)] == segments)
    if not within:
        return set()
    walk = _Walk(lambda _: False)
    walk.visit(payload, (), _reach([_tree(within)]), ())
    return {found.steps[:depth] for found in walk.found for depth in range(1, len(found.steps) + 1)}
