"""Jobs on the running stack whose APIs fail in every way at once: nothing is doubled, lost or other than its source.

`make test-faults` runs them, of `HUB_FAULT_JOBS` jobs instead of 20 if one likes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from sandbox.control import SandboxControl
from sandbox.equality import differences
from sandbox.hub_client import HubClient, Json
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.resource_type import ResourceKey
from tests.e2e.conftest import Pair, make_pair
from tests.e2e.test_every_type import given_by_the_platform
from tests.e2e.test_sync_corners import JOBS, load, wait_for

#: The share of requests that fail, over all kinds of faults together.
SHARE = 0.10
LATENCY_MS = 20
#: Ways to fail in the middle of everything else.
MIXED: Sequence[Json] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "throttle"},
    {"kind": "reset"},
    {"kind": "lost_response"},
    {"kind": "late", "delay_ms": 1_000},
    {"kind": "malformed"},
)
#: The same, and work that is done when whoever asked for it has long heard that it failed.
LATE: Sequence[Json] = (
    *(fault for fault in MIXED if fault["kind"] != "late"),
    *(
        {"kind": kind, "delay_ms": delay_ms}
        for kind in ("late", "gateway")
        for delay_ms in (1_000, 10_000, 30_000, 60_000)
    ),
)
#: Rows are all that is whole, but for access tokens, which are never copied, and products that hold copies of files.
NOT_SELECTED = ("access_token", "product")
MANY = int(os.environ.get("HUB_FAULT_JOBS", "20"))
FEW = 2
#: Of 20 jobs, so many need one retry.
NEED_A_RETRY = 1
#: With faults, the median job takes at most so many times as long.
SLOWER_AT_MOST = 4
SIDE_BY_SIDE = 5

console = Console(width=110)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What became of one pair of organisations.

    Attributes:
        jobs: the job, and its retry where it needed one.
        rows: the last row of each config.
        strays: configs of the target that were not there before and that no row names.
    """

    seed: int
    jobs: Sequence[Json]
    rows: Mapping[ResourceKey, Json]
    strays: Sequence[ResourceKey]
    lost: Sequence[ResourceKey]
    different: Sequence[str]

    @property
    def seconds(self) -> float:
        """What the jobs took by their own account."""
        return sum(
            datetime.fromisoformat(job["finished_at"]).timestamp()
            - datetime.fromisoformat(job["started_at"]).timestamp()
            for job in self.jobs
        )

    @property
    def unreported(self) -> list[ResourceKey]:
        """Strays of which no job says that they may be duplicates."""
        said = [json.dumps(one) for job in self.jobs for one in job["errors_sample"]]
        said += [json.dumps(row) for row in self.rows.values()]
        told = [text for text in said if "DUPLICATE_SUSPECTED" in text]
        return [stray for stray in self.strays if not any(stray.id in text for text in told)]

    @property
    def failures(self) -> list[str]:
        """Why the first job did not succeed, root causes only."""
        return [
            f"{one['type']} {one['error']}"
            for one in self.jobs[0]["errors_sample"]
            if not one["error"].startswith("DEPENDENCY_FAILED")
        ]


def spread(kinds: Sequence[Json], share: float) -> list[Json]:
    """Return faults of which each strikes the same share of requests, though only one that is not struck goes on."""
    each = share / len(kinds)
    return [{**fault, "probability": each / (1 - position * each)} for position, fault in enumerate(kinds)]


def selected(pair: Pair) -> list[Json]:
    """Return what jobs here are asked to copy: with what it uses, about 200 rows."""
    return [one for one in pair.selections["large"] if one["type"] not in NOT_SELECTED]


