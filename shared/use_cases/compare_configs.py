"""Compare the configs of one type in two organisations, side by side."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.domain.comparison import (
    Change,
    Counterparts,
    PairedRow,
    change_of,
    differences,
    own_identifiers,
    pair_up,
    says_the_same,
    unread_counterparts,
)
from shared.domain.config_node import read_node, summary_of
from shared.domain.fingerprint import fingerprint
from shared.domain.job import Direction
from shared.domain.matching import Pair
from shared.domain.read_config import collect_candidates
from shared.domain.referable_fields import read_referable_fields
from shared.domain.references import Identified
from shared.domain.resource_type import ResourceKey
from shared.domain.since_last_sync import Recall, memories_of_older_forms, since_last_sync
from shared.use_cases.reading.two_organisations import OtherOrganisation, with_second_token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from shared.domain.plan import LineageEntry
    from shared.domain.ports.configs import Payload
    from shared.domain.ports.index import IndexReader
    from shared.domain.references import Identifiers
    from shared.domain.resource_type import ResourceType
    from shared.use_cases.reading.live_configs import LiveConfigs
    from shared.use_cases.reading.two_organisations import Reading

#: More places than a person reads; `differences_count` says how many there are.
MAX_DIFFERENCES = 100


def compare_configs(
    reading: Reading,
    index: IndexReader,
    body: Mapping[str, Any],
    app_url: str = "",
    recall: Recall = lambda _digests: {},
) -> dict[str, Any]:
    """Pair the configs of a type through lineage in both directions, and say what has changed since the last sync.

    Args:
        reading: both organisations.
        index: says what ids and aliases in differing payloads stand for, where an organisation has an index.
        body: the request's body.
        app_url: base URL of deep links; empty leaves them out.
        recall: returns what is remembered of contents, by their hashes.

    Returns:
        The contract's `CompareResponse`; matched rows carry `change` and `differences` (JSON pointers, no values).

    Raises:
        ValidationError: a field breaks the contract.
        InvalidRequestError: the type is unknown, or the other organisation is the caller's own.
        ForbiddenError: the token does not act for the organisation that is stated.
        OutOfTimeError: there is more than can be read in the time.
        HubError: a downstream API throttles, fails or refuses.
    """
    request = OtherOrganisation.model_validate(body)
    resource_type, current, other = reading.open(request)
    return _Comparison(reading, index, app_url, recall, resource_type, request.source_org_id, current, other).answer()


class _Comparison:
    def __init__(
        self,
        reading: Reading,
        index: IndexReader,
        app_url: str,
        recall: Recall,
        resource_type: ResourceType,
        other_org: str,
        current: LiveConfigs,
        other: LiveConfigs,
    ) -> None:
        self._reading = reading
        self._index = index
        self._app_url = app_url
        self._recall = recall
        self._type = resource_type
        self._own_org = reading.current.org_id
        self._other_org = other_org
        self._current = current
        self._other = other
        self._moment = datetime.fromtimestamp(reading.now(), UTC)

    def answer(self) -> dict[str, Any]:
        """Return the whole comparison."""
        mine, theirs = self._both(
            lambda: self._current.list_items(self._type), lambda: self._other.list_items(self._type)
        )
        registry = self._reading.lineage
        pairs = pair_up(
            mine.keys(),
            theirs.keys(),
            registry.list_entries(self._own_org, self._other_org, self._type.name),
            registry.list_entries(self._other_org, self._own_org, self._type.name),
        )
        rows = self._matched(pairs, mine, theirs)
        current_ids, other_ids = {pair.current_id for pair in pairs}, {pair.other_id for pair in pairs}
        rows += [
            {"match_status": "only_current", "current": self._summary(item)}
            for config_id, item in mine.items()
            if config_id not in current_ids
        ]
        rows += [
            {"match_status": "only_source", "source": self._summary(item)}
            for config_id, item in theirs.items()
            if config_id not in other_ids
        ]
        counted = Counter(row["match_status"] for row in rows)
        return {
            "type": self._type.name,
            "label": self._type.label,
            "icon": self._type.icon,
            "rows": sorted(rows, key=_by_title),
            "counts": {status: counted[status] for status in ("matched", "only_current", "only_source")},
        }

    @staticmethod
    def _both[T](mine: Callable[[], T], theirs: Callable[[], T]) -> tuple[T, T]:
        """Read both organisations at the same time."""
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.submit(mine), pool.submit(theirs)
            with with_second_token():
                found = second.result()
            return first.result(), found

    def _matched(
        self, pairs: Collection[PairedRow], mine: Mapping[str, Payload], theirs: Mapping[str, Payload]
    ) -> list[dict[str, Any]]:
        own, others = self._both(
            lambda: self._current.whole(self._type, {pair.current_id for pair in pairs}),
            lambda: self._other.whole(self._type, {pair.other_id for pair in pairs}),
        )
        verdicts = self._verdicts(
            {pair: _sides(pair, own, others) for pair in pairs if pair.current_id in own and pair.other_id in others}
        )
        rows = []
        for pair in pairs:
            row: dict[str, Any] = {
                "match_status": "matched",
                "current": self._summary(mine[pair.current_id], own.get(pair.current_id)),
                "source": self._summary(theirs[pair.other_id], others.get(pair.other_id)),
                "lineage": _provenance(pair.direction, pair.entry),
            }
            if pair in verdicts:
                change, differing = verdicts[pair]
                row["change"] = change
                row["differences"] = differing[:MAX_DIFFERENCES]
                row["differences_count"] = len(differing)
            rows.append(row)
        return rows

    def _verdicts(
        self, sides: Mapping[PairedRow, tuple[Payload, Payload]]
    ) -> dict[PairedRow, tuple[Change, list[str]]]:
        """Say of source and target of each pair what has changed and where they differ."""
        verdicts: dict[PairedRow, tuple[Change, list[str]]] = {}
        open_ones: dict[PairedRow, Change | None] = {}
        changes = self._changes(sides)
        for pair in sides:
            change = changes[pair]
            if change is Change.EQUAL:
                verdicts[pair] = change, []
            else:
                open_ones[pair] = change
        for direction in (Direction.PULL, Direction.PUSH):
            of_direction = {pair: change for pair, change in open_ones.items() if pair.direction == direction}
            if of_direction:
                of_both = [sides[pair] for pair in of_direction]
                known = self._with_aliases(direction, of_both, self._counterparts(direction, of_both))
                for pair, change in of_direction.items():
                    if change is None and says_the_same(self._type, *sides[pair], known):
                        verdicts[pair] = Change.EQUAL, []
                    else:
                        # Without a last sync nobody can tell whose a difference is.
                        verdicts[pair] = change or Change.BOTH_CHANGED, differences(self._type, *sides[pair], known)
        return verdicts

    def _changes(self, sides: Mapping[PairedRow, tuple[Payload, Payload]]) -> dict[PairedRow, Change | None]:
        """Say who has changed since the last sync, also where a release has changed what counts as content."""
        prints = {
            pair: (fingerprint(self._type, source), fingerprint(self._type, target))
            for pair, (source, target) in sides.items()
        }
        wanted = {
            digest
            for pair, (ours, theirs) in prints.items()
            for digest in memories_of_older_forms(pair.entry, ours, theirs)
        }
        recalled = self._recall(wanted) if wanted else {}
        return {
            pair: change_of(
                since_last_sync(self._type, pair.entry, (prints[pair][0], source), (prints[pair][1], target), recalled)
            )
            for pair, (source, target) in sides.items()
        }

    def _counterparts(self, direction: Direction, sides: Collection[tuple[Payload, Payload]]) -> Counterparts:
        """Look up what the references in some pairs of payloads stand for in either organisation."""
        source_org, target_org = self._own_org, self._other_org
        if direction is Direction.PULL:
            source_org, target_org = target_org, source_org
        lineage = self._reading.lineage
        way_back = lineage.list_entries(source_org, target_org)
        targets = {ResourceKey(entry.type, entry.target_id): entry.source_id for entry in way_back}
        for entry in lineage.list_entries(target_org, source_org):
            targets[ResourceKey(entry.type, entry.source_id)] = entry.target_id
        sources = [source for source, _ in sides]
        return Counterparts(
            catalogue=self._reading.catalogue,
            pair=Pair(source_org, target_org),
            targets=targets,
            source_identifiers=own_identifiers(targets, self._identifiers(source_org, sources)),
            target_identifiers=own_identifiers(
                (ResourceKey(key.type, target_id) for key, target_id in targets.items()),
                self._identifiers(target_org, [target for _, target in sides]),
            ),
        )

    def _with_aliases(
        self, direction: Direction, sides: Collection[tuple[Payload, Payload]], known: Counterparts
    ) -> Counterparts:
        """Ask both organisations for the aliases of counterparts that no index knows, such as those of a new file."""
        reverse = known.reverse()
        of_target = {key for ours, theirs in sides for key in unread_counterparts(self._type, ours, theirs, known)}
        of_source = {key for ours, theirs in sides for key in unread_counterparts(self._type, theirs, ours, reverse)}
        mine, others = (of_target, of_source) if direction is Direction.PULL else (of_source, of_target)
        own, other = self._both(
            lambda: self._read_aliases(self._current, mine), lambda: self._read_aliases(self._other, others)
        )
        target_aliases, source_aliases = (own, other) if direction is Direction.PULL else (other, own)
        return replace(
            known,
            source_identifiers={**known.source_identifiers, **source_aliases},
            target_identifiers={**known.target_identifiers, **target_aliases},
        )

    def _read_aliases(self, live: LiveConfigs, wanted: Collection[ResourceKey]) -> dict[str, list[Identified]]:
        """Return the values by which others may name some configs, of types of which one config can be read."""
        catalogue = self._reading.catalogue
        found: dict[str, list[Identified]] = {}
        for type_name in sorted({key.type for key in wanted}):
            if catalogue[type_name].get is None:
                continue
            payloads = live.get_all(catalogue[type_name], {key.id for key in wanted if key.type == type_name})
            for config_id, payload in payloads.items():
                for path, value in read_referable_fields(catalogue, type_name, payload).items():
                    for one in value if isinstance(value, list) else (value,):
                        if isinstance(one, str) and one:
                            found.setdefault(one, []).append(Identified(ResourceKey(type_name, config_id), path))
        return found

    def _identifiers(self, org_id: str, payloads: Iterable[Payload]) -> Identifiers:
        """Return what the index knows of the ids and aliases in some payloads; nothing where there is no index."""
        state = self._index.find_state(org_id)
        if state is None or not state.has_nodes(self._reading.now()):
            return {}
        wanted = {one.identifier for payload in payloads for one in collect_candidates(self._type, payload)}
        return self._index.find_identifiers(org_id, wanted)

    def _summary(self, item: Payload, payload: Payload | None = None) -> dict[str, Any]:
        node = read_node(self._type, payload or item, item, now=self._moment)
        link = node.link and self._app_url and f"{self._app_url.rstrip('/')}{node.link}"
        return summary_of(replace(node, link=link or None))


def _sides(pair: PairedRow, own: Mapping[str, Payload], others: Mapping[str, Payload]) -> tuple[Payload, Payload]:
    """Return source and target of the sync that paired two configs."""
    mine, theirs = own[pair.current_id], others[pair.other_id]
    return (theirs, mine) if pair.direction is Direction.PULL else (mine, theirs)


def _provenance(direction: Direction, entry: LineageEntry) -> dict[str, Any]:
    known = {
        "last_synced_at": entry.last_synced_at,
        "last_sync_job_id": entry.last_sync_job_id,
        "origin": entry.origin,
    }
    return {"direction": direction, **{name: value for name, value in known.items() if value is not None}}


def _by_title(row: Mapping[str, Any]) -> tuple[str, str, str]:
    node = row.get("current") or row["source"]
    return node["title"].casefold(), node["id"], row["match_status"]
