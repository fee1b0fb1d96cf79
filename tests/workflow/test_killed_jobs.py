"""A job of 60 resources with cycles dies, or is late, at every I/O boundary in turn: nothing is lost or doubled."""

from __future__ import annotations

import json
import re
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from shared.domain.caller import Caller
from shared.domain.errors import ConflictError
from shared.domain.fingerprint import fingerprint
from shared.domain.job import JobStatus, Places
from shared.domain.resource_type import ResourceKey
from shared.domain.sendable import without_secrets
from shared.use_cases.jobs.intake import JobIntake
from shared.use_cases.retry_sync_job import retry_sync_job
from tests.fakes.mortal_world import LATE, WITHOUT_CLAIMS, After, ExecutionDiedError, MortalWorld
from tests.fakes.sync_world import SOURCE_ORG, TARGET_ORG, SyncWorld
from tests.workflow.test_whole_job import plant_organisation

DEAD: tuple[After, ...] = ("step again", "job retried", "job retried, no matching by name")
WAYS = (*DEAD, *LATE)
STEPS = {
    *WITHOUT_CLAIMS,
    "SyncBatch",
    "ResolveDerivedReferences",
    "PatchReferences",
    "RunFinalizers",
    "VerifyTargets",
    "FinishJob",
}

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class MortalSync(MortalWorld):
    """A sync job of a planted organisation."""

    def begin(self) -> str:
        self.selected = plant_organisation(self)
        match = "lineage_only" if self.after == DEAD[2] else "heuristic"
        job_id = self.create_job(self.selected, match=match)
        for role in ("source", "target"):
            self.credentials.put(job_id, role, f"{role}-token", 0)
        return job_id

    def retry(self, job_id: str) -> str:
        """Retry a job as the API does."""
        identity = SimpleNamespace(user_id="user-1", expires_at=None)
        intake = JobIntake(
            jobs=self.jobs,
            payloads=self.payloads,
            credentials=self.credentials,
            executions=SimpleNamespace(start=lambda *_: ""),
            tokens=SimpleNamespace(verify_for_org=lambda *_: identity),
            known_types=self.catalogue,
            places=Places(),
            now=self.now(),
        )
        caller = Caller(org_id=SOURCE_ORG, user_id="user-1", token="t", expires_at=None)
        return str(retry_sync_job(intake, self.catalogue, caller, job_id, {})["id"])


def run_to_the_end(world: MortalSync) -> list[str]:
    """Run the job, retry it where it did not succeed, and return the ids of both."""
    job = world.run(world.job_id)
    jobs = [world.job_id]
    if job.status is not JobStatus.SUCCEEDED:
        assert world.after in DEAD[1:], (job.status, job.errors_sample)
        jobs.append(world.retry(world.job_id))
        again = world.run(jobs[-1])
        assert again.status is JobStatus.SUCCEEDED, again.errors_sample
    else:
        with pytest.raises(ConflictError):
            world.retry(world.job_id)
    return jobs


def assert_target_equals_source(world: SyncWorld) -> None:
    source = {ResourceKey(name, one): p for name, configs in world.source.configs.items() for one, p in configs.items()}
    entries = world.lineage.find_entries(TARGET_ORG, SOURCE_ORG, source)
    assert entries.keys() == source.keys()
    ids = {key.id: entry.target_id for key, entry in entries.items()}
    assert len(set(ids.values())) == len(ids)
    there = {name: dict(configs) for name, configs in world.target.configs.items() if configs}
    assert {name: len(configs) for name, configs in there.items()} == Counter(key.type for key in source)
    pattern = re.compile("|".join(map(re.escape, sorted(ids, key=len, reverse=True))))
    for key, payload in source.items():
        expected = json.loads(pattern.sub(lambda found: ids[found[0]], json.dumps(payload, ensure_ascii=False)))
        found = dict(there[key.type][ids[key.id]])
        for name in ("secret", "version", "stored"):
            expected.pop(name, None)
            found.pop(name, None)
        if "mapping" in expected:
            mapping = there["mapping"][expected["mapping"]["id"]]
            expected["mapping"]["version"] = mapping["version"]
        assert found == expected, key
    assert world.target.contents[ResourceKey("attachment", ids["attachment-01"])] == b"bytes"


def assert_lineage_is_complete(world: SyncWorld) -> None:
    """A further sync would write nothing: both sides are remembered as they are, and all is active."""
    keys = [ResourceKey(name, one) for name, configs in world.source.configs.items() for one in configs]
    assert world.lineage.find_inactive(TARGET_ORG, SOURCE_ORG, keys) == set()
    for key, entry in world.lineage.find_entries(TARGET_ORG, SOURCE_ORG, keys).items():
        resource_type = world.catalogue[key.type]
        ours, theirs = world.source.configs[key.type][key.id], world.target.configs[key.type][entry.target_id]
        assert entry.target_fingerprint == fingerprint(resource_type, without_secrets(resource_type, theirs)), key
        assert bool(entry.source_fingerprint) == bool(ours), key