class Soak:
    """Runs pairs of organisations, each with a seed of its own, and judges them once nothing more can come."""

    def __init__(self, stack: Json, control: SandboxControl) -> None:
        self._stack = stack
        self._control = control

    def without_faults(self, seed: int) -> Callable[[], Soaked]:
        """Run a job while nothing fails; return how to judge it."""
        self._control.behave(latency_ms=LATENCY_MS)
        return self._run(seed, retries=0)

    def with_faults(self, seed: int, kinds: Sequence[Json]) -> Callable[[], Soaked]:
        """Run a job, and its retry where it needs one, while a share of all requests fails; return how to judge it."""
        self.fail(kinds, seed)
        return self._run(seed, retries=1)

    def side_by_side(self, seeds: Sequence[int], kinds: Sequence[Json]) -> list[Soaked]:
        """Run jobs of several pairs at once, with one seed for all of their faults, and judge them."""
        self.fail(kinds, seeds[0])
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            judges = list(pool.map(lambda seed: self._run(seed, retries=1), seeds))
        return self.judged(judges)

    def fail(self, kinds: Sequence[Json], seed: int) -> None:
        self._control.behave(latency_ms=LATENCY_MS, faults=spread(kinds, SHARE), seed=seed)

    def judged(self, judges: Sequence[Callable[[], Soaked]]) -> list[Soaked]:
        """Judge jobs when all that is late has been done."""
        self._control.reset("behaviour")
        wait_for(lambda: self._control.requests_summary()["late"] == 0)
        return [judge() for judge in judges]

    def _run(self, seed: int, retries: int) -> Callable[[], Soaked]:
        # Of its own in every thread: a session is not for several.
        control = SandboxControl(self._stack["sandbox_url"])
        pair = make_pair_to_create(self._stack, control, seed)
        before = control.dump(RESOURCE_TYPES, pair.target_id)
        hub = pair.source
        jobs = [hub.run_job(hub.post(JOBS, pair.request(resources=selected(pair)))["id"])]
        if jobs[0]["status"] != "succeeded" and retries:
            jobs.append(hub.run_job(hub.post(f"{JOBS}/{jobs[0]['id']}/retry")["id"]))
        # Nothing of it disturbs the next.
        pair.target.wait("/v1/configs/index", lambda state: state["status"] in ("ready", "failed"))
        return lambda: judge(control, pair, seed, jobs, before)


def make_pair_to_create(stack: Json, control: SandboxControl, seed: int) -> Pair:
    """Return a seeded source, and a target that has what the platform gives it and nothing else: all is created."""
    made = make_pair(stack, control, seed)
    target_id = control.make_organisation()
    load(control, target_id, list(given_by_the_platform(control, made.target_id, target_id)))
    token = control.make_token(target_id)
    return replace(made, target_id=target_id, target_token=token, target=HubClient(stack["api_url"], token))


def judge(
    control: SandboxControl, pair: Pair, seed: int, jobs: Sequence[Json], before: Mapping[ResourceKey, Any]
) -> Soaked:
    """Return what became of a pair, given its jobs and what the target had before them."""
    rows = {
        ResourceKey(row["type"], row["source_id"]): row
        for job in jobs
        for row in pair.source.pages(f"{JOBS}/{job['id']}/resources", size=100)
    }
    source, target = control.dump(RESOURCE_TYPES, pair.source_id), control.dump(RESOURCE_TYPES, pair.target_id)
    id_map = {key: row["target_id"] for key, row in rows.items() if row.get("target_id")}
    mapped = {ResourceKey(key.type, target_id) for key, target_id in id_map.items()}
    written = [key for key, row in rows.items() if row["status"] in ("created", "patched")]
    gone = [key.id for key in rows if key not in id_map]
    lost = {key for key in id_map if ResourceKey(key.type, id_map[key]) not in target}
    return Soaked(
        seed,
        jobs,
        rows,
        sorted(target.keys() - before.keys() - mapped),
        sorted(lost | ({ResourceKey(**one) for one in selected(pair)} - rows.keys())),
        [str(one) for one in differences(RESOURCE_TYPES, source, target, id_map, written, gone)],
    )


