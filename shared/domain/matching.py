"""Find the target config that a source config is or becomes: lineage first, then identifiers, then natural keys."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from shared.domain.bounds import check_depth
from shared.domain.errors import (
    AmbiguousMatchError,
    NotFoundError,
    OperationUnsupportedError,
    TargetTakenError,
    TooDeepError,
)
from shared.domain.natural_keys import NaturalKeyValue, names_another, natural_key_text, natural_key_values
from shared.domain.paths import find_value
from shared.domain.plan import Rule
from shared.domain.resource_type import PORTABLE_IDENTITIES, Catalogue, Identity, ResourceKey, ResourceType
from shared.domain.row import RowError
from shared.domain.system_managed import find_system_managed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from shared.domain.plan import LineageEntry, SourceConfig, TargetConfig


#: Namespace of the ids that the hub chooses itself; any fixed UUID would do, this one must never change.
_CHOSEN_IDS = UUID("5f1c7e0e-8f0b-5d0a-9a53-1f6f2a0d7c11")
_MAX_NAMED_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Match:
    """What the rules say of one source config.

    Attributes:
        rule: the rule that decided.
        target: what it is on the target, where something is there.
        untouched: it is skipped whatever it says.
        error: why its row fails.
        reason: for the row's event.
    """

    rule: Rule
    target: TargetConfig | None = None
    untouched: bool = False
    error: RowError | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two organisations of a job.

    Attributes:
        heuristic: natural keys are tried.
        follow: a patch writes the source's active flag; else the target's stays.
    """

    source_org_id: str
    target_org_id: str
    heuristic: bool = True
    follow: bool = False


class TargetIndex:
    """The snapshot of the target, to look configs up by id and by natural key.

    Args:
        catalogue: all resource types.
        targets: the snapshot, per type.
    """

    def __init__(self, catalogue: Catalogue, targets: Mapping[str, Sequence[TargetConfig]]) -> None:
        self._catalogue = catalogue
        self._targets = targets
        self._by_id = {config.key: config for configs in targets.values() for config in configs}
        self._by_natural_key: dict[tuple[str, int], dict[str, list[TargetConfig]]] = {}

    def find(self, key: ResourceKey) -> TargetConfig | None:
        """Return the config of this id, if there is one."""
        return self._by_id.get(key)

    def candidates(self, type_name: str, value: NaturalKeyValue) -> list[TargetConfig]:
        """Return the configs with this natural key, by id."""
        place = (type_name, value.alternative)
        known = self._by_natural_key.get(place)
        if known is None:
            resource_type = self._catalogue[type_name]
            known = {}
            for config in sorted(self._targets.get(type_name, ()), key=lambda config: config.key):
                text = natural_key_text(value.fields, _reader(resource_type, config))
                if text is not None:
                    known.setdefault(text, []).append(config)
            self._by_natural_key[place] = known
        return known.get(value.text, [])


def _reader(resource_type: ResourceType, config: TargetConfig) -> Callable[[str], list[Any]]:
    """Read natural key fields of a target config; where only a list item is known, its title may bear another name."""

    def read(path: str) -> list[Any]:
        found = natural_key_values(resource_type, config.payload, path)
        if not found and not config.whole and resource_type.list_fields and path in resource_type.fields.title:
            titles = (find_value(config.payload, title) for title in resource_type.list_fields.title)
            found = [title for title in titles if title][:1]
        return found

    return read


def may_match(
    resource_type: ResourceType, sources: Iterable[Mapping[str, Any]], items: Iterable[TargetConfig]
) -> list[TargetConfig]:
    """Return the list items of the target whose details have to be read, because they may be one of the sources.

    What an item does not show, and what names another config (its id differs between organisations), is left open.
    """
    if resource_type.natural_key is None:
        return []
    payloads = list(sources)
    wanted: dict[tuple[int, tuple[bool, ...]], set[str]] = {}
    found: dict[ResourceKey, TargetConfig] = {}
    for item in items:
        read = _reader(resource_type, item)
        for alternative, paths in enumerate(resource_type.natural_key.fields):
            shown = [[] if names_another(resource_type, path) else read(path) for path in paths]
            visible = tuple(map(bool, shown))
            if (alternative, visible) not in wanted:
                wanted[alternative, visible] = {
                    _projected(visible, [natural_key_values(resource_type, payload, path) for path in paths])
                    for payload in payloads
                }
            if _projected(visible, shown) in wanted[alternative, visible]:
                found[item.key] = item
    return list(found.values())


