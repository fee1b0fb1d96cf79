"""The laws of a sync are worth something: a bug that is planted where it hurts breaks one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.domain import graph, match_closure, planner, remap
from shared.domain.immutable import EMPTY
from shared.domain.matching import TargetIndex
from shared.domain.plan import ResolutionKind
from tests.unit import test_plan_laws as laws
from tests.unit.organisations import organisations

Law = Callable[..., None]


def breaks(law: Law, *drawn: st.SearchStrategy[Any]) -> bool:
    """Tell whether some of 200 organisations, always the same ones, breaks a law."""

    @settings(
        max_examples=200,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(st.tuples(*drawn))
    def run(arguments: tuple[Any, ...]) -> None:
        law.hypothesis.inner_test(*arguments)  # type: ignore[attr-defined]

    try:
        run()
    except Exception:  # noqa: BLE001 - a law is broken by whatever the planted bug leads to
        return True
    return False


ISOMORPHIC = (laws.test_a_synced_target_is_isomorphic_to_its_source, organisations())
ORDERED = (
    laws.test_every_reference_points_to_an_earlier_generation_or_is_deferred,
    organisations(),
    st.integers(1, 60),
)
NEVER_GUESSED = (
    laws.test_a_name_is_matched_where_one_free_config_has_it_and_never_guessed_where_several_do,
    organisations(dangling=False),
    st.data(),
)
HALF_MATCHED = (
    laws.test_what_agrees_by_name_and_in_nothing_else_is_matched_and_patched_to_say_the_same,
    organisations(dangling=False),
    st.data(),
)
NOTHING_TWICE = (laws.test_syncing_again_writes_nothing, organisations())
ALL = (ISOMORPHIC, ORDERED, NEVER_GUESSED, HALF_MATCHED, NOTHING_TWICE)

_value, _feedback_arcs, _match, _candidates = (
    remap._value,
    graph._feedback_arcs,
    match_closure.match,
    TargetIndex.candidates,
)


def _deferred_is_forgotten(one: Any, id_map: Any, stage: Any) -> Any:
    return None if one.kind is ResolutionKind.DEFERRED and stage == "full" else _value(one, id_map, stage)


def _scanned_id_stays(one: Any, id_map: Any, stage: Any) -> Any:
    return (one.found.identifier, EMPTY) if one.found.reference is None else _value(one, id_map, stage)


def _siblings_are_forgotten(one: Any, id_map: Any, stage: Any) -> Any:
    value = _value(one, id_map, stage)
    return None if value is None else (value[0], EMPTY)


def _costs_count_for_nothing(arcs: Any) -> Any:
    return _feedback_arcs(dict.fromkeys(arcs, 1))


def _one_cycle_stays(arcs: Any) -> Any:
    return set(sorted(_feedback_arcs(arcs))[1:])


def _first_of_several(self: Any, type_name: str, value: Any) -> Any:
    return _candidates(self, type_name, value)[:1]


def _claims_are_not_seen(*arguments: Any) -> Any:
    *before, _taken, pair = arguments
    return _match(*before, frozenset(), pair)


def _what_has_the_name_is_equal(*_: Any) -> bool:
    return True


def _lineage_is_not_seen(resource_type: Any, config: Any, natural_key: Any, _entry: Any, *more: Any) -> Any:
    return _match(resource_type, config, natural_key, None, *more)


@pytest.mark.parametrize(
    ("place", "name", "bug", "law"),
    [
        (remap, "_value", _deferred_is_forgotten, ISOMORPHIC),
        (remap, "_value", _scanned_id_stays, ISOMORPHIC),
        (remap, "_value", _siblings_are_forgotten, ISOMORPHIC),
        (graph, "_feedback_arcs", _costs_count_for_nothing, ORDERED),
        (graph, "_feedback_arcs", _one_cycle_stays, ORDERED),
        (TargetIndex, "candidates", _first_of_several, NEVER_GUESSED),
        (match_closure, "match", _claims_are_not_seen, NEVER_GUESSED),
        (planner, "equal_where_sent", _what_has_the_name_is_equal, HALF_MATCHED),
        (match_closure, "match", _lineage_is_not_seen, NOTHING_TWICE),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_") or None,
)
def test_a_planted_bug_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, bug: Any, law: tuple[Law, Any]
) -> None:
    monkeypatch.setattr(place, name, bug)
    assert breaks(*law)


@pytest.mark.parametrize("law", ALL, ids=lambda law: law[0].__name__)
def test_the_laws_hold_for_the_same_organisations_without_a_bug(law: tuple[Law, Any]) -> None:
    assert not breaks(*law)
