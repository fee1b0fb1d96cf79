from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamUnavailableError,
    ForbiddenError,
    InvalidRequestError,
    PayloadTooLargeError,
)
from shared.domain.fingerprint import canonical, fingerprint
from shared.domain.plan import LineageEntry
from shared.domain.references import Identified
from shared.domain.resource_type import Fields, ResourceKey, ResourceType
from shared.domain.sendable import without_secrets
from shared.use_cases.compare_configs import MAX_DIFFERENCES, compare_configs
from shared.use_cases.reading.live_configs import OutOfTimeError
from tests.fakes import types
from tests.fakes.api import Clock
from tests.fakes.index import FakeIndex
from tests.fakes.sync_types import ATTACHMENT, CATALOGUE, DESIGN, FLOW, JOURNEY
from tests.unit.two_organisations import HERE, THERE, World


@pytest.fixture
def world() -> World:
    return World(CATALOGUE)


def synced(world: World, resource_type: ResourceType, source_id: str, target_id: str, *, pushed: bool = False) -> None:
    """Write the lineage of a sync as it would be right after it."""
    source, target = (world.here, world.there) if pushed else (world.there, world.here)
    payloads = [repository.configs[resource_type.name] for repository in (source, target)]
    prints = [
        fingerprint(resource_type, without_secrets(resource_type, configs[config_id]))
        for configs, config_id in zip(payloads, (source_id, target_id), strict=True)
    ]
    world.lineage.entries.append(
        LineageEntry(
            type=resource_type.name,
            source_org_id=source.org_id,
            source_id=source_id,
            target_org_id=target.org_id,
            target_id=target_id,
            source_fingerprint=prints[0],
            target_fingerprint=prints[1],
            last_synced_at="2026-03-01T08:00:00.000Z",
            last_sync_job_id="job-1",
        )
    )


def compare(
    world: World, type_name: str = "flow", app_url: str = "", index: Any = None, **changes: Any
) -> dict[str, Any]:
    body = {"source_org_id": THERE, "source_auth_token": "token-of-org-b", "type": type_name, **changes}
    return compare_configs(world.reading(), index or FakeIndex(world.clock), body, app_url)


def row_of(answer: dict[str, Any], current_id: str) -> dict[str, Any]:
    return next(row for row in answer["rows"] if row.get("current", {}).get("id") == current_id)


def test_shows_both_organisations_side_by_side(world: World) -> None:
    world.here.add(FLOW, {"id": "a1", "name": "Pulled"}, {"id": "a2", "name": "Pushed"}, {"id": "a3", "name": "Own"})
    world.there.add(FLOW, {"id": "b1", "name": "Pulled"}, {"id": "b2", "name": "Pushed"}, {"id": "b3", "name": "New"})
    synced(world, FLOW, "b1", "a1")
    synced(world, FLOW, "a2", "b2", pushed=True)

    answer = compare(world)

    assert answer["counts"] == {"matched": 2, "only_current": 1, "only_source": 1}
    assert [row["match_status"] for row in answer["rows"]] == ["only_source", "only_current", "matched", "matched"]
    assert answer["rows"][0] == {
        "match_status": "only_source",
        "source": {"type": "flow", "id": "b3", "title": "New"},
    }
    assert row_of(answer, "a1") == {
        "match_status": "matched",
        "current": {"type": "flow", "id": "a1", "title": "Pulled"},
        "source": {"type": "flow", "id": "b1", "title": "Pulled"},
        "lineage": {
            "direction": "pull",
            "last_synced_at": "2026-03-01T08:00:00.000Z",
            "last_sync_job_id": "job-1",
        },
        "change": "equal",
        "differences": [],
        "differences_count": 0,
    }
    assert row_of(answer, "a2")["lineage"]["direction"] == "push"


def test_classes_what_changed_since_the_last_sync(world: World) -> None:
    for number in range(4):
        world.here.add(FLOW, {"id": f"a{number}", "name": "Same"})
        world.there.add(FLOW, {"id": f"b{number}", "name": "Same"})
        synced(world, FLOW, f"b{number}", f"a{number}")
    world.there.configs["flow"]["b1"]["name"] = "Edited there"
    world.here.configs["flow"]["a2"]["note"] = "Edited here"
    world.there.configs["flow"]["b3"]["name"] = "Edited there"
    world.here.configs["flow"]["a3"]["name"] = "Edited here"

    answer = compare(world)

    assert [(row_of(answer, f"a{n}")["change"], row_of(answer, f"a{n}")["differences"]) for n in range(4)] == [
        ("equal", []),
        ("source_changed", ["/name"]),
        ("target_changed", ["/note"]),
        ("both_changed", ["/name"]),
    ]


