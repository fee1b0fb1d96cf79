"""The laws over histories are worth something: a fault that is planted where it hurts breaks one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.domain import matching
from shared.domain.planner import _Planner
from shared.use_cases.plan_job import _Planning
from tests.unit.histories import LANGUAGE, NOT_YET, BrokenLawError, run_history

_protect = matching._protect


def _a_lost_reference_is_unchanged(*_: Any) -> bool:
    return True


def _what_lineage_knows_by_name_is_patched(
    resource_type: Any, config: Any, found: Any, target: Any, pair: Any, entry: Any
) -> Any:
    return found if found.rule == "3" else _protect(resource_type, config, found, target, pair, entry)


def _what_was_dropped_stays(*_: Any) -> None:
    return None


def _nothing_came_from_there(*_: Any) -> dict[Any, Any]:
    return {}


@pytest.mark.parametrize(
    ("place", "name", "bug", "seed"),
    [
        (_Planner, "_names_the_same", _a_lost_reference_is_unchanged, 28),
        (matching, "_protect", _what_lineage_knows_by_name_is_patched, 31),
        (_Planner, "_find_removals", _what_was_dropped_stays, 288),
        (_Planning, "_back", _nothing_came_from_there, 8),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
def test_a_planted_fault_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, bug: Callable[..., Any], seed: int
) -> None:
    run_history(seed, LANGUAGE - NOT_YET)
    monkeypatch.setattr(place, name, bug)
    with pytest.raises(BrokenLawError, match=f"seed {seed}: law"):
        run_history(seed, LANGUAGE - NOT_YET)
