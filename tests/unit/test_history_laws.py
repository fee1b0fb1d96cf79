"""The laws hold for the last job of any history of organisations, on the real catalogue and the sandbox's APIs.

200 histories here, 2,000 with `-m "long or not long"`. `HISTORY_SEED=17` replays one; a broken law tells the story.
"""

from __future__ import annotations

import os

import pytest

from tests.unit.histories import BrokenLawError, History, run_history

_CHUNK = 20
_SHORT, _LONG = 200, 2000
_FIRST = int(os.environ.get("HISTORY_SEED", "0"))
_ONE = "HISTORY_SEED" in os.environ
_CHUNKS = [_FIRST] if _ONE else [*range(0, _LONG, _CHUNK)]


@pytest.mark.parametrize(
    "first", [pytest.param(one, marks=[pytest.mark.long] if not _ONE and one >= _SHORT else []) for one in _CHUNKS]
)
def test_the_laws_hold_after_any_history(first: int) -> None:
    broken = []
    for seed in range(first, first + (1 if _ONE else _CHUNK)):
        try:
            run_history(seed)
        except BrokenLawError as error:
            broken.append(str(error))
    assert not broken, "\n\n".join(broken)


@pytest.mark.parametrize("seed", [3, 17])
def test_a_seed_draws_the_same_history_every_time(seed: int) -> None:
    histories = [History(seed), History(seed)]
    for history in histories:
        history.run()
    assert histories[0].story == histories[1].story
    assert len(histories[0].story) > 1
    for org_id in histories[0].world.organisations:
        assert histories[0].world.configs(org_id) == histories[1].world.configs(org_id)