def _projected(visible: tuple[bool, ...], values: list[list[Any]]) -> str:
    return json.dumps([value for shows, value in zip(visible, values, strict=True) if shows], sort_keys=True)


def portable_id(resource_type: ResourceType, source_id: str, pair: Pair) -> str | None:
    """Return the id that a config has in the target organisation by its identity; None where the server assigns it."""
    if resource_type.identity is Identity.PORTABLE:
        return source_id
    if resource_type.identity is Identity.ORG_PREFIXED:
        owner, colon, slug = source_id.partition(":")
        return f"{pair.target_org_id}:{slug}" if colon and owner == pair.source_org_id else source_id
    return None


def chosen_id(resource_type: ResourceType, key: ResourceKey, pair: Pair) -> str | None:
    """Return the id under which to create a config, where the caller chooses it: the same at every try."""
    if resource_type.create is None or not resource_type.create.client_id:
        return None
    if resource_type.identity is Identity.CLIENT:
        return str(uuid5(_CHOSEN_IDS, f"{pair.target_org_id}/{key.type}/{pair.source_org_id}/{key.id}"))
    return portable_id(resource_type, key.id, pair)


def match(
    resource_type: ResourceType,
    config: SourceConfig,
    natural_key: NaturalKeyValue | None,
    entry: LineageEntry | None,
    index: TargetIndex,
    taken: Collection[tuple[str, str]],
    pair: Pair,
    *,
    back: str | None = None,
    owners: Mapping[ResourceKey, ResourceKey] = MappingProxyType({}),
) -> Match:
    """Apply the rules to one source config.

    Args:
        resource_type: its type.
        config: the source config.
        natural_key: its natural key with references remapped; None without one, or if it cannot match.
        entry: its lineage into this target organisation, if any.
        index: the snapshot of the target.
        taken: (type, target id) that lineage of the same source organisation or another match claims.
        pair: the organisations.
        back: id of the target config that it came from, by lineage of the other direction.
        owners: target config -> the source config of this closure that it certainly belongs to.
    """
    if config.payload is None:
        missing = RowError(NotFoundError.code, f"{config.key} could not be read from the source organisation.")
        return Match(Rule.UNREADABLE, error=config.error or missing)
    if not resource_type.skip_sync and resource_type.create is None and resource_type.update is None:
        why = resource_type.missing.get("create", f"The API of {resource_type.name} cannot write.")
        return Match(Rule.UNSUPPORTED, error=RowError(OperationUnsupportedError.code, why))
    found = _find_target(resource_type, config, natural_key, entry, index, taken, pair, back)
    kind = find_system_managed(resource_type, config.payload, pair.source_org_id)
    if resource_type.skip_sync or (kind is not None and not kind.update_allowed):
        reason = resource_type.skip_sync or (kind.reason if kind is not None else "")
        return Match(Rule.PLATFORM_OWNED, target=found.target, untouched=True, reason=reason)
    if found.target is None and kind is not None and found.error is None:
        return Match(
            Rule.PLATFORM_OWNED, untouched=True, reason=f"{kind.reason} It is never created, and not on the target yet."
        )
    if found.target is None:
        return found
    protected = _protect(resource_type, config, found, found.target, pair, entry)
    owner = owners.get(found.target.key)
    is_taken = found.rule in (Rule.SAME_ID, Rule.NATURAL_KEY) and (
        found.target.key in taken if owner is None else owner != config.key
    )
    if is_taken and not protected.untouched:
        return Match(found.rule, error=target_taken(found.target.key, owner))
    try:
        if not protected.untouched:
            check_depth(found.target.payload)
    except TooDeepError as error:
        message = f"Its config on the target, {found.target.key.id}, is nested too deep to be compared. {error.message}"
        return replace(protected, error=RowError(error.code, message))
    return protected