def assert_nothing_is_lost(world: MortalSync, jobs: list[str]) -> None:
    assert world.failures == []
    assert_target_equals_source(world)
    assert_lineage_is_complete(world)
    for job_id in jobs:
        job = world.jobs.get_job(SOURCE_ORG, job_id)
        rows = Counter(row.status.counted_as for row in world.rows(job_id).values()) if job.planned else Counter()
        assert job.status.final
        assert Counter(job.counts) == rows
        assert not job.planned or job.counts == world.counts(job_id)
        assert rows.total() == job.total
    # At least once: again where the job died when its end was told.
    assert {detail["job_id"] for _, detail in world.published} == set(jobs)
    assert [item["sk"] for item in world.client.scan(TableName="LineageTable")["Items"] if "owner" in item] == []
    items = world.client.scan(TableName="SyncJobsTable")["Items"]
    assert [item for item in items if "lease_until" in item] == []


def kill_at(boundary: int | str, after: After) -> str:
    """Let a job die or be late at a boundary and return what it was; empty where the job ends before it is reached."""
    world = MortalSync(boundary, after)
    jobs = run_to_the_end(world)
    world.client.before_call = world.client.after_call = lambda _name: None
    try:
        assert_nothing_is_lost(world, jobs)
    except AssertionError as error:
        raise AssertionError(f"It died at boundary {boundary} ({world.died_at}), {after}: {error}") from error
    return world.died_at


def count_boundaries() -> Counter[str]:
    world = MortalSync(0, "step again")
    assert_nothing_is_lost(world, run_to_the_end(world))
    return world.passed


def test_a_job_planned_before_another_died_guesses_nothing_and_its_retry_finds_out() -> None:
    world = MortalSync(0, "job retried, no matching by name")
    first, second = world.job_id, world.create_job(world.selected, match="lineage_only")
    for role in ("source", "target"):
        world.credentials.put(second, role, f"{role}-token", 0)
    plans = {}
    for job_id in (first, second):
        plans[job_id] = world.plan(job_id)
    create, created = world.target.create_config, []

    def dying(*args: Any, **named: Any) -> Any:
        written = create(*args, **named)
        created.append(written)
        if len(created) == 20:
            world.client.die()
        return written

    world.target.create_config = dying  # type: ignore[method-assign]
    with pytest.raises(ExecutionDiedError):
        world.carry_out(first, plans[first])
    world.client.revive()

    world.skipped_s += 1000
    world.step(second, "NextBatches")
    waiting = world.step(second, "SyncBatch", batch=1)
    made_meanwhile = len(created)
    assert world.finish(first).status is JobStatus.PARTIAL
    world.carry_out(second, plans[second])
    ended = world.finish(second)

    assert (waiting["status"], waiting["code"]) == ("wait", "BLOCKED")
    assert made_meanwhile < 60
    codes = Counter(row.error.code for row in world.rows(second).values() if row.error)
    assert codes["UNKNOWN_OUTCOME"] > 0
    assert codes.keys() <= {"UNKNOWN_OUTCOME", "DEPENDENCY_FAILED"}
    assert ended.status in (JobStatus.PARTIAL, JobStatus.FAILED)
    retry = world.retry(second)
    assert world.run(retry).status is JobStatus.SUCCEEDED
    assert_nothing_is_lost(world, [first, second, retry])


@pytest.mark.parametrize("after", WAYS)
def test_a_job_that_dies_anywhere_on_its_way_ends_right(after: After) -> None:
    died = Counter(kill_at(boundary, after) for boundary in range(2, count_boundaries().total(), 61))

    assert len(died) > 8


@pytest.mark.parametrize("after", LATE)
@pytest.mark.parametrize("step", WITHOUT_CLAIMS)
def test_a_step_that_is_late_with_its_last_word_changes_nothing(after: After, step: str) -> None:
    names = [name for name in count_boundaries() if name.startswith(f"{step}: ") and name.endswith(", sent")]
    writes = [name for name in names if any(word in name for word in ("put", "update", "write"))]

    assert writes
    assert {name for name in writes if kill_at(name, after) != name} == set()


def test_values_that_others_derive_stay_the_ones_that_were_read_though_the_step_runs_twice_at_once() -> None:
    names = [name for name in count_boundaries() if name.startswith("ResolveDerivedReferences: ")]

    assert len(names) > 10
    assert {name for name in names if kill_at(name, "step twice") != name} == set()
    written = "ResolveDerivedReferences: target update_config, answered"
    assert kill_at(written, "job retried") == written


@pytest.mark.long
@pytest.mark.parametrize("after", WAYS)
def test_a_job_that_dies_at_every_boundary_ends_right(after: After) -> None:
    died: Counter[str] = Counter()
    boundary = 1
    while what := kill_at(boundary, after):
        died[what] += 1
        boundary += 1
    # Which boundary is the nth differs from run to run: what none of them met is met by its name.
    missed = [name for name in count_boundaries() if name not in died]
    died.update(kill_at(name, after) for name in missed)

    print(f"\n{after}: {died.total()} boundaries, one run each")
    for what, number in sorted(died.items()):
        print(f"  {number:4} {what}")
    assert died.total() > 700
    assert {name.partition(":")[0] for name in died} >= STEPS
    assert set(missed) <= died.keys()
