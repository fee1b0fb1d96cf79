from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain.errors import ForbiddenError, InvalidRequestError
from shared.domain.plan import LineageEntry
from shared.domain.resource_type import Fields, Identity, NaturalKey, Reference, ResourceType
from shared.use_cases.suggest_matches import MAX_SOURCE_IDS, suggest_matches
from tests.fakes.sync_types import CATALOGUE as SYNC_TYPES
from tests.fakes.sync_types import DESIGN, FLOW, SCHEMA
from tests.unit.two_organisations import HERE, THERE, World

#: Its natural key names another config.
OFFER = ResourceType(
    **{name: getattr(FLOW, name) for name in FLOW.__slots__}
    | {
        "name": "offer",
        "fields": Fields(id="id", title=("title",)),
        "identity": Identity.SERVER,
        "natural_key": NaturalKey(fields=(("kind", "flow"),)),
        "references": (Reference(to=("flow",), path="$.flow"),),
    }
)
CATALOGUE = {**SYNC_TYPES, "offer": OFFER}


@pytest.fixture
def world() -> World:
    return World(CATALOGUE)


def suggest(world: World, type_name: str, *source_ids: str, **changes: Any) -> dict[str, Any]:
    body = {
        "source_org_id": THERE,
        "source_auth_token": "token-of-org-b",
        "type": type_name,
        "source_ids": [*source_ids],
        **changes,
    }
    answer = suggest_matches(world.reading(), body)
    assert answer["type"] == type_name
    found = {one["source_id"]: one for one in answer["suggestions"]}
    assert len(found) == len(answer["suggestions"])
    return found


def entry(source_id: str, target_id: str, type_name: str = "flow") -> LineageEntry:
    return LineageEntry(
        type=type_name, source_org_id=THERE, source_id=source_id, target_org_id=HERE, target_id=target_id
    )


def ids(suggestion: dict[str, Any]) -> list[str]:
    return [one["id"] for one in suggestion["candidates"]]


def test_suggests_the_one_config_with_the_same_natural_key(world: World) -> None:
    world.there.add(FLOW, {"id": "b1", "name": "Same"}, {"id": "b2", "name": "Alone"})
    world.here.add(FLOW, {"id": "a1", "name": "Same"}, {"id": "a2", "name": "Other"})

    found = suggest(world, "flow", "b1", "b2", "gone")

    assert found == {
        "b1": {
            "source_id": "b1",
            "candidate": {"id": "a1", "title": "Same"},
            "candidates": [{"id": "a1", "title": "Same", "matched_by": "natural_key", "fields": ["name"]}],
        },
        "b2": {"source_id": "b2", "candidate": None, "candidates": []},
        "gone": {"source_id": "gone", "candidate": None, "candidates": []},
    }


def test_writes_nothing(world: World) -> None:
    world.there.add(FLOW, {"id": "b1", "name": "Same"})
    world.here.add(FLOW, {"id": "a1", "name": "Same"})
    suggest(world, "flow", "b1")
    assert world.lineage.entries == []
    assert {operation for operation, _ in (*world.here.calls, *world.there.calls)} == {"list", "get"}


def test_of_several_candidates_the_one_most_alike_is_the_best(world: World) -> None:
    world.there.add(FLOW, {"id": "b1", "name": "Same", "color": "red", "size": 2})
    world.here.add(
        FLOW,
        {"id": "a1", "name": "Same", "color": "blue", "size": 1},
        {"id": "a2", "name": "Same", "color": "red", "size": 2},
        {"id": "a3", "name": "Same", "color": "red", "size": 1},
    )

    suggestion = suggest(world, "flow", "b1")["b1"]

    assert ids(suggestion) == ["a2", "a3", "a1"]
    assert suggestion["candidate"] == {"id": "a2", "title": "Same"}