def test_source_and_target_are_those_of_the_sync_where_the_caller_pushed(world: World) -> None:
    world.here.add(FLOW, {"id": "a1", "name": "Same"})
    world.there.add(FLOW, {"id": "b1", "name": "Same"})
    synced(world, FLOW, "a1", "b1", pushed=True)
    world.here.configs["flow"]["a1"]["name"] = "Edited here"

    assert compare(world)["rows"][0]["change"] == "source_changed"


def test_references_to_what_lineage_pairs_do_not_differ(world: World) -> None:
    world.here.add(FLOW, {"id": "a1", "name": "Flow", "journeys": ["j-a"]})
    world.there.add(FLOW, {"id": "b1", "name": "Flow", "journeys": ["j-b"]})
    world.here.add(JOURNEY, {"id": "j-a", "name": "Journey"})
    world.there.add(JOURNEY, {"id": "j-b", "name": "Journey"})
    synced(world, FLOW, "b1", "a1")
    synced(world, JOURNEY, "j-b", "j-a")
    world.there.configs["flow"]["b1"]["name"] = "Edited"

    assert compare(world)["rows"][0]["differences"] == ["/name"]


def test_references_to_what_a_sync_of_the_way_back_paired_do_not_differ(world: World) -> None:
    world.here.add(FLOW, {"id": "a1", "name": "Flow", "journeys": ["j-a"]})
    world.there.add(FLOW, {"id": "b1", "name": "Flow", "journeys": ["j-b"]})
    world.here.add(JOURNEY, {"id": "j-a", "name": "Journey"})
    world.there.add(JOURNEY, {"id": "j-b", "name": "Journey"})
    synced(world, FLOW, "b1", "a1")
    synced(world, JOURNEY, "j-a", "j-b", pushed=True)
    world.there.configs["flow"]["b1"]["name"] = "Edited"

    assert compare(world)["rows"][0]["differences"] == ["/name"]


class IndexOf:
    """The index of one organisation; the other has none."""

    def __init__(self, org_id: str, url: str, key: ResourceKey) -> None:
        self.org_id = org_id
        self.known = {url: [Identified(key, "public_url")]}

    def find_state(self, org_id: str) -> Any:
        return SimpleNamespace(has_nodes=lambda _now: True) if org_id == self.org_id else None

    def find_identifiers(self, _org_id: str, values: Iterable[str]) -> Any:
        return {value: self.known[value] for value in values if value in self.known}


@pytest.mark.parametrize("indexed", [HERE, THERE])
@pytest.mark.parametrize("pushed", [False, True])
def test_the_address_of_a_copied_file_does_not_differ_though_one_index_does_not_know_it(
    indexed: str, pushed: bool
) -> None:
    logo = replace(ATTACHMENT, fields=Fields(id="id", title=("name",), aliases=("public_url",)), strip=("public_url",))
    world = World({**CATALOGUE, "attachment": logo})
    urls = {HERE: "https://files.example/a/logo.png", THERE: "https://files.example/b/x.png"}
    files = {HERE: "logo-in-a", THERE: "logo-in-b"}
    for repository in (world.here, world.there):
        org_id = repository.org_id
        repository.add(logo, {"id": files[org_id], "name": "Logo", "public_url": urls[org_id]})
        repository.add(JOURNEY, {"id": f"j-{org_id}", "name": "J", "logo": {"src": urls[org_id]}})
    source, target = (HERE, THERE) if pushed else (THERE, HERE)
    synced(world, JOURNEY, f"j-{source}", f"j-{target}", pushed=pushed)
    synced(world, logo, files[source], files[target], pushed=pushed)
    world.there.configs["journey"]["j-org-b"]["name"] = "Edited"
    index = IndexOf(indexed, urls[indexed], ResourceKey("attachment", files[indexed]))

    assert compare(world, "journey", index=index)["rows"][0]["differences"] == ["/name"]
    world.here.configs["journey"]["j-org-a"]["logo"]["src"] = "https://files.example/a/another.png"
    assert compare(world, "journey", index=index)["rows"][0]["differences"] == ["/logo/src", "/name"]


