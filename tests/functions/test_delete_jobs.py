"""The operations on delete jobs and the steps behind them, each fed its own event, over the tables of the template."""

import importlib
import json
import uuid

import boto3
import pytest

from functions.api.create_delete_job import handler as create_delete_job
from functions.api.get_delete_job import handler as get_delete_job
from functions.api.get_sync_job import handler as get_sync_job
from functions.api.list_delete_job_resources import handler as list_delete_job_resources
from functions.api.list_delete_jobs import handler as list_delete_jobs
from functions.api.list_sync_jobs import handler as list_sync_jobs
from functions.delete.finish_deletion import handler as finish_deletion
from shared.adapters import events, functions, step_functions
from shared.bootstrap import sync
from shared.bootstrap.credentials import credentials_store
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.errors import DownstreamRejectedError
from tests.aws import REGION
from tests.events import EVENTS, load_event
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.issuer import sign
from tests.published import violations

ORG = "org-a"
TOKEN = sign(**{"custom:ivy_org_id": ORG})
STEPS = sorted(path.stem for path in (EVENTS / "delete").glob("*.json"))


@pytest.fixture
def outside(monkeypatch):
    """What left the hub: executions, events, builds."""
    left = {"started": [], "published": [], "built": []}
    monkeypatch.setattr(
        step_functions.SyncExecutions, "start", lambda self, job_id, value: left["started"].append((job_id, value))
    )
    monkeypatch.setattr(events.EventBus, "put", lambda self, name, detail: left["published"].append((name, detail)))
    monkeypatch.setattr(functions.AsyncFunction, "invoke", lambda self, event: left["built"].append(event))
    return left


@pytest.fixture
def repository(monkeypatch):
    """The organisation that is deleted in."""
    fake = FakeConfigRepository(ORG)
    monkeypatch.setattr(sync, "_open_repository", lambda *_: fake)
    return fake


@pytest.fixture
def hub(monkeypatch, lambda_context, storage, outside, repository):
    """Calls a handler with a change of its event and returns status and body, checked against the definition."""
    settings = {
        "DELETE_MACHINE_ARN": f"arn:aws:states:{REGION}:123456789012:stateMachine:delete",
        "BUILD_INDEX_FUNCTION": "build-index",
        "EVENT_BUS": "default",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    lambda_context.remaining_ms = 120_000

    def call(handler, operation_id, *, org_id=ORG, headers=None, **changes):
        event = load_event(
            f"api/{handler.__name__.split('.')[-2]}",
            requestContext={"authorizer": {"org_id": org_id}},
            headers={"Authorization": f"Bearer {TOKEN}", **(headers or {})},
            **changes,
        )
        answer = handler.lambda_handler(event, lambda_context)
        body = json.loads(answer["body"])
        assert violations(operation_id, answer["statusCode"], body) == []
        return answer["statusCode"], body

    return call


def create(hub, *ids, type_name="file", key=None, **changes):
    body = {"resources": [{"type": type_name, "id": config_id} for config_id in ids], **changes}
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    return hub(create_delete_job, "createDeleteJob", headers=headers, body=body)


def get(hub, job_id, **more):
    return hub(get_delete_job, "getDeleteJob", pathParameters={"id": job_id}, **more)


def step(name, job_id, context):
    handler = importlib.import_module(f"functions.delete.{name}.handler").lambda_handler
    return handler(load_event(f"delete/{name}", job_id=job_id), context)


def test_a_job_goes_from_its_request_to_a_rebuilt_index(hub, outside, repository, lambda_context):
    repository.add(RESOURCE_TYPES["file"], {"_id": "one"}, {"_id": "two"})
    _, job = create(hub, "one", "two", "three", name="Clean up")
    assert (job["status"], job["counts"]["pending"], job["rebuild_triggered"]) == ("pending", 3, False)
    assert outside["started"] == [(job["id"], {"org_id": ORG, "job_id": job["id"]})]

    assert step("plan_deletion", job["id"], lambda_context)["status"] == "done"
    repository.fail("delete", "file", DownstreamRejectedError("It is in use."))
    assert step("delete_batch", job["id"], lambda_context)["status"] == "done"
    assert step("finish_deletion", job["id"], lambda_context)["job_status"] == "partial"

    status, ended = get(hub, job["id"])
    assert (status, ended["status"], ended["rebuild_triggered"]) == (200, "partial", True)
    assert ended["counts"] == {"total": 3, "pending": 0, "in_progress": 0, "deleted": 1, "skipped": 0, "failed": 2}
    _, rows = hub(
        list_delete_job_resources,
        "listDeleteJobResources",
        pathParameters={"id": job["id"]},
        query={"status": "failed"},
    )
    assert {(row["id"], row["error"]) for row in rows["results"]} == {
        ("one", "DOWNSTREAM_REJECTED: It is in use."),
        ("two", "DOWNSTREAM_REJECTED: It is in use."),
    }
    assert [event["org_id"] for event in outside["built"]] == [ORG]
    assert [name for name, _ in outside["published"]] == ["DeleteJobFinished"]


@pytest.mark.parametrize("name", STEPS)
def test_each_step_may_run_twice(hub, repository, lambda_context, name):
    repository.add(RESOURCE_TYPES["file"], {"_id": "one"})
    _, job = create(hub, "one")
    for each in ("plan_deletion", "delete_batch", "finish_deletion"):
        for _ in range(2 if each == name else 1):
            step(each, job["id"], lambda_context)

    _, ended = get(hub, job["id"])
    assert (ended["status"], ended["counts"]["deleted"], ended["counts"]["total"]) == ("succeeded", 1, 1)
    assert repository.calls["delete", "file"] == 1


@pytest.mark.parametrize("name", STEPS)
def test_a_step_for_a_job_that_does_not_exist_fails_by_value(hub, lambda_context, name):
    answer = step(name, "nothing", lambda_context)
    assert (answer["status"], answer["code"]) == ("failed", "NOT_FOUND")


def test_the_token_is_kept_as_ciphertext_until_the_end_and_no_longer(hub, lambda_context):
    _, job = create(hub, "one")
    assert credentials_store().get(job["id"], "target") == TOKEN
    stored = repr([boto3.client("dynamodb").scan(TableName=name)["Items"] for name in ("SyncJobsTable", "IndexTable")])
    assert TOKEN not in stored + json.dumps(job)

    for name in ("plan_deletion", "delete_batch", "finish_deletion"):
        step(name, job["id"], lambda_context)
    kept = boto3.client("dynamodb").scan(TableName="CredentialsTable")["Items"]
    assert [item["pk"]["S"] for item in kept if job["id"] in item["pk"]["S"]] == []


def test_an_execution_that_died_is_closed_by_its_event(hub, lambda_context):
    _, job = create(hub, "one")
    ended = {"status": "ABORTED", "input": json.dumps({"org_id": ORG, "job_id": job["id"]})}

    assert finish_deletion.lambda_handler(ended, lambda_context)["job_status"] == "failed"
    _, answer = get(hub, job["id"])
    assert (answer["status"], answer["counts"]["pending"]) == ("failed", 1)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"resources": []}, "resources"),
        ({"resources": [{"type": "spaceship", "id": "1"}]}, "resources[0].type"),
        ({"resources": [{"type": "file"}]}, "resources[0].id"),
        ({"resources": [{"type": "file", "id": "x" * 300}]}, "resources[0].id"),
        ({"resources": [{"type": "file", "id": str(number)} for number in range(1001)]}, "resources"),
        ({"name": "n" * 201}, "name"),
    ],
)
def test_refuses_a_wrong_request_and_names_the_field(hub, outside, changes, named):
    status, answer = create(hub, "one", **changes)

    assert (status, named in answer["error"]) == (400, True)
    assert outside["started"] == []