def test_what_another_config_of_that_organisation_became_is_no_candidate(world: World) -> None:
    world.there.add(FLOW, {"id": "b1", "name": "Same"})
    world.here.add(FLOW, *({"id": f"a{number}", "name": "Same"} for number in (1, 2, 3)))
    world.lineage.entries.append(entry("b9", "a1"))
    assert ids(suggest(world, "flow", "b1")["b1"]) == ["a2", "a3"]


def test_lineage_goes_before_natural_keys(world: World) -> None:
    world.there.add(FLOW, {"id": "b1", "name": "Same"})
    world.here.add(FLOW, {"id": "a1", "name": "Same"}, {"id": "a2", "name": "Renamed"})
    world.lineage.entries.append(entry("b1", "a2"))
    (candidate,) = suggest(world, "flow", "b1")["b1"]["candidates"]
    assert candidate == {"id": "a2", "title": "Renamed", "matched_by": "lineage", "fields": []}


def test_an_identifier_that_is_the_same_everywhere_is_a_match() -> None:
    keyed = ResourceType(
        **{name: getattr(SCHEMA, name) for name in SCHEMA.__slots__} | {"natural_key": NaturalKey(fields=(("slug",),))}
    )
    world = World({**CATALOGUE, "schema": keyed})
    world.there.add(keyed, {"slug": "contact", "name": "Contact"})
    world.here.add(keyed, {"slug": "contact", "name": "Kontakt"})
    (candidate,) = suggest(world, "schema", "contact")["contact"]["candidates"]
    assert candidate == {"id": "contact", "title": "Kontakt", "matched_by": "id", "fields": ["slug"]}


def test_a_natural_key_that_names_another_config_is_compared_with_its_counterpart(world: World) -> None:
    world.there.add(FLOW, {"id": "flow-b", "name": "Flow"}, {"id": "flow-b2", "name": "Only there"})
    world.here.add(FLOW, {"id": "flow-a", "name": "Flow"})
    world.there.add(
        OFFER,
        {"id": "b1", "kind": "x", "flow": "flow-b", "title": "Offer"},
        {"id": "b2", "kind": "x", "flow": "flow-b2", "title": "Offer"},
    )
    world.here.add(
        OFFER,
        {"id": "a1", "kind": "x", "flow": "flow-a", "title": "Angebot"},
        {"id": "a2", "kind": "x", "flow": "flow-b2", "title": "Names an id of the other organisation"},
    )

    found = suggest(world, "offer", "b1", "b2")

    assert found["b1"]["candidates"] == [
        {"id": "a1", "title": "Angebot", "matched_by": "natural_key", "fields": ["kind", "flow"]}
    ]
    assert found["b2"]["candidate"] is None


def test_reads_details_only_of_what_may_be_a_candidate(world: World) -> None:
    world.there.add(DESIGN, {"id": "b1", "name": "Same"})
    world.here.add(DESIGN, {"id": "a1", "name": "Same"}, *({"id": f"x{n}", "name": f"No {n}"} for n in range(9)))
    assert ids(suggest(world, "design", "b1")["b1"]) == ["a1"]
    assert world.here.calls["get", "design"] == 1


def test_takes_each_id_once_and_up_to_25_of_them(world: World) -> None:
    assert len(suggest(world, "flow", "b1", "b1")) == 1
    with pytest.raises(ValidationError, match="source_ids"):
        suggest(world, "flow", *(f"b{number}" for number in range(MAX_SOURCE_IDS + 1)))
    with pytest.raises(ValidationError, match="source_ids"):
        suggest(world, "flow")


def test_refuses_a_type_that_nothing_but_its_id_identifies(world: World) -> None:
    with pytest.raises(InvalidRequestError, match="type: one with a natural key"):
        suggest(world, "schema", "contact")


def test_reads_nothing_before_the_second_token_is_verified(world: World) -> None:
    with pytest.raises(ForbiddenError, match="source_auth_token"):
        suggest(world, "flow", "b1", source_auth_token="token-of-org-c")
    assert not world.here.calls
    assert not world.there.calls
