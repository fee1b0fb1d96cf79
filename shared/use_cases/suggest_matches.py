"""Suggest, by the planner's own matching, which configs of the caller some configs of another organisation are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from shared.domain.config_node import title_of
from shared.domain.errors import InvalidRequestError
from shared.domain.fingerprint import canonical
from shared.domain.matching import Pair, TargetIndex, match, may_match, portable_id
from shared.domain.natural_keys import names_another, natural_key_of
from shared.domain.paths import covers, values_at
from shared.domain.plan import Rule, SourceConfig, TargetConfig
from shared.domain.references import find_references, resolve
from shared.domain.resource_type import ResourceKey
from shared.domain.rewriting import Replacement, rewrite
from shared.use_cases.jobs.request_fields import Id
from shared.use_cases.reading.two_organisations import OtherOrganisation, with_second_token

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.domain.ports.configs import Payload
    from shared.domain.resource_type import ResourceType
    from shared.use_cases.reading.live_configs import LiveConfigs
    from shared.use_cases.reading.two_organisations import Reading

MAX_SOURCE_IDS = 25


class SuggestMatchesRequest(OtherOrganisation):
    """The body of suggestMatches."""

    source_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_SOURCE_IDS)]


def suggest_matches(reading: Reading, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return, per source config, the configs of the caller that it may be; nothing is written.

    Args:
        reading: both organisations.
        body: the request's body.

    Returns:
        The contract's `SuggestMatchesResponse`. Each suggestion also lists all `candidates`, the best one first, with
        the natural key `fields` that agree.

    Raises:
        ValidationError: a field breaks the contract.
        InvalidRequestError: the type is unknown or has no natural key, or the other organisation is the caller's own.
        ForbiddenError: the token does not act for the organisation that is stated.
        OutOfTimeError: there is more than can be read in the time.
        HubError: a downstream API throttles, fails or refuses.
    """
    request = SuggestMatchesRequest.model_validate(body)
    resource_type, current, other = reading.open(request)
    if resource_type.natural_key is None:
        raise InvalidRequestError(
            f"type: one with a natural key is expected; nothing but its id tells a {resource_type.name}."
        )
    matching = _Matching(reading, request.source_org_id, current, other)
    ids = list(dict.fromkeys(request.source_ids))
    found = matching.find(resource_type, ids)
    return {"type": resource_type.name, "suggestions": [_suggestion(one, found.get(one, [])) for one in ids]}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A config of the caller that a source config may be.

    Attributes:
        fields: the natural key's fields that agree.
        alike: how many properties agree, to tell the better one of two.
    """

    id: str
    title: str
    matched_by: str
    fields: tuple[str, ...]
    alike: int


def _suggestion(source_id: str, candidates: Sequence[_Candidate]) -> dict[str, Any]:
    best = candidates[0] if candidates else None
    return {
        "source_id": source_id,
        "candidate": {"id": best.id, "title": best.title} if best else None,
        "candidates": [
            {"id": one.id, "title": one.title, "matched_by": one.matched_by, "fields": list(one.fields)}
            for one in candidates
        ],
    }


class _Matching:
    """The rules of matching on live configs; a natural key that names other configs has those matched first."""

    def __init__(self, reading: Reading, other_org: str, current: LiveConfigs, other: LiveConfigs) -> None:
        self._reading = reading
        self._pair = Pair(other_org, reading.current.org_id)
        self._current = current
        self._other = other

    def find(
        self, resource_type: ResourceType, source_ids: Collection[str], inside: frozenset[str] = frozenset()
    ) -> dict[str, list[_Candidate]]:
        """Return the candidates of source configs, the best one first; configs that do not exist are left out.

        Args:
            resource_type: their type.
            source_ids: their ids.
            inside: types whose natural keys are being read: one that leads back to them cannot match.
        """
        with with_second_token():
            sources = self._other.get_all(resource_type, source_ids)
        keys = [ResourceKey(resource_type.name, source_id) for source_id in sources]
        entries = self._reading.lineage.find_entries(self._pair.target_org_id, self._pair.source_org_id, keys)
        asked = self._with_counterparts(resource_type, sources, inside | {resource_type.name})
        same_id = {source_id: portable_id(resource_type, source_id, self._pair) for source_id in sources}
        wanted = {entry.target_id for entry in entries.values()} | {one for one in same_id.values() if one is not None}
        targets = self._targets(resource_type, [one for one in asked.values() if one is not None], wanted)
        claimed = self._reading.lineage.find_claimed_targets(
            self._pair.target_org_id, self._pair.source_org_id, [target.key for target in targets]
        )
        index = TargetIndex(self._reading.catalogue, {resource_type.name: targets})
        found: dict[str, list[_Candidate]] = {}
        for key in keys:
            natural_key = natural_key_of(resource_type, asked[key.id])
            source = SourceConfig(key=key, payload=sources[key.id], selected=True)
            one = match(resource_type, source, natural_key, entries.get(key), index, claimed, self._pair)
            matching = [one.target] if one.target is not None else []
            if one.rule is Rule.AMBIGUOUS and natural_key is not None:
                matching = [other for other in index.candidates(key.type, natural_key) if other.key not in claimed]
            by_id = {same_id[key.id]: "id"} | ({entries[key].target_id: "lineage"} if key in entries else {})
            candidates = [
                _candidate(
                    resource_type, asked[key.id] or sources[key.id], target, by_id.get(target.key.id, "natural_key")
                )
                for target in matching
            ]
            found[key.id] = sorted(candidates, key=lambda one: (-len(one.fields), -one.alike, one.id))
        return found

    def _with_counterparts(
        self, resource_type: ResourceType, sources: Mapping[str, Payload], inside: frozenset[str]
    ) -> dict[str, Payload | None]:
        """Return source payloads with the references in their natural keys remapped; None where one leads nowhere."""
        fields = _natural_key_fields(resource_type)
        paths = {path for path in fields if names_another(resource_type, path)}
        named = {
            source_id: [
                (found, identified.key)
                for found in find_references(resource_type, payload, lambda _: False)
                if not found.portable and any(covers(path, found.steps) for path in paths)
                for identified in (resolve(found, {}),)
                if identified is not None
            ]
            for source_id, payload in (sources.items() if paths else ())
        }
        counterparts: dict[ResourceKey, str] = {}
        by_type: dict[str, set[str]] = {}
        for links in named.values():
            for _, key in links:
                by_type.setdefault(key.type, set()).add(key.id)
        for name, ids in by_type.items():
            if name not in inside:
                for config_id, candidates in self.find(self._reading.catalogue[name], ids, inside).items():
                    if len(candidates) == 1:
                        counterparts[ResourceKey(name, config_id)] = candidates[0].id
        asked: dict[str, Payload | None] = {}
        for source_id, payload in sources.items():
            links = named.get(source_id, [])
            known = [Replacement(found, counterparts[key]) for found, key in links if key in counterparts]
            asked[source_id] = rewrite(payload, known) if len(known) == len(links) else None
        return asked

    def _targets(
        self, resource_type: ResourceType, sources: Sequence[Payload], wanted: Collection[str]
    ) -> list[TargetConfig]:
        """Return, whole, the caller's configs that a source config may be."""
        is_whole = resource_type.list is None or resource_type.list.whole
        items = [
            TargetConfig(key=ResourceKey(resource_type.name, config_id), payload=item, whole=is_whole)
            for config_id, item in self._current.list_items(resource_type).items()
        ]
        chosen = {config.key.id for config in may_match(resource_type, sources, items)} | {*wanted}
        payloads = self._current.whole(resource_type, chosen)
        return [
            TargetConfig(key=ResourceKey(resource_type.name, config_id), payload=payload)
            for config_id, payload in payloads.items()
        ]


def _candidate(
    resource_type: ResourceType, source: Mapping[str, Any], target: TargetConfig, matched_by: str
) -> _Candidate:
    ours, theirs = canonical(resource_type, source), canonical(resource_type, target.payload)
    return _Candidate(
        id=target.key.id,
        title=title_of(resource_type, target.payload, target.key.id),
        matched_by=matched_by,
        fields=tuple(path for path in _natural_key_fields(resource_type) if _agree(source, target.payload, path)),
        alike=sum(1 for name, value in ours.items() if theirs.get(name) == value),
    )


def _natural_key_fields(resource_type: ResourceType) -> tuple[str, ...]:
    """Return the fields of all alternatives of the natural key, each once."""
    alternatives = resource_type.natural_key.fields if resource_type.natural_key is not None else ()
    return tuple(dict.fromkeys(path for paths in alternatives for path in paths))


def _agree(source: Mapping[str, Any], target: Mapping[str, Any], path: str) -> bool:
    ours = list(values_at(source, path))
    return bool(ours) and ours == list(values_at(target, path))