def _find_target(
    resource_type: ResourceType,
    config: SourceConfig,
    natural_key: NaturalKeyValue | None,
    entry: LineageEntry | None,
    index: TargetIndex,
    taken: Collection[tuple[str, str]],
    pair: Pair,
    back: str | None,
) -> Match:
    stale = ""
    if entry is not None:
        target = index.find(ResourceKey(config.key.type, entry.target_id))
        if target is not None:
            return Match(Rule.LINEAGE, target=target)
        stale = f"Its lineage named {entry.target_id}, which is gone from the target."
    came_from = index.find(ResourceKey(config.key.type, back)) if back is not None else None
    if came_from is not None:
        return Match(Rule.WAY_BACK, target=came_from, reason="It came from there.")
    same_id = portable_id(resource_type, config.key.id, pair)
    if same_id is not None:
        target = index.find(ResourceKey(config.key.type, same_id))
        if target is not None:
            return Match(Rule.SAME_ID, target=target, reason=stale)
    named_so = index.candidates(config.key.type, natural_key) if natural_key is not None else []
    if natural_key is not None and pair.heuristic:
        candidates = [candidate for candidate in named_so if candidate.key not in taken]
        if len(candidates) > 1:
            return Match(Rule.AMBIGUOUS, error=ambiguity(natural_key, [candidate.key.id for candidate in candidates]))
        if candidates:
            reason = f"{_agreement(natural_key)} {stale}".strip()
            return Match(Rule.NATURAL_KEY, target=candidates[0], reason=reason)
    if natural_key is not None and natural_key.strong and named_so and all(one.key in taken for one in named_so):
        # The API keeps the key unique, so none can be made beside it: `match` tells whose it is.
        return Match(Rule.NATURAL_KEY, target=named_so[0], reason=stale)
    chosen = chosen_id(resource_type, config.key, pair)
    if chosen is not None and index.find(ResourceKey(config.key.type, chosen)) is not None:
        why = f"1 candidate on the target has the id that it would be created under: {chosen}."
        return Match(Rule.AMBIGUOUS, error=RowError(AmbiguousMatchError.code, why))
    return Match(Rule.NEW, reason=stale)


def _protect(
    resource_type: ResourceType,
    config: SourceConfig,
    found: Match,
    target: TargetConfig,
    pair: Pair,
    entry: LineageEntry | None,
) -> Match:
    """Leave alone what exists by name and was not selected, what is never overwritten, what the platform owns there.

    What a job of ours left half done exists by that job only: it is completed.
    """
    is_ours = found.rule is Rule.LINEAGE and entry is not None and entry.half_done
    by_name = config.by_name_only or resource_type.identity in PORTABLE_IDENTITIES
    if by_name and not is_ours and not config.selected:
        return replace(found, rule=Rule.BY_NAME, untouched=True, reason="It exists by name and was not selected.")
    if resource_type.never_overwrite:
        reason = f"What exists of type {resource_type.name} is never overwritten."
        return replace(found, untouched=True, reason=reason)
    kind = find_system_managed(resource_type, target.payload, pair.target_org_id)
    if kind is not None and not kind.update_allowed:
        return replace(found, rule=Rule.PLATFORM_OWNED, untouched=True, reason=f"On the target: {kind.reason}")
    return found


def _agreement(natural_key: NaturalKeyValue) -> str:
    grade = "strong" if natural_key.strong else "weak"
    return f"Matched by a {grade} natural key: {', '.join(natural_key.fields)} agree."


def target_taken(target: ResourceKey, owner: ResourceKey | None) -> RowError:
    """Return the error of a config whose target is another source config's."""
    whose = str(owner) if owner is not None else "another config of the source, by lineage"
    return RowError(TargetTakenError.code, f"{target} of the target belongs to {whose}: break that pair first.")


def ambiguity(natural_key: NaturalKeyValue, ids: Sequence[str]) -> RowError:
    """Return the error of a config whose natural key matches several, with the ids among which a person chooses."""
    named = ", ".join(ids[:_MAX_NAMED_CANDIDATES]) + (", …" if len(ids) > _MAX_NAMED_CANDIDATES else "")
    agreeing = ", ".join(natural_key.fields)
    return RowError(AmbiguousMatchError.code, f"{len(ids)} candidates on the target agree in {agreeing}: {named}.")
