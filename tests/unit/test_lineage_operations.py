from __future__ import annotations

from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.errors import ConflictError, ForbiddenError, InvalidRequestError, NotFoundError
from shared.domain.plan import LineageEntry
from shared.use_cases.break_lineage import break_lineage
from shared.use_cases.confirm_lineage import confirm_lineage
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.lineage import FakeLineage
from tests.fakes.sync_types import CATALOGUE, FLOW, SCHEMA


@pytest.fixture
def lineage() -> FakeLineage:
    return FakeLineage()


@pytest.fixture
def current() -> FakeConfigRepository:
    made = FakeConfigRepository("org-a")
    made.add(FLOW, {"id": "a1", "name": "One"}, {"id": "a2", "name": "Two"})
    made.add(SCHEMA, {"slug": "contact", "name": "Contact"})
    return made


def confirm(lineage: FakeLineage, current: FakeConfigRepository, **changes: Any) -> dict[str, Any]:
    body = {"type": "flow", "source_org_id": "org-b", "source_id": "b1", "target_id": "a1", **changes}
    return confirm_lineage(CATALOGUE, lineage, current, body, user_id="user-1", now=1_772_352_000)


def broken(lineage: FakeLineage, org_id: str = "org-a", grants: Any = None, **changes: Any) -> dict[str, bool]:
    current = FakeConfigRepository(org_id)
    current.grants = current.grants if grants is None else grants
    return break_lineage(CATALOGUE, lineage, current, **({"type_name": "flow", "source_id": "b1"} | changes))


def test_confirms_a_pair_as_a_persons_word(lineage: FakeLineage, current: FakeConfigRepository) -> None:
    assert confirm(lineage, current) == {
        "type": "flow",
        "target_org_id": "org-a",
        "source_org_id": "org-b",
        "source_id": "b1",
        "target_id": "a1",
        "origin": "manual_confirm",
        "confirmed_by": "user-1",
        "confirmed_at": "2026-03-01T08:00:00.000Z",
    }
    (stored,) = lineage.entries
    assert (stored.origin, stored.source_fingerprint) == ("manual_confirm", "")


def test_a_repeat_answers_with_the_entry_that_is_there(lineage: FakeLineage, current: FakeConfigRepository) -> None:
    assert confirm(lineage, current) == confirm(lineage, current)
    assert len(lineage.entries) == 1


@pytest.mark.parametrize("changes", [{"target_id": "a2"}, {"source_id": "b2"}])
def test_a_pair_that_contradicts_another_conflicts(
    lineage: FakeLineage, current: FakeConfigRepository, changes: dict[str, str]
) -> None:
    confirm(lineage, current)
    with pytest.raises(ConflictError):
        confirm(lineage, current, **changes)
    assert len(lineage.entries) == 1


