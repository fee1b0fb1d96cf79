from __future__ import annotations

from typing import Any

import pytest

from shared.domain.errors import CredentialsExpiredError, DownstreamUnavailableError, NotFoundError
from shared.use_cases.get_config_inventory import get_config_inventory
from shared.use_cases.reading.live_configs import OutOfTimeError
from tests.fakes.api import Clock
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.types import BOARD, CATALOGUE, FORM, MAPPING, PICTURE, THEME


@pytest.fixture
def current() -> FakeConfigRepository:
    made = FakeConfigRepository("org-a")
    made.add(THEME, *({"id": f"theme-{number}", "name": "Theme"} for number in range(3)))
    made.add(FORM, {"id": "form-1", "form_id": "form-1", "mapping": "mapping-1", "theme": "theme-0"})
    made.add(FORM, {"id": "form-2", "form_id": "form-2", "mapping": "gone"})
    made.add(MAPPING, {"id": "mapping-1", "name": "Named"}, {"id": "mapping-2", "name": "Named by nothing"})
    made.add(BOARD, {"id": "board-1", "name": "Board"})
    return made


def inventory(current: FakeConfigRepository, *, include_dependency_only: bool = True, **more: Any) -> dict[str, Any]:
    clock = Clock()
    given = {"inventory_id": "inventory-1", "ends_at": clock() + 24, "now": clock} | more
    return get_config_inventory(CATALOGUE, current, include_dependency_only=include_dependency_only, **given)


def ids(answer: dict[str, Any]) -> list[str]:
    return [one["id"] for one in answer["resources"]]


def test_lists_every_type_and_collects_those_without_a_list(current: FakeConfigRepository) -> None:
    answer = inventory(current)
    assert ids(answer) == ["form-1", "form-2", "theme-0", "theme-1", "theme-2", "mapping-1", "board-1"]
    assert answer["resources"][0] == {"type": "form", "id": "form-1"}
    assert answer["resources_count"] == 7
    assert (answer["inventory_id"], answer["org_id"]) == ("inventory-1", "org-a")
    assert answer["skipped_types"] == []


def test_leaves_dependency_only_types_out_on_demand(current: FakeConfigRepository) -> None:
    assert "mapping-1" not in ids(inventory(current, include_dependency_only=False))
    assert current.calls["get", "form"] == 0


def test_a_type_that_fails_is_named_with_the_reason_and_so_is_what_depends_on_it(current: FakeConfigRepository) -> None:
    current.fail("list", "form", DownstreamUnavailableError("The form API answered 503, Bearer abc.def refused."))
    answer = inventory(current)
    assert ids(answer) == ["theme-0", "theme-1", "theme-2", "board-1"]
    assert answer["skipped_types"] == [
        {"type": "form", "reason": "The form API answered 503, Bearer [redacted] refused."},
        {"type": "mapping", "reason": "It is collected from form, which could not be listed."},
    ]


def test_a_dependency_only_type_that_fails_is_named(current: FakeConfigRepository) -> None:
    current.fail("get", "mapping", DownstreamUnavailableError("The mapping API answered 503."))
    assert inventory(current)["skipped_types"] == [{"type": "mapping", "reason": "The mapping API answered 503."}]


def test_never_fails_as_a_whole(current: FakeConfigRepository) -> None:
    for name in CATALOGUE:
        current.fail("list", name, CredentialsExpiredError("The token is no longer accepted."))
    answer = inventory(current)
    assert answer["resources_count"] == 0
    assert len(answer["skipped_types"]) == len(CATALOGUE)


def test_more_than_is_read_of_a_type_is_no_silent_cut(
    current: FakeConfigRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.use_cases.reading.live_configs.MAX_INDEXED_WHEN_USED", 4)
    current.add(PICTURE, *({"id": f"p{number}", "name": "P"} for number in range(5)))
    (skipped,) = inventory(current)["skipped_types"]
    assert skipped["type"] == "picture"
    assert "more than the 4" in skipped["reason"]


def test_what_there_was_no_time_for_is_an_error_that_names_types_and_count(current: FakeConfigRepository) -> None:
    clock = Clock()
    with pytest.raises(OutOfTimeError, match=r"3 configs were read .* not all of mapping, theme\."):
        inventory(current, ends_at=clock(), now=clock)


def test_a_call_that_fails_for_lack_of_time_counts_as_no_time(current: FakeConfigRepository) -> None:
    clock = Clock()
    current.fail("list", "board", DownstreamUnavailableError("list did not begin: no time is left."))
    with pytest.raises(OutOfTimeError, match="board"):
        inventory(current, ends_at=clock(), now=clock)


def test_what_goes_while_it_is_read_is_left_out(current: FakeConfigRepository) -> None:
    current.fail("get", "mapping", NotFoundError("There is no such mapping."))
    answer = inventory(current)
    assert "mapping-1" not in ids(answer)
    assert answer["skipped_types"] == []
