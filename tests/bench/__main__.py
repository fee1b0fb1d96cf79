"""`make bench`: what storage and steps cost a job on top of the requests it has to send anyway."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console

from docs.costs import PRICES
from sandbox.control import SandboxControl
from shared.use_cases.writing import batch_run
from tests.bench.bare import BareRequests, Stages
from tests.bench.costs import Meter
from tests.bench.machine import Machine, enter_environment
from tests.bench.organisations import Graph, chain, edit, graph_of_generations, plant
from tests.bench.report import CHAIN_THREADS, LATENCY_MS, RUNS, STORAGE, draw, flat_report, missed, read_environment
from tests.bench.requests_log import Write, read_patches, read_writes, span_s
from tests.bench.stack_job import run_on_stack

STACK_FILE = Path(".local/stack.json")
REPORT_FILE = Path(".local/bench.json")
SYNC_200 = graph_of_generations([80, 50, 60, 10])
CHAIN_51 = chain(51)
_PHASES = ("phase_0", "phase_a", "phase_a5", "phase_b", "finalize")

console = Console()


class Measured(NamedTuple):
    """One run of a job, and the bare POSTs that followed it.

    Attributes:
        storage_calls: those that held up a step between its first and its last write.
        steps: invocations of phase_a.
    """

    span_s: float
    bare_span_s: float
    storage_calls: int
    steps: int
    writes_per_created: float


class Patched(NamedTuple):
    """One run of a job that changes everything, and the bare GETs and PATCHes that followed it."""

    span_s: float
    bare_span_s: float


class Bench:
    """Measures against one stack.

    Args:
        stack: where everything is.
    """

    def __init__(self, stack: Mapping[str, Any]) -> None:
        self._stack = stack
        self._control = SandboxControl(stack["sandbox_url"])

    def run(self) -> dict[str, float]:
        """Return all figures."""
        self._control.behave(latency_ms=LATENCY_MS)
        try:
            return {
                **self._sync_200(),
                **self._patch_200(),
                **self._storage_per_row(),
                **self._chain_51(),
                **self._stack_sync_200(),
            }
        finally:
            self._control.reset("behaviour")

    def _sync_200(self) -> dict[str, float]:
        runs = [self._measure("sync_200", SYNC_200, None) for _ in range(RUNS)]
        return {
            "sync_200_span_s": median(run.span_s for run in runs),
            "sync_200_over_bare": _over_bare(runs),
            "writes_per_created": max(run.writes_per_created for run in runs),
        }

    def _patch_200(self) -> dict[str, float]:
        runs = [self._measure_patches(amount) for amount in range(200, 200 + RUNS)]
        return {
            "patch_200_span_s": median(run.span_s for run in runs),
            "patch_200_over_bare": _over_bare(runs),
        }

    def _measure_patches(self, amount: int) -> Patched:
        """Change all prices of a source that was synced before, and let a job carry it over."""
        changes = {"unit_amount": amount, "unit_amount_decimal": f"{amount / 100:.2f}"}
        source_org_id, ids = plant(self._control, SYNC_200)
        source, target = self._side(source_org_id), self._side(self._control.make_organisation())
        tokens, names = {"source": source[1], "target": target[1]}, {one: name for name, one in ids.items()}
        first = Machine(source_org_id)
        created = _planned(first.run(tokens, target[0], _selection(ids)).stages, first, names)
        edit(self._control, source_org_id, changes)
        began_at, second = time.time(), Machine(source_org_id)
        patched = _planned(second.run(tokens, target[0], _selection(ids)).stages, second, names)
        span = span_s(read_patches(self._control, target[0], began_at))
        bare = self._side(self._control.make_organisation())
        requests = BareRequests(self._stack["sandbox_url"], bare[1], batch_run.WORKERS)
        requests.send(SYNC_200, created)
        began_at = time.time()
        requests.patch(SYNC_200, patched, changes)
        measured = Patched(span, span_s(read_patches(self._control, bare[0], began_at)))
        console.print(f"patch_200: {measured.span_s:.3f} s, bare {measured.bare_span_s:.3f} s")
        return measured

    def _storage_per_row(self) -> dict[str, float]:
        """Count, in runs that nobody times, what a row takes: units from createSyncJob to the end, calls of steps."""
        source_org_id, ids = plant(self._control, SYNC_200)
        source, target = self._side(source_org_id), self._side(self._control.make_organisation())
        counted: dict[str, float] = {}
        for name in ("sync_200", "patch_200"):
            figures, machine = dict.fromkeys(PRICES, 0.0), Machine(source_org_id)
            with Meter(self._stack).stored(figures):
                machine.run({"source": source[1], "target": target[1]}, target[0], _selection(ids))
            figures["storage_calls"] = len(machine.storage_calls)
            counted |= {f"{name}_{what}_per_row": figures[what] / len(ids) for what in STORAGE}
            edit(self._control, source_org_id, {"unit_amount": 300, "unit_amount_decimal": "3.00"})
        return counted

    def _chain_51(self) -> dict[str, float]:
        by_threads = {
            threads: [self._measure(f"chain_51, threads {threads}", CHAIN_51, threads) for _ in range(RUNS)]
            for threads in CHAIN_THREADS
        }
        runs = [run for of_threads in by_threads.values() for run in of_threads]
        ratios = {threads: _over_bare(of_threads) for threads, of_threads in by_threads.items()}
        return {
            "chain_51_span_s": max(median(run.span_s for run in of_threads) for of_threads in by_threads.values()),
            "chain_51_over_bare": max(ratios.values()),
            **{f"chain_51_over_bare_{threads}_threads": ratio for threads, ratio in ratios.items()},
            "storage_calls_between_links": max(run.storage_calls for run in runs),
            "chain_51_lambda_steps": max(run.steps for run in runs),
        }

    def _stack_sync_200(self) -> dict[str, float]:
        jobs = []
        for _ in range(RUNS):
            source_org_id, ids = plant(self._control, SYNC_200)
            job = run_on_stack(
                self._stack, self._side(source_org_id), self._side(self._control.make_organisation()), _selection(ids)
            )
            console.print(f"stack_sync_200: {job.wall_s:.2f} s", dict(job.phases))
            jobs.append(job)
        return {
            "stack_sync_200_wall_s": median(job.wall_s for job in jobs),
            **{f"stack_sync_200_{phase}_s": median(job.phases.get(phase, 0.0) for job in jobs) for phase in _PHASES},
        }

    def _measure(self, what: str, graph: Graph, threads: int | None) -> Measured:
        source_org_id, ids = plant(self._control, graph)
        target = self._side(self._control.make_organisation())
        machine = Machine(source_org_id, threads)
        source = self._side(source_org_id)
        job = machine.run({"source": source[1], "target": target[1]}, target[0], _selection(ids))
        writes = read_writes(self._control, target[0])
        stages = _planned(job.stages, machine, {config_id: name for name, config_id in ids.items()})
        bare = self._side(self._control.make_organisation())
        BareRequests(self._stack["sandbox_url"], bare[1], threads or batch_run.WORKERS).send(graph, stages)
        measured = Measured(
            span_s=span_s(writes),
            bare_span_s=span_s(read_writes(self._control, bare[0])),
            storage_calls=sum(
                len(machine.calls_between(first, last)) for first, last in _spans_of_steps(machine, writes)
            ),
            steps=machine.count_steps("NextBatches", "SyncBatch"),
            writes_per_created=len(writes) / len(graph),
        )
        console.print(f"{what}: {measured.span_s:.3f} s, bare {measured.bare_span_s:.3f} s")
        return measured

    def _side(self, org_id: str) -> tuple[str, str]:
        return org_id, self._control.make_token(org_id)


def _selection(ids: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"type": "price", "id": config_id} for config_id in ids.values()]


def _planned(stages: Sequence[Sequence[int]], machine: Machine, names: Mapping[str, str]) -> Stages:
    """Return the batches of the plan by name, in the order in which a step takes them up."""
    batches: dict[int, list[tuple[int, str]]] = {}
    for row in machine.rows():
        batches.setdefault(row.batch, []).append((row.generation, names[row.key.id]))
    return [[[name for _, name in sorted(batches[number])] for number in stage] for stage in stages]


def _spans_of_steps(machine: Machine, writes: Sequence[Write]) -> Iterator[tuple[float, float]]:
    """Yield the beginnings of the first and the last write of each step."""
    for step in machine.steps:
        if step.name == "SyncBatch":
            began = [write.began_at for write in writes if step.began_at <= write.began_at <= step.ended_at]
            if began:
                yield began[0], began[-1]


def _over_bare(runs: Sequence[Measured | Patched]) -> float:
    return median(run.span_s for run in runs) / median(run.bare_span_s for run in runs)


def main() -> int:
    """Measure, print and write down."""
    stack = json.loads(STACK_FILE.read_text())
    enter_environment(stack)
    environment = read_environment(batch_run.WORKERS)
    report = flat_report(Bench(stack).run(), environment)
    REPORT_FILE.write_text(json.dumps(report, indent=2) + "\n")
    console.print(draw(report))
    above = missed(report)
    console.print(
        f"{REPORT_FILE}: {len(above)} of its targets missed" if above else f"{REPORT_FILE}: every target held"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
