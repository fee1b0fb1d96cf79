"""The laws over histories are worth something: a fault that is planted where it hurts breaks one of them.

What jobs that follow one another can show is planted here once each. What takes two jobs at once, lost answers or time
is shown elsewhere: lost updates (stamps) and owners of targets (claims) in `workflow/test_jobs_beside.py`, what a
verification records beside a later write in `unit/test_what_a_sync_remembers.py`, unknown outcomes in
`workflow/test_interrupted_jobs.py`, the live listing in `unit/test_fetch_sources.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.domain import match_closure, matching, references, sendable
from shared.domain.plan import Rule
from shared.domain.planner import _Planner
from shared.domain.text_scan import is_identifier_shaped
from shared.use_cases import fetch_sources
from shared.use_cases.plan_job import _Planning
from tests.unit.histories import BrokenLawError, run_history

_match, _protect = matching.match, matching._protect
_scan, _referents_of = references.scan, sendable.referents_of


def _a_lost_reference_is_unchanged(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(_Planner, "_names_the_same", lambda *_: True)


def _what_pins_a_config_that_is_written_stays_as_it_is(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(_Planner, "_spread_changes", lambda _: False)


def _what_lineage_knows_by_name_is_patched(planted: pytest.MonkeyPatch) -> None:
    def protect(resource_type: Any, config: Any, found: Any, *more: Any) -> Any:
        return found if found.rule is Rule.LINEAGE else _protect(resource_type, config, found, *more)

    planted.setattr(matching, "_protect", protect)


def _what_only_the_scan_found_is_named_by_id(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(references, "is_portable", lambda *_: False)


def _what_is_never_sent_leads_further(planted: pytest.MonkeyPatch) -> None:
    def referents_of(resource_type: Any, *more: Any) -> Any:
        return _referents_of(replace(resource_type, strip=(), external_strip=()), *more)

    planted.setattr(fetch_sources, "referents_of", referents_of)


def _an_id_without_a_digit_is_a_word(planted: pytest.MonkeyPatch) -> None:
    def scan(*arguments: Any) -> Any:
        return [hit for hit in _scan(*arguments) if is_identifier_shaped(hit.identifier)]

    planted.setattr(references, "scan", scan)


def _two_sources_share_a_target(planted: pytest.MonkeyPatch) -> None:
    def match(*arguments: Any, back: str | None, owners: Any) -> Any:
        *before, _taken, pair = arguments
        return _match(*before, frozenset(), pair, back=back)

    planted.setattr(match_closure, "match", match)


def _whatever_stands_where_an_id_should_is_one(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(sendable, "can_be_id", lambda _: True)
    planted.setattr(references, "claimed_id", lambda value: value)


def _what_was_dropped_stays(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(_Planner, "_find_removals", lambda *_: None)


def _nothing_came_from_there(planted: pytest.MonkeyPatch) -> None:
    planted.setattr(_Planning, "_back", lambda *_: {})


@pytest.mark.parametrize(
    ("fault", "seed"),
    [
        (_a_lost_reference_is_unchanged, 9),
        (_a_lost_reference_is_unchanged, 971),  # made by a retry
        (_what_pins_a_config_that_is_written_stays_as_it_is, 100),
        (_what_lineage_knows_by_name_is_patched, 40),
        (_what_only_the_scan_found_is_named_by_id, 0),
        (_what_is_never_sent_leads_further, 22),
        (_an_id_without_a_digit_is_a_word, 135),
        (_two_sources_share_a_target, 125),
        (_whatever_stands_where_an_id_should_is_one, 4),
        (_what_was_dropped_stays, 57),
        (_nothing_came_from_there, 24),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
def test_a_planted_fault_breaks_a_law(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[pytest.MonkeyPatch], None], seed: int
) -> None:
    run_history(seed)
    fault(monkeypatch)
    with pytest.raises(BrokenLawError, match=f"seed {seed}: (law|unfair failure)"):
        run_history(seed)
