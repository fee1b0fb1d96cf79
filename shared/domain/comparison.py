"""Compare configs that lineage pairs: what has changed since the last sync, and where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.domain.fingerprint import canonical, equal_where_sent
from shared.domain.job import Direction
from shared.domain.matching import Pair, portable_id
from shared.domain.paths import follow, pointer_of, remove_paths
from shared.domain.references import Identified, Identifiers, find_references, resolve
from shared.domain.resource_type import Catalogue, ResourceKey, ResourceType
from shared.domain.rewriting import Replacement, rewrite
from shared.domain.sendable import sendable
from shared.domain.since_last_sync import differing_places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from shared.domain.plan import LineageEntry
    from shared.domain.references import FoundReference
    from shared.domain.since_last_sync import SinceLastSync


class Change(StrEnum):
    """What has changed since the last sync; source and target are those of that sync."""

    EQUAL = "equal"
    SOURCE_CHANGED = "source_changed"
    TARGET_CHANGED = "target_changed"
    BOTH_CHANGED = "both_changed"


class PairedRow(NamedTuple):
    """A config of the caller's organisation and one of the other, with the entry that pairs them.

    Attributes:
        direction: `pull` where the caller's is the entry's target, `push` where it is the entry's source.
    """

    current_id: str
    other_id: str
    direction: Direction
    entry: LineageEntry


def pair_up(
    current_ids: Collection[str],
    other_ids: Collection[str],
    pulled: Iterable[LineageEntry],
    pushed: Iterable[LineageEntry],
) -> list[PairedRow]:
    """Pair the configs of one type that exist on both sides; of rival pairs the one synced last counts.

    Args:
        current_ids: what the caller's organisation has.
        other_ids: what the other organisation has.
        pulled: entries with the caller's organisation as target.
        pushed: entries with the caller's organisation as source.
    """
    candidates = [PairedRow(entry.target_id, entry.source_id, Direction.PULL, entry) for entry in pulled]
    candidates += [PairedRow(entry.source_id, entry.target_id, Direction.PUSH, entry) for entry in pushed]
    candidates = [row for row in candidates if row.current_id in current_ids and row.other_id in other_ids]
    candidates.sort(key=lambda row: (row.direction, row.current_id, row.other_id))
    candidates.sort(key=lambda row: row.entry.last_synced_at or "", reverse=True)
    paired: list[PairedRow] = []
    taken_current: set[str] = set()
    taken_other: set[str] = set()
    for row in candidates:
        if row.current_id not in taken_current and row.other_id not in taken_other:
            taken_current.add(row.current_id)
            taken_other.add(row.other_id)
            paired.append(row)
    return paired


def change_of(since: SinceLastSync) -> Change | None:
    """Say who has changed since the last sync; None where nobody can tell."""
    if since.source_same is None or since.target_same is None:
        return None
    return {
        (True, True): Change.EQUAL,
        (False, True): Change.SOURCE_CHANGED,
        (True, False): Change.TARGET_CHANGED,
        (False, False): Change.BOTH_CHANGED,
    }[since.source_same, since.target_same]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterparts:
    """What is known of two organisations, to tell whether two references name counterparts.

    Attributes:
        pair: the organisations, source and target of a sync.
        targets: source config -> id of the target config that it became.
        source_identifiers, target_identifiers: ids and aliases that each organisation knows, as far as anybody asked.
    """

    catalogue: Catalogue
    pair: Pair
    targets: Mapping[ResourceKey, str]
    source_identifiers: Identifiers
    target_identifiers: Identifiers

    def target_of(self, key: ResourceKey) -> ResourceKey | None:
        """Return what a source config is on the target, by lineage or by an id that says it itself."""
        resource_type = self.catalogue.get(key.type)
        if resource_type is None:
            return None
        target_id = self.targets.get(key) or portable_id(resource_type, key.id, self.pair)
        return ResourceKey(key.type, target_id) if target_id is not None else None

    def reverse(self) -> Counterparts:
        """Return the same, seen from the target."""
        return Counterparts(
            catalogue=self.catalogue,
            pair=Pair(self.pair.target_org_id, self.pair.source_org_id),
            targets={ResourceKey(key.type, target_id): key.id for key, target_id in self.targets.items()},
            source_identifiers=self.target_identifiers,
            target_identifiers=self.source_identifiers,
        )


_Place = tuple[str | int | None, ...]


class _Twins:
    """References of a source payload side by side with those of its target."""

    def __init__(
        self, resource_type: ResourceType, source: Mapping[str, Any], target: Mapping[str, Any], known: Counterparts
    ) -> None:
        self._known = known
        self._found = find_references(resource_type, source, known.source_identifiers.__contains__)
        # By place and by what is named there, as an id and as the config that an alias stands for; the first counts.
        self._there: dict[tuple[_Place, str | ResourceKey], tuple[int, FoundReference]] = {}
        there = find_references(resource_type, target, known.target_identifiers.__contains__)
        for number, found in enumerate(there):
            named = resolve(found, known.target_identifiers, known.catalogue)
            for place in (found.steps, _pattern(found.steps)):
                self._there.setdefault((place, found.identifier), (number, found))
                if named is not None:
                    self._there.setdefault((place, named.key), (number, found))

    def list(self) -> Iterator[tuple[FoundReference, Identified, ResourceKey, FoundReference | None]]:
        """Yield each reference whose counterpart is known: what it names, the counterpart, where the target names that.

        The target may name it by whatever alias: at the same place, else in another item of the same arrays.
        """
        names: dict[tuple[str | int, ...], str] = {}
        for found in self._found:
            named = None if found.portable else resolve(found, self._known.source_identifiers, self._known.catalogue)
            counterpart = self._known.target_of(named.key) if named is not None else None
            if named is None or counterpart is None:
                continue
            if found.in_key:
                key = str(found.steps[-1])
                names[found.steps] = f"{key[: found.start]}{counterpart.id}{key[found.end :]}"
            steps = tuple(names.get(found.steps[: depth + 1], step) for depth, step in enumerate(found.steps))
            yield found, named, counterpart, self._at(steps, counterpart) or self._at(_pattern(steps), counterpart)

    def _at(self, place: _Place, key: ResourceKey) -> FoundReference | None:
        named = [one for name in (key.id, key) if (one := self._there.get((place, name))) is not None]
        return min(named)[1] if named else None


def _pattern(steps: tuple[str | int, ...]) -> _Place:
    """Return the steps without the positions of array items."""
    return tuple(None if isinstance(step, int) else step for step in steps)


def remapped(
    resource_type: ResourceType, source: Mapping[str, Any], target: Mapping[str, Any], known: Counterparts
) -> Any:
    """Return a source payload with its references as they are on the target.

    Where the target names the counterpart, by whatever alias, the reference counts as the same.
    """
    replacements = []
    for found, named, counterpart, twin in _Twins(resource_type, source, target, known).list():
        if twin is not None:
            replacements.append(Replacement(found, twin.identifier, _siblings(found, twin, target)))
        elif found.identifier == named.key.id:
            replacements.append(Replacement(found, counterpart.id))
    return rewrite(source, replacements)


def unread_counterparts(
    resource_type: ResourceType, source: Mapping[str, Any], target: Mapping[str, Any], known: Counterparts
) -> set[ResourceKey]:
    """Return the configs of the target that a source payload names by an alias whose counterpart is not known."""
    return {
        counterpart
        for found, named, counterpart, twin in _Twins(resource_type, source, target, known).list()
        if twin is None and found.identifier != named.key.id
    }


def _siblings(found: FoundReference, twin: FoundReference, target: Mapping[str, Any]) -> dict[str, Any]:
    """Return the derived values beside a reference as the target has them beside its twin."""
    container = follow(target, twin.steps[:-1])
    names = found.reference.siblings if found.reference is not None else ()
    return {name: container[name] for name in names if isinstance(container, dict) and name in container}


def differences(
    resource_type: ResourceType, source: Mapping[str, Any], target: Mapping[str, Any], known: Counterparts
) -> list[str]:
    """Return the JSON pointers at which a source config, references remapped, and its target differ; never a value.

    Only what may be sent counts, so no secret does. An array of which a length differs, and a set, count as one place;
    so does a string that holds JSON.
    """
    ours = canonical(resource_type, remapped(resource_type, source, target, known))
    theirs = canonical(resource_type, target)
    return [pointer_of(steps) for steps in differing_places(resource_type, ours, theirs)]


def says_the_same(
    resource_type: ResourceType, source: Mapping[str, Any], target: Mapping[str, Any], known: Counterparts
) -> bool:
    """Tell, as the planner does where there was no sync yet, whether the target says what would be sent to it."""
    body = sendable(resource_type, remapped(resource_type, source, target, known))
    if resource_type.active is not None:
        body = remove_paths(body, (resource_type.active.path,))
    return equal_where_sent(resource_type, body, target)


def own_identifiers(keys: Iterable[ResourceKey], known: Identifiers) -> dict[str, list[Identified]]:
    """Return identifiers with the ids of further configs added."""
    merged = {identifier: list(meanings) for identifier, meanings in known.items()}
    for key in keys:
        meanings = merged.setdefault(key.id, [])
        if all(one.key != key for one in meanings):
            meanings.append(Identified(key))
    return merged