def test_a_confirmed_pair_without_a_sync_differs_by_its_content(world: World) -> None:
    world.here.add(FLOW, {"id": "a1", "name": "Same", "filled_in": 1}, {"id": "a2", "name": "Same", "filled_in": 1})
    world.there.add(FLOW, {"id": "b1", "name": "Same"}, {"id": "b2", "name": "Other"})
    for number in (1, 2):
        entry = {"type": "flow", "source_org_id": THERE, "target_org_id": HERE, "origin": "manual_confirm"}
        world.lineage.entries.append(LineageEntry(**entry, source_id=f"b{number}", target_id=f"a{number}"))

    answer = compare(world)

    assert row_of(answer, "a1")["change"] == "equal"
    assert row_of(answer, "a1")["lineage"] == {"direction": "pull", "origin": "manual_confirm"}
    assert row_of(answer, "a2")["change"] == "both_changed"
    assert row_of(answer, "a2")["differences"] == ["/filled_in", "/name"]


def test_reads_details_of_matched_rows_only_and_only_where_the_list_is_a_summary(world: World) -> None:
    for repository, prefix in ((world.here, "a"), (world.there, "b")):
        repository.add(DESIGN, *({"id": f"{prefix}{n}", "name": f"Design {n}"} for n in range(3)))
        repository.add(FLOW, *({"id": f"{prefix}{n}", "name": f"Flow {n}"} for n in range(3)))
    synced(world, DESIGN, "b1", "a1")
    synced(world, FLOW, "b1", "a1")

    compare(world, "design")
    compare(world, "flow")

    for repository in (world.here, world.there):
        assert repository.calls["get", "design"] == 1
        assert repository.calls["get", "flow"] == 0


def test_no_secret_and_no_value_is_in_the_answer(world: World) -> None:
    world.here.add(JOURNEY, {"id": "a1", "name": "J", "secret": "s3cret-here", "note": "value-here"})
    world.there.add(JOURNEY, {"id": "b1", "name": "J", "secret": "s3cret-there", "note": "value-there"})
    synced(world, JOURNEY, "b1", "a1")
    world.there.configs["journey"]["b1"] |= {"secret": "s3cret-new", "note": "value-new"}

    answer = compare(world, "journey")

    assert answer["rows"][0]["differences"] == ["/note"]
    assert "s3cret" not in str(answer)
    assert "value-" not in str(answer)


def test_says_how_many_places_differ_beyond_those_it_names(world: World) -> None:
    many = {f"p{number:04d}": number for number in range(MAX_DIFFERENCES + 5)}
    world.here.add(FLOW, {"id": "a1", "name": "F"})
    world.there.add(FLOW, {"id": "b1", "name": "F"})
    synced(world, FLOW, "b1", "a1")
    world.there.configs["flow"]["b1"] |= many

    row = compare(world)["rows"][0]

    assert len(row["differences"]) == MAX_DIFFERENCES
    assert row["differences_count"] == MAX_DIFFERENCES + 5


def test_links_lead_into_the_application() -> None:
    linked = {"flow": ResourceType(**{f: getattr(FLOW, f) for f in FLOW.__slots__} | {"link": "/flows/{id}"})}
    world = World(linked)
    world.here.add(FLOW, {"id": "a 1", "name": "F"})

    assert (
        compare(world, app_url="https://app.example/")["rows"][0]["current"]["link"]
        == "https://app.example/flows/a%201"
    )
    assert "link" not in compare(world)["rows"][0]["current"]


