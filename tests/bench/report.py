"""What the benchmark writes down: one flat object, its targets, a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

from rich.table import Column, Table

RUNS = 5
LATENCY_MS = 50
CHAIN_THREADS = (1, 8, 32, 100)
#: What storage is asked for.
STORAGE = ("storage_calls", "write_units", "read_units")
#: key -> the most that it may be; keys without a target are None.
TARGETS: Mapping[str, float | None] = {
    "sync_200_span_s": None,
    "sync_200_over_bare": 1.35,
    **{f"sync_200_{what}_per_row": None for what in STORAGE},
    "patch_200_span_s": None,
    "patch_200_over_bare": 1.35,
    **{f"patch_200_{what}_per_row": None for what in STORAGE},
    "chain_51_span_s": None,
    "chain_51_over_bare": 1.10,
    **{f"chain_51_over_bare_{threads}_threads": 1.10 for threads in CHAIN_THREADS},
    "storage_calls_between_links": 0,
    "chain_51_lambda_steps": 4,
    "writes_per_created": 1.05,
    "stack_sync_200_wall_s": None,
    **{f"stack_sync_200_{phase}_s": None for phase in ("phase_0", "phase_a", "phase_a5", "phase_b", "finalize")},
}


def flat_report(measured: Mapping[str, float], environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what goes into the file.

    Raises:
        ValueError: a key is missing or unknown.
    """
    if measured.keys() != TARGETS.keys():
        raise ValueError(f"Keys that are missing or unknown: {sorted(measured.keys() ^ TARGETS.keys())}.")
    return {**{key: round(measured[key], 4) for key in TARGETS}, "environment": dict(environment)}


def missed(report: Mapping[str, Any]) -> list[str]:
    """Return the keys that are above their target."""
    return [key for key, most in TARGETS.items() if most is not None and report[key] > most]


def read_environment(workers: int) -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "cpu_model": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
        "latency_ms": LATENCY_MS,
        "runs": RUNS,
        "workers_per_step": workers,
    }


def draw(report: Mapping[str, Any]) -> Table:
    """Return a table for people."""
    table = Table("measure", Column("median", justify="right"), Column("at most", justify="right"), "")
    above = missed(report)
    for key, most in TARGETS.items():
        verdict = "" if most is None else "[red]missed" if key in above else "[green]held"
        table.add_row(key, f"{report[key]:g}", "" if most is None else f"{most:g}", verdict)
    return table