def test_a_repeat_with_the_same_key_answers_the_stored_job_and_another_body_conflicts(hub):
    _, first = create(hub, "one", key="once")

    assert create(hub, "one", key="once") == (201, first)
    assert create(hub, "two", key="once")[0] == 409


def test_a_job_of_another_organisation_is_not_found_like_one_that_does_not_exist(hub):
    _, job = create(hub, "one")
    path = {"pathParameters": {"id": job["id"]}}

    for handler, operation_id in (
        (get_delete_job, "getDeleteJob"),
        (list_delete_job_resources, "listDeleteJobResources"),
    ):
        foreign = hub(handler, operation_id, org_id="org-c", **path)
        missing = hub(handler, operation_id, pathParameters={"id": "nothing"})
        assert foreign[0] == missing[0] == 404
        assert foreign[1]["error"].replace(job["id"], "") == missing[1]["error"].replace("nothing", "")


def test_delete_jobs_and_sync_jobs_never_mix(hub):
    _, job = create(hub, "one")

    assert hub(get_sync_job, "getSyncJob", pathParameters={"id": job["id"]})[0] == 404
    assert hub(list_sync_jobs, "listSyncJobs", query={})[1]["results"] == []
    assert [one["id"] for one in hub(list_delete_jobs, "listDeleteJobs", query={})[1]["results"]] == [job["id"]]


def test_lists_jobs_newest_first_page_by_page(hub):
    ids = [create(hub, "one")[1]["id"] for _ in range(3)]

    _, first = hub(list_delete_jobs, "listDeleteJobs", query={"size": "2"})
    _, second = hub(list_delete_jobs, "listDeleteJobs", query={"size": "2", "cursor": first["next_cursor"]})

    assert [job["id"] for job in [*first["results"], *second["results"]]] == ids[::-1]
    assert hub(list_sync_jobs, "listSyncJobs", query={"cursor": first["next_cursor"]})[0] == 400


def test_a_fourth_running_job_in_the_organisation_has_to_wait(hub):
    for _ in range(3):
        create(hub, "one")
    assert create(hub, "one")[0] == 429