def test_reads_nothing_before_the_second_token_is_verified(world: World) -> None:
    with pytest.raises(ForbiddenError, match="source_auth_token"):
        compare(world, source_auth_token="token-of-org-c")
    assert not world.here.calls
    assert not world.there.calls


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"type_name": "unknown"}, "type: one of"), ({"source_org_id": HERE}, "source_org_id: another organisation")],
)
def test_refuses_an_unknown_type_and_its_own_organisation(world: World, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        compare(world, **changes)


def test_a_second_token_that_a_downstream_api_refuses_is_named(world: World) -> None:
    world.there.fail("list", "flow", CredentialsExpiredError("The flow API no longer accepts the token."))
    with pytest.raises(ForbiddenError, match="source_auth_token: The flow API"):
        compare(world)


def test_the_callers_own_token_is_another_matter(world: World) -> None:
    world.here.fail("list", "flow", CredentialsExpiredError("The flow API no longer accepts the token."))
    with pytest.raises(CredentialsExpiredError):
        compare(world)


def test_an_api_that_fails_is_named(world: World) -> None:
    world.here.fail("list", "flow", DownstreamUnavailableError("The flow API answered 503 to list."))
    with pytest.raises(DownstreamUnavailableError, match="flow API"):
        compare(world)


def test_ends_when_the_time_does_and_says_how_far_it_came(world: World) -> None:
    world.here.add(FLOW, *({"id": f"a{n}", "name": "F"} for n in range(7)))
    world.ends_at = world.clock()
    with pytest.raises(OutOfTimeError, match="flow: only 2 could be read"):
        compare(world)


def test_a_config_that_goes_between_list_and_get_is_no_failure(world: World) -> None:
    for repository, prefix in ((world.here, "a"), (world.there, "b")):
        repository.add(DESIGN, {"id": f"{prefix}1", "name": "Design"})
    synced(world, DESIGN, "b1", "a1")
    listed = world.here.list_pages

    def list_and_forget(*arguments: Any) -> Any:
        yield from list(listed(*arguments))
        world.here.configs["design"].clear()

    world.here.list_pages = list_and_forget  # type: ignore[method-assign]

    (row,) = compare(world, "design")["rows"]

    assert row["match_status"] == "matched"
    assert "change" not in row


def test_refuses_a_type_with_more_configs_than_are_read_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.use_cases.reading.live_configs.MAX_INDEXED_WHEN_USED", 4)
    world = World(types.CATALOGUE, Clock())
    world.here.add(types.PICTURE, *({"id": f"p{n}", "name": "P"} for n in range(5)))
    with pytest.raises(PayloadTooLargeError, match="more than the 4"):
        compare(world, "picture")


def test_configs_without_a_list_are_collected_from_those_that_name_them() -> None:
    world = World(types.CATALOGUE, Clock())
    for repository, prefix in ((world.here, "a"), (world.there, "b")):
        form = {"id": f"{prefix}-form", "form_id": f"{prefix}-form", "mapping": f"{prefix}-mapping"}
        repository.add(types.FORM, form, form | {"id": "other", "form_id": "other", "mapping": "gone"})
        repository.add(types.MAPPING, {"id": f"{prefix}-mapping", "name": "M"}, {"id": "unnamed", "name": "U"})

    answer = compare(world, "mapping")

    assert answer["counts"] == {"matched": 0, "only_current": 1, "only_source": 1}


def test_a_release_that_changes_what_counts_as_content_is_no_change_of_either_side(world: World) -> None:
    world.there.add(FLOW, {"id": "s", "name": "F", "state": "theirs", "own": "form"})
    world.here.add(FLOW, {"id": "t", "name": "F", "state": "mine", "own": "FORM"})
    synced(world, FLOW, "s", "t")
    (entry,) = world.lineage.entries
    world.lineage.entries[:] = [replace(entry, base="base", left="left")]
    memories = {
        "base": canonical(FLOW, world.there.configs["flow"]["s"]),
        "left": canonical(FLOW, world.here.configs["flow"]["t"]),
    }
    world.catalogue = {**CATALOGUE, "flow": replace(FLOW, strip=(*FLOW.strip, "state"))}
    world.here.configs["flow"]["t"]["state"] = "edited"

    def row(**recalled: Any) -> dict[str, Any]:
        body = {"source_org_id": THERE, "source_auth_token": f"token-of-{THERE}", "type": "flow"}
        answer = compare_configs(world.reading(), FakeIndex(world.clock), body, recall=lambda _digests: recalled)
        return answer["rows"][0]

    assert (row(**memories)["change"], row(**memories)["differences"]) == ("equal", [])
    assert row()["change"] == "both_changed"
    world.here.configs["flow"]["t"]["name"] = "G"
    assert row(**memories)["change"] == "target_changed"