def show(title: str, soaked: Sequence[Soaked]) -> None:
    table = Table("seed", "rows", "ended", "seconds", "strays", "unreported", "lost", "differ", title=title)
    for one in soaked:
        numbers = (len(one.strays), len(one.unreported), len(one.lost), len(one.different))
        ended = ", then ".join(job["status"] for job in one.jobs)
        table.add_row(str(one.seed), str(len(one.rows)), ended, f"{one.seconds:.1f}", *(str(n or "") for n in numbers))
    console.print(table)
    for one in soaked:
        for line in (*one.failures, *map(str, one.unreported), *one.different[:5]):
            console.print(f"  seed {one.seed}: {line}", markup=False)


def closing(soaked: Sequence[Soaked]) -> str:
    alone = sum(one.jobs[0]["status"] == "succeeded" for one in soaked)
    retried = sum(len(one.jobs) > 1 and one.jobs[-1]["status"] == "succeeded" for one in soaked)
    strays, unreported, lost, different = (
        sum(len(part) for part in parts)
        for parts in zip(*((one.strays, one.unreported, one.lost, one.different) for one in soaked), strict=True)
    )
    return (
        f"{alone} of {len(soaked)} succeeded by themselves, {retried} after one retry; "
        f"{strays} duplicates, {unreported} unreported; {lost} lost, {different} differences"
    )


def assert_whole(soaked: Sequence[Soaked]) -> None:
    """Every job ended succeeded, after one retry at most, and the target is what the source says."""
    assert [one.jobs[-1]["status"] for one in soaked] == ["succeeded"] * len(soaked), [one.failures for one in soaked]
    assert [one.lost for one in soaked if one.lost] == []
    assert [one.different for one in soaked if one.different] == []


@pytest.fixture
def soak(stack: Json, control: SandboxControl) -> Iterator[Soak]:
    yield Soak(stack, control)
    control.reset("behaviour")


@pytest.mark.long
def test_a_sample_of_jobs_outlives_all_kinds_of_faults(soak: Soak, seed: str) -> None:
    first = 100 * int(seed)
    soaked = soak.side_by_side(range(first, first + FEW), MIXED)

    show(f"{SHARE:.0%} faults, side by side", soaked)
    print(f"faults, a sample: {closing(soaked)}")
    assert_whole(soaked)
    assert [one.strays for one in soaked if one.strays] == []


@pytest.mark.long
def test_nineteen_of_twenty_jobs_succeed_amid_all_kinds_of_faults_in_four_times_the_time(soak: Soak, seed: str) -> None:
    first = 1000 * int(seed)
    plain, soaked = [], []
    began = time.monotonic()
    # In turn, so that both meet the same machine.
    for number in range(first, first + MANY):
        plain += soak.judged([soak.without_faults(number)])
        soaked += soak.judged([soak.with_faults(number, MIXED)])
        print(f"seed {number}: {plain[-1].seconds:.1f} s, with faults {soaked[-1].seconds:.1f} s", flush=True)

    slower = median(one.seconds for one in soaked) / median(one.seconds for one in plain)
    show(f"{SHARE:.0%} faults, one after the other", soaked)
    print(
        f"faults: {closing(soaked)}; median {median(one.seconds for one in soaked):.1f} s, {slower:.1f} times the "
        f"{median(one.seconds for one in plain):.1f} s without; all in {time.monotonic() - began:.0f} s"
    )
    assert_whole([*plain, *soaked])
    assert [one.strays for one in (*plain, *soaked) if one.strays] == []
    assert [len(one.rows) for one in soaked] == [len(one.rows) for one in plain]
    assert sum(len(one.jobs) > 1 for one in soaked) <= NEED_A_RETRY
    assert slower <= SLOWER_AT_MOST


@pytest.mark.long
def test_what_is_done_late_or_behind_its_gateways_back_is_never_doubled_unseen(soak: Soak, seed: str) -> None:
    first = 2000 * int(seed)
    soaked = soak.side_by_side(range(first, first + MANY), LATE)

    show(f"{SHARE:.0%} faults, late commits of up to 60 s, 504s that the backend outlives", soaked)
    print(f"late faults: {closing(soaked)}")
    # An update that lands when its job has long ended is a hand edit to the next sync: differences are only shown.
    assert [one.unreported for one in soaked if one.unreported] == []
    assert [one.lost for one in soaked if one.lost] == []
