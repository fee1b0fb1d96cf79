"""How much work something is, whatever the machine and whoever else uses it."""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from typing import Any


def count_calls(work: Callable[..., Any], *arguments: Any) -> int:
    """Return how many functions, built-in ones too, are called meanwhile: what does so by the square shows it."""
    profile = cProfile.Profile()
    profile.runcall(work, *arguments)
    return sum(entry.callcount for entry in profile.getstats())