def test_another_source_organisation_has_pairs_of_its_own(lineage: FakeLineage, current: FakeConfigRepository) -> None:
    confirm(lineage, current)
    confirm(lineage, current, source_org_id="org-c")
    assert len(lineage.entries) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_id": "gone"}, "target_id: there is no flow gone"),
        ({"type": "unknown"}, "type: one of"),
        ({"source_org_id": "org-a"}, "source_org_id: another organisation"),
    ],
)
def test_refuses_what_cannot_be_a_pair(
    lineage: FakeLineage, current: FakeConfigRepository, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        confirm(lineage, current, **changes)
    assert lineage.entries == []


@pytest.mark.parametrize(
    ("type_name", "source_id", "target_id", "counterpart"),
    [
        ("schema", "lead", "contact", "lead"),
        ("environment_variable", "API_URL", "API_KEY", "API_URL"),
        ("role", "org-b:lead", "org-a:contact", "org-a:lead"),
    ],
)
def test_what_has_a_name_of_its_own_everywhere_is_paired_with_its_namesake_only(
    lineage: FakeLineage, type_name: str, source_id: str, target_id: str, counterpart: str
) -> None:
    resource_type = RESOURCE_TYPES[type_name]
    current = FakeConfigRepository("org-a")
    current.add(resource_type, *({resource_type.fields.id: one} for one in (target_id, counterpart)))
    request = {"type": type_name, "source_org_id": "org-b", "source_id": source_id}

    with pytest.raises(ConflictError, match=f"target_id: .* {source_id} of another organisation is {counterpart} here"):
        confirm_lineage(RESOURCE_TYPES, lineage, current, {**request, "target_id": target_id}, user_id="u", now=0)
    assert lineage.entries == []
    confirm_lineage(RESOURCE_TYPES, lineage, current, {**request, "target_id": counterpart}, user_id="u", now=0)
    assert [entry.target_id for entry in lineage.entries] == [counterpart]


def way_back(source_id: str, target_id: str) -> LineageEntry:
    """A flow of org-a that a sync made in org-b."""
    return LineageEntry(
        type="flow", source_org_id="org-a", source_id=source_id, target_org_id="org-b", target_id=target_id
    )


def test_breaks_the_pair_of_the_way_back_too(lineage: FakeLineage, current: FakeConfigRepository) -> None:
    other = way_back("a2", "b2")
    lineage.entries = [way_back("a1", "b1"), other]
    confirm(lineage, current)

    assert broken(lineage) == {"deleted": True}
    assert lineage.entries == [other]
    with pytest.raises(NotFoundError):
        broken(lineage)


def test_breaks_a_pair_of_the_way_back_alone_where_the_organisation_is_stated(lineage: FakeLineage) -> None:
    lineage.entries = [way_back("a1", "b1")]
    with pytest.raises(NotFoundError):
        broken(lineage)

    assert broken(lineage, source_org_id="org-b") == {"deleted": True}
    assert lineage.entries == []
    with pytest.raises(NotFoundError):
        broken(lineage, source_org_id="org-b")


def test_leaves_a_way_back_that_pairs_the_two_with_others(lineage: FakeLineage, current: FakeConfigRepository) -> None:
    others = [way_back("a1", "b2"), way_back("a2", "b1")]
    lineage.entries = [*others]
    confirm(lineage, current)

    broken(lineage)

    assert lineage.entries == others


def test_breaks_a_pair_once(lineage: FakeLineage, current: FakeConfigRepository) -> None:
    confirm(lineage, current)
    assert broken(lineage) == {"deleted": True}
    assert lineage.entries == []
    with pytest.raises(NotFoundError):
        broken(lineage)


def test_breaks_no_pair_of_another_organisation(lineage: FakeLineage, current: FakeConfigRepository) -> None:
    confirm(lineage, current)
    with pytest.raises(NotFoundError):
        broken(lineage, org_id="org-b")
    with pytest.raises(NotFoundError):
        broken(lineage, source_org_id="org-c")
    assert len(lineage.entries) == 1


def test_an_id_that_several_source_organisations_share_needs_one_of_them(
    lineage: FakeLineage, current: FakeConfigRepository
) -> None:
    shared = {"type": "schema", "source_id": "contact", "target_id": "contact"}
    for source_org in ("org-c", "org-b"):
        confirm(lineage, current, **shared, source_org_id=source_org)
    with pytest.raises(ConflictError, match="org-b, org-c"):
        broken(lineage, type_name="schema", source_id="contact")
    assert broken(lineage, type_name="schema", source_id="contact", source_org_id="org-b") == {"deleted": True}
    assert [entry.source_org_id for entry in lineage.entries] == ["org-c"]


READS_ONLY = [{"action": "flow:view"}, {"action": "*:view"}]


def test_whoever_may_not_change_a_config_pairs_it_with_nothing(
    lineage: FakeLineage, current: FakeConfigRepository
) -> None:
    current.grants = READS_ONLY
    for target_id in ("a1", "gone"):
        with pytest.raises(ForbiddenError, match=f"You may not change flow {target_id}: flow:edit or"):
            confirm(lineage, current, target_id=target_id)
    assert lineage.entries == []
    current.grants = [{"action": "flow:edit", "resource": "flow:a1"}]
    confirm(lineage, current)


@pytest.mark.parametrize("entry", [("a1", "b1"), None])
def test_whoever_may_not_change_a_config_breaks_no_pair_of_it(
    lineage: FakeLineage, current: FakeConfigRepository, entry: tuple[str, str] | None
) -> None:
    lineage.entries = [way_back(*entry)] if entry else []
    if not entry:
        confirm(lineage, current)
    before = [*lineage.entries]

    with pytest.raises(ForbiddenError, match="You may not change flow a1"):
        broken(lineage, grants=READS_ONLY, source_org_id="org-b")
    assert lineage.entries == before
    broken(lineage, grants=[{"action": "flow:edit", "resource": "flow:a1"}], source_org_id="org-b")
    assert lineage.entries == []
