"""A source without a fresh index is listed live: in time, each config once, in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def list_live(journeys: int, templates: int, seconds: float) -> dict[str, Any]:
    """List in a process of its own, whose memory is nobody else's."""
    command = [sys.executable, "-m", "tests.workflow.large_listing", str(journeys), str(templates), str(seconds)]
    ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    print(ended.stdout)
    took: dict[str, Any] = json.loads(ended.stdout)
    return took


@pytest.mark.long
def test_5000_journeys_at_50_ms_are_listed_over_several_invocations_in_little_memory() -> None:
    took = list_live(journeys=5_000, templates=0, seconds=6)

    assert set(took["statuses"][:-1]) == {"more"}
    assert took["statuses"][-1] == "done"
    assert took["identifiers"] == 2 * 5_000
    # The one that is selected is read once more, since what the first invocation read is forgotten.
    assert took["gets"] <= 5_000 + 1
    assert took["longest_step_s"] < 6 + 30
    assert took["peak_mb"] < 400


@pytest.mark.long
def test_20000_configs_are_listed_in_one_invocation_in_little_memory() -> None:
    took = list_live(journeys=5_000, templates=15_000, seconds=90)

    assert took["identifiers"] == 2 * 5_000 + 15_000
    assert took["gets"] == 5_000
    assert took["peak_mb"] < 400
