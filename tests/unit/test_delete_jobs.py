"""Delete jobs: the plan, the warnings, what one step does with rows, and how a job ends."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.caller import Caller
from shared.domain.deletion import plan_deletion
from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamRejectedError,
    DownstreamUnavailableError,
    NotFoundError,
    StorageThrottledError,
    UnknownOutcomeError,
)
from shared.domain.index_state import IndexState
from shared.domain.job import Job, JobKind, JobStatus, Places
from shared.domain.ports.runs import KeptToken
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowError, RowStatus
from shared.domain.row_commit import ClaimOutcome
from shared.domain.system_managed import find_delete_guard
from shared.use_cases.create_delete_job import MAX_USES_A_WARNING, create_delete_job
from shared.use_cases.delete_batch import delete_batch
from shared.use_cases.finish_deletion import finish_deletion
from shared.use_cases.jobs.intake import JobStores
from shared.use_cases.jobs.step import StepInput
from shared.use_cases.writing.batch_run import MAX_ATTEMPTS
from tests.fakes.config_repository import FakeConfigRepository

ORG = "org-a"
NOW = "2026-03-01T08:00:00.000Z"
JOURNEY, DESIGN, FILE = (ResourceKey(name, f"{name}-1") for name in ("journey", "designbuilder", "file"))
STEP = StepInput(org_id=ORG, job_id="job-1", execution_id="execution-1", deadline=1_000.0)


def generations(titles, uses):
    return {row.key: row.generation for row in plan_deletion(RESOURCE_TYPES, titles, uses, NOW)}


def test_users_are_deleted_before_what_they_use():
    planned = generations(dict.fromkeys([FILE, DESIGN, JOURNEY], ""), [(JOURNEY, DESIGN), (DESIGN, FILE)])
    assert planned[JOURNEY] < planned[DESIGN] < planned[FILE]


def test_a_cycle_does_not_keep_a_selection_from_being_deleted():
    planned = generations(dict.fromkeys([DESIGN, JOURNEY], ""), [(JOURNEY, DESIGN), (DESIGN, JOURNEY)])
    assert sorted(planned.values()) == [1, 2]


@pytest.mark.parametrize("name", ["entity_mapping", "access_token"])
def test_a_type_that_a_job_never_deletes_is_skipped_with_the_reason(name):
    (row,) = plan_deletion(RESOURCE_TYPES, {ResourceKey(name, "1"): "One"}, [], NOW)
    assert (row.status, row.left) == (RowStatus.SKIPPED, ())
    assert str(row.error) == f"NOT_DELETABLE: {RESOURCE_TYPES[name].undeletable_reason}"


@pytest.mark.parametrize(
    ("name", "payload", "kept"),
    [
        ("designbuilder", {"is_default": True}, True),
        ("designbuilder", {"is_default": False}, False),
        ("taxonomy", {"kind": "system", "slug": "purpose"}, True),
        ("schema", {"blueprint": "platform/contact"}, True),
        ("journey", {"protected": True}, True),
        ("role", {"type": "user_role", "organization_id": "another"}, True),
        ("role", {"type": "user_role", "organization_id": ORG}, False),
    ],
)
def test_knows_what_must_not_be_deleted(name, payload, kept):
    assert (find_delete_guard(RESOURCE_TYPES[name], payload, ORG) is not None) is kept


class Edges:
    """An index that knows only who uses what."""

    def __init__(self, *edges, state="ready"):
        self.edges = edges
        self.state = state
        self.reads = 0

    def find_state(self, _org_id):
        if self.state == "missing":
            return None
        return IndexState(build_token="b", status="ready", expires_at=10_000)

    def find_summaries(self, _org_id, configs):
        return {key: {"title": f"Title of {key.id}"} for key in configs}

    def load_users(self, _org_id, configs):
        self.reads += 1
        users = {used: [user for user, other in self.edges if other == used] for used in configs}
        return {
            used: [{"type": key.type, "id": key.id, "title": f"Title of {key.id}"} for key in found]
            for used, found in users.items()
            if found
        }


class Intake:
    """Takes everything in and remembers it."""

    def __init__(self):
        self.created, self.stored, self.tokens, self.started = [], {}, {}, []

    def stores(self):
        return JobStores(
            jobs=self,
            payloads=self,
            credentials=self,
            executions=self,
            known_types=RESOURCE_TYPES.keys(),
            places=Places(),
            now=100.0,
        )

    def create_job(self, job, _places):
        self.created.append(job)
        return True

    def put(self, key, *values):
        if len(values) == 1:
            self.stored[key] = values[0]
        else:
            self.tokens[key, values[0]] = values[1:]

    def start(self, job_id, execution_input):
        self.started.append((job_id, execution_input))


CALLER = Caller(org_id=ORG, user_id="user-1", token="the-token", expires_at=5_000)


def create(index, *resources, intake=None):
    body = {"resources": [{"type": key.type, "id": key.id} for key in resources]}
    return create_delete_job((intake or Intake()).stores(), index, CALLER, body)


def test_warns_exactly_of_what_uses_a_selected_config_and_is_not_selected():
    other, third = ResourceKey("journey", "other"), ResourceKey("automation_flow", "third")
    index = Edges((JOURNEY, DESIGN), (other, DESIGN), (third, FILE), (other, FILE), (DESIGN, FILE))

    answer = create(index, JOURNEY, DESIGN, FILE)

    assert answer["warnings"] == [
        {
            "type": "automation_flow",
            "id": "third",
            "title": "Title of third",
            "uses": [{"type": "file", "id": "file-1"}],
        },
        {
            "type": "journey",
            "id": "other",
            "title": "Title of other",
            "uses": [{"type": "designbuilder", "id": "designbuilder-1"}, {"type": "file", "id": "file-1"}],
        },
    ]
    assert (answer["warnings_total"], answer["index_status"]) == (2, "ready")
    assert answer["counts"] == {"total": 3, "pending": 3, "in_progress": 0, "deleted": 0, "skipped": 0, "failed": 0}


def test_the_users_of_a_whole_selection_are_read_at_once():
    files = [ResourceKey("file", str(number)) for number in range(1000)]
    index = Edges(*((JOURNEY, file) for file in files))

    assert create(index, *files)["warnings_total"] == 1
    assert index.reads == 1


def test_one_warning_names_a_bounded_number_of_configs():
    files = [ResourceKey("file", str(number)) for number in range(MAX_USES_A_WARNING + 5)]
    (warning,) = create(Edges(*((JOURNEY, file) for file in files)), *files)["warnings"]
    assert len(warning["uses"]) == MAX_USES_A_WARNING


def test_without_an_index_a_job_is_created_and_says_that_nothing_is_known():
    answer = create(Edges((JOURNEY, DESIGN), state="missing"), DESIGN)
    assert (answer["warnings"], answer["index_status"]) == ([], "missing")


def test_keeps_the_callers_token_for_the_job_alone_and_hands_ids_on():
    intake = Intake()
    answer = create(Edges((JOURNEY, DESIGN)), DESIGN, JOURNEY, intake=intake)

    (job,) = intake.created
    assert (job.kind, job.target_org_id, job.total) == (JobKind.DELETE, ORG, 2)
    assert intake.tokens == {(job.id, "target"): ("the-token", 5_000)}
    assert intake.started == [(answer["id"], {"org_id": ORG, "job_id": job.id})]
    (stored,) = intake.stored.values()
    assert stored == {
        "resources": [
            ["designbuilder", "designbuilder-1", "Title of designbuilder-1"],
            ["journey", "journey-1", "Title of journey-1"],
        ],
        "uses": [[["journey", "journey-1"], ["designbuilder", "designbuilder-1"]]],
    }


class World:
    """One job in memory, with the organisation that it deletes in."""

    def __init__(self, *keys, uses=()):
        self.repository = FakeConfigRepository(ORG)
        self.deleted = []
        self.row_of = {row.key: row for row in plan_deletion(RESOURCE_TYPES, dict.fromkeys(keys, ""), uses, NOW)}
        self.job = Job(
            id="job-1",
            kind=JobKind.DELETE,
            org_id=ORG,
            user_id="user-1",
            name="",
            status=JobStatus.IN_PROGRESS,
            direction="",
            source_org_id=ORG,
            target_org_id=ORG,
            dry_run=False,
            include_dependencies=False,
            match="",
            started_at=NOW,
            execution_id="execution-1",
            planned=True,
            total=len(keys),
        )
        self.held = set()
        self.marked = True
        self.metrics = Counter()
        self.clock = 0.0
        self.published = []
        self.rebuilt = []
        self.tokens = {"job-1": "the-token"}
        delete = self.repository.delete_config

        def remember(entry, config_id):
            delete(entry, config_id)
            self.deleted.append(ResourceKey(entry.name, config_id))

        self.repository.delete_config = remember

    def add(self, *keys, **payload):
        for key in keys:
            self.repository.configs.setdefault(key.type, {})[key.id] = payload
        return self

    # jobs, commits

    def get_job(self, _org_id, _job_id):
        return self.job

    def list_rows(self, _org_id, _job_id):
        return iter(self.row_of.values())

    def stop_for(self, _org_id, _job_id, error):
        self.job = replace(self.job, error=error)

    def claim(self, _job, _batch, claims, _lease_until):
        free = [one for one in claims if one.before.key not in self.held]
        for one in free:
            self.row_of[one.before.key] = replace(one.after, version=one.before.version + 1)
        return ClaimOutcome(
            claimed={one.before.key: self.row_of[one.before.key] for one in free},
            blocked=frozenset(self.held),
            wait_seconds=7 if len(free) < len(claims) else 0,
        )

    def commit(self, _job, _batch, commits):
        for one in commits:
            assert self.row_of[one.before.key].version == one.before.version
            self.row_of[one.before.key] = replace(one.after, version=one.before.version + 1)
        return {}

    def finish_job(self, job, status, finished_at, errors_sample, counts, *, rebuild_triggered):
        self.job = replace(
            self.job, status=status, finished_at=finished_at, counts=counts, rebuild_triggered=rebuild_triggered
        )
        return self.job

    def release_slot(self, _job, _busy_s):
        self.marked = False

    def is_marked_running(self, _job):
        return self.marked

    # credentials, events

    def get_kept(self, run_id, _role):
        if run_id not in self.tokens:
            raise NotFoundError("gone")
        return KeptToken(self.tokens[run_id], 0)

    def delete(self, run_id):
        self.tokens.pop(run_id, None)

    def put(self, name, detail):
        self.published.append((name, detail))

    def step(self):
        ports = SimpleNamespace(
            catalogue=RESOURCE_TYPES,
            jobs=self,
            commits=self,
            open_repository=self.open,
            now=lambda: self.clock,
            count=lambda name, value, **_dimensions: self.metrics.update({name: value}),
            log_failure=lambda *_: None,
        )
        return delete_batch(STEP, ports)

    def open(self, _job, _role):
        return self.repository

    def finish(self):
        return finish_deletion(
            ORG,
            "job-1",
            jobs=self,
            credentials=self,
            events=self,
            rebuild_index=lambda job, kept: self.rebuilt.append((job.id, kept.token)),
            count=lambda name, value, **_dimensions: self.metrics.update({name: value}),
            now=lambda: self.clock,
        )

    def statuses(self):
        return {key: row.status.value for key, row in self.row_of.items()}


def test_deletes_in_order_and_counts_what_is_gone_already_as_deleted():
    world = World(FILE, DESIGN, JOURNEY, uses=[(JOURNEY, DESIGN), (DESIGN, FILE)]).add(JOURNEY, FILE)

    assert world.step()["status"] == "done"

    assert world.deleted == [JOURNEY, FILE]
    assert set(world.statuses().values()) == {"deleted"}
    assert world.metrics == {"ResourcesSettled": 3}


def test_leaves_protected_configs_alone_and_says_why():
    world = World(JOURNEY, FILE).add(JOURNEY, protected=True).add(FILE)

    world.step()

    assert world.deleted == [FILE]
    assert world.statuses() == {JOURNEY: "skipped", FILE: "deleted"}
    assert str(world.row_of[JOURNEY].error).startswith("PROTECTED: ")


def test_what_is_refused_fails_and_the_rest_goes_on():
    world = World(JOURNEY, DESIGN, uses=[(JOURNEY, DESIGN)]).add(JOURNEY, DESIGN)
    world.repository.fail("delete", "journey", DownstreamRejectedError("It is in use."))

    assert world.step()["status"] == "done"

    assert world.statuses() == {JOURNEY: "failed", DESIGN: "deleted"}
    assert str(world.row_of[JOURNEY].error) == "DOWNSTREAM_REJECTED: It is in use."


def test_a_delete_without_an_answer_is_done_again_before_anything_that_waits_for_it():
    world = World(JOURNEY, DESIGN, uses=[(JOURNEY, DESIGN)]).add(JOURNEY, DESIGN)
    world.repository.fail("delete", "journey", UnknownOutcomeError("No answer."))

    assert world.step()["status"] == "wait"
    assert world.statuses() == {JOURNEY: "in_progress", DESIGN: "pending"}

    world.repository.failures.clear()
    assert world.step()["status"] == "done"
    assert world.deleted == [JOURNEY, DESIGN]
    assert world.row_of[JOURNEY].attempt == 2


def test_an_api_that_stays_away_fails_the_row_after_a_bounded_number_of_attempts():
    world = World(JOURNEY).add(JOURNEY)
    world.repository.fail("get", "journey", DownstreamUnavailableError("It is down."))

    answers = [world.step()["status"] for _ in range(MAX_ATTEMPTS)]

    assert answers == ["wait"] * (MAX_ATTEMPTS - 1) + ["done"]
    assert world.statuses() == {JOURNEY: "failed"}


def test_what_a_sync_job_holds_is_waited_for_before_anything_that_it_uses():
    world = World(JOURNEY, DESIGN, FILE, uses=[(JOURNEY, DESIGN)]).add(JOURNEY, DESIGN, FILE)
    world.held = {JOURNEY}

    assert world.step() == {"status": "wait", "code": "BLOCKED", "wait_seconds": 7}
    assert world.statuses() == {JOURNEY: "pending", DESIGN: "pending", FILE: "deleted"}

    world.held = set()
    assert world.step()["status"] == "done"
    assert world.deleted == [FILE, JOURNEY, DESIGN]


def test_hands_back_when_time_runs_low_without_touching_anything():
    world = World(JOURNEY).add(JOURNEY)
    world.clock = STEP.hand_back_at

    assert world.step()["status"] == "more"
    assert (world.deleted, world.statuses()) == ([], {JOURNEY: "pending"})


def test_running_a_finished_step_again_does_nothing():
    world = World(JOURNEY).add(JOURNEY)
    world.step()
    world.add(JOURNEY)

    assert world.step()["status"] == "done"
    assert world.deleted == [JOURNEY]


def test_a_refused_token_ends_the_job_and_leaves_what_was_not_reached():
    world = World(JOURNEY, FILE, uses=[(JOURNEY, FILE)]).add(JOURNEY, FILE)
    world.repository.fail("get", "journey", CredentialsExpiredError("The token is no longer accepted."))

    assert world.step()["code"] == "CREDENTIALS_EXPIRED"
    world.finish()

    assert world.job.status is JobStatus.PARTIAL
    assert world.statuses() == {JOURNEY: "pending", FILE: "pending"}


@pytest.mark.parametrize("change", [{"status": JobStatus.FAILED}, {"execution_id": "another"}])
def test_a_step_of_a_job_that_does_not_run_under_it_deletes_nothing(change):
    world = World(JOURNEY).add(JOURNEY)
    world.job = replace(world.job, **change)

    assert world.step() == {"status": "failed", "code": "JOB_STOPPED", "wait_seconds": 0}
    assert world.deleted == []


def test_the_end_rebuilds_the_index_lets_the_token_go_and_is_told_once():
    world = World(JOURNEY, FILE).add(JOURNEY, FILE)
    world.repository.fail("delete", "file", DownstreamRejectedError("It is in use."))
    world.step()

    assert world.finish()["job_status"] == world.finish()["job_status"] == "partial"

    assert (world.rebuilt, world.job.rebuild_triggered, world.tokens) == ([("job-1", "the-token")], True, {})
    ((name, detail),) = world.published
    assert name == "DeleteJobFinished"
    assert detail["counts"] == {"total": 2, "pending": 0, "in_progress": 0, "deleted": 1, "skipped": 0, "failed": 1}
    assert world.metrics["DeleteJobsEnded"] == 1


def test_an_end_that_could_not_be_told_is_told_by_the_next_try():
    world = World(JOURNEY).add(JOURNEY)
    world.step()
    put, world.put = world.put, Mock(side_effect=StorageThrottledError("later"))
    with pytest.raises(StorageThrottledError):
        world.finish()
    world.put = put

    assert world.finish()["job_status"] == "succeeded"
    assert [name for name, _ in world.published] == ["DeleteJobFinished"]


def test_a_job_without_rows_ends_failed_and_rebuilds_nothing():
    world = World(JOURNEY)
    world.job, world.row_of = replace(world.job, planned=False), {}

    assert world.finish()["job_status"] == "failed"
    assert (world.rebuilt, world.job.error) == ([], RowError("PLAN_FAILED", "The job ended before its rows stood."))
