"""Match every config of a closure with the target; one whose natural key names others comes behind those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.matching import Match, Pair, TargetIndex, ambiguity, match, portable_id
from shared.domain.natural_keys import NaturalKeyValue, naming_paths, natural_key_of
from shared.domain.paths import covers
from shared.domain.plan import Rule
from shared.domain.resource_type import Catalogue, ResourceKey
from shared.domain.rewriting import Replacement, rewrite
from shared.domain.row import RowError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.domain.links import Link, Links
    from shared.domain.plan import LineageEntry, SourceConfig


#: So many rivals are named in a message.
_MAX_NAMED = 10


def match_closure(
    catalogue: Catalogue,
    pair: Pair,
    configs: Mapping[ResourceKey, SourceConfig],
    *,
    rows: Collection[ResourceKey],
    links: Links,
    index: TargetIndex,
    lineage: Mapping[ResourceKey, LineageEntry],
    claimed: Collection[tuple[str, str]],
    back: Mapping[ResourceKey, str],
) -> dict[ResourceKey, Match]:
    """Apply the rules to every config.

    Args:
        catalogue: all resource types.
        pair: source and target organisation.
        configs: what could be read of the closure and of its referents.
        rows: those of them that get a row: they go before others that match the same target config.
        links: finds the references in natural keys.
        index: the snapshot of the target.
        lineage: per source config, of this pair of organisations.
        claimed: (type, target id) that lineage of this source organisation claims.
        back: source config -> id of the target config that it came from, by lineage of the other direction.
    """
    return _Matching(catalogue, pair, configs, frozenset(rows), links, index, lineage, back).run(claimed)


class _Matching:
    def __init__(
        self,
        catalogue: Catalogue,
        pair: Pair,
        configs: Mapping[ResourceKey, SourceConfig],
        rows: frozenset[ResourceKey],
        links: Links,
        index: TargetIndex,
        lineage: Mapping[ResourceKey, LineageEntry],
        back: Mapping[ResourceKey, str],
    ) -> None:
        self._catalogue = catalogue
        self._pair = pair
        self._configs = configs
        self._rows = rows
        self._links = links
        self._index = index
        self._lineage = lineage
        self._back = back
        self._owners: dict[ResourceKey, ResourceKey] = {}
        self._matches: dict[ResourceKey, Match] = {}

    def run(self, claimed: Collection[tuple[str, str]]) -> dict[ResourceKey, Match]:
        taken = {*claimed}
        self._find_owners(taken)
        taken.update(self._owners)
        named = {key: self._links_of_natural_key(key) for key in self._configs}
        waiting = {
            key: {link.referent for link in links if link.referent in self._configs and link.referent != key}
            for key, links in named.items()
        }
        waited_for: dict[ResourceKey, list[ResourceKey]] = {}
        for key, referents in waiting.items():
            for referent in referents:
                if referent is not None:
                    waited_for.setdefault(referent, []).append(key)
        ready = [key for key, referents in waiting.items() if not referents]
        while waiting:
            level = ready or list(waiting)  # natural keys that name each other in a circle match nothing
            for key in level:
                del waiting[key]
            self._match_level(level, named, taken)
            ready = []
            for key in level:
                for other in waited_for.get(key, ()):
                    if other in waiting:
                        waiting[other].discard(key)
                        if not waiting[other]:
                            ready.append(other)
            ready.sort()
        return self._matches

    def _find_owners(self, claimed: Collection[tuple[str, str]]) -> None:
        """Say whose a target config certainly is: by lineage, by where it came from, or by the same identifier."""
        owned: set[ResourceKey] = set()

        def own(key: ResourceKey, target_id: str | None) -> None:
            target = ResourceKey(key.type, target_id or "")
            if key not in owned and target not in self._owners and self._index.find(target) is not None:
                self._owners[target] = key
                owned.add(key)

        for key in self._configs:
            entry = self._lineage.get(key)
            own(key, entry.target_id if entry is not None else None)
        for key in self._configs:
            if (key.type, self._back.get(key)) not in claimed:
                own(key, self._back.get(key))
        for key in self._configs:
            same_id = portable_id(self._catalogue[key.type], key.id, self._pair)
            if (key.type, same_id) not in claimed:
                own(key, same_id)

    def _came_from(self, key: ResourceKey) -> str | None:
        target_id = self._back.get(key)
        is_own = target_id is not None and self._owners.get(ResourceKey(key.type, target_id)) == key
        return target_id if is_own else None

    def _match_level(
        self, level: Sequence[ResourceKey], named: Mapping[ResourceKey, Sequence[Link]], taken: set[tuple[str, str]]
    ) -> None:
        natural_keys = {key: self._natural_key(key, named[key]) for key in level}
        by_target: dict[ResourceKey, list[ResourceKey]] = {}
        for key in level:
            found = match(
                self._catalogue[key.type],
                self._configs[key],
                natural_keys[key],
                self._lineage.get(key),
                self._index,
                taken,
                self._pair,
                back=self._came_from(key),
                owners=self._owners,
            )
            self._matches[key] = found
            if found.target is not None:
                by_target.setdefault(found.target.key, []).append(key)
        for target, claimants in by_target.items():
            taken.add(target)
            if len(claimants) > 1:
                self._settle_rivals(claimants, natural_keys)

    def _settle_rivals(
        self, claimants: Sequence[ResourceKey], natural_keys: Mapping[ResourceKey, NaturalKeyValue | None]
    ) -> None:
        """Of several configs that match one target config by natural key none may have it; a row goes before others."""
        guessing = [key for key in claimants if self._matches[key].rule is Rule.NATURAL_KEY]
        certain = len(guessing) < len(claimants)
        rivals = [key for key in guessing if key in self._rows] or guessing
        for key in guessing:
            natural_key, target = natural_keys[key], self._matches[key].target
            if natural_key is not None and target is not None and (certain or len(rivals) > 1 or key not in rivals):
                named = [str(other) for other in claimants[: _MAX_NAMED + 1] if other != key][:_MAX_NAMED]
                more = len(claimants) - 1 - len(named)
                others = ", ".join(named) + (f" and {more:,} more" if more else "")
                error = ambiguity(natural_key, [target.key.id])
                self._matches[key] = Match(
                    Rule.AMBIGUOUS, error=RowError(error.code, f"{error.message} On the source so do {others}.")
                )

    def _natural_key(self, key: ResourceKey, links: Sequence[Link]) -> NaturalKeyValue | None:
        """Return the natural key of a config as it would be on the target; None where it names what is not there."""
        payload: Any = self._configs[key].payload
        if payload is None:
            return None
        replacements = []
        for link in links:
            if link.referent is not None and not link.found.portable:
                known = self._matches.get(link.referent)
                target = known.target if known is not None and known.error is None else None
                value = self._links.value(link, target.key.id, self._links.read(target)) if target is not None else None
                if value is None:
                    return None
                replacements.append(Replacement(link.found, value))
        return natural_key_of(self._catalogue[key.type], rewrite(payload, replacements) if replacements else payload)

    def _links_of_natural_key(self, key: ResourceKey) -> list[Link]:
        resource_type, payload = self._catalogue[key.type], self._configs[key].payload
        paths = naming_paths(resource_type)
        if payload is None or not paths:
            return []
        links = self._links.find(resource_type, payload)
        return [link for link in links if any(covers(path, link.found.steps) for path in paths)]
