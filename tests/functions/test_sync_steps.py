"""Each step's handler fed its own event file."""

import importlib
import json
import re

import boto3
import pytest
from moto import mock_aws

from functions.sync.finish_job import handler as finish_job
from shared.bootstrap import sync
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.errors import CredentialsExpiredError
from shared.domain.job import JobStatus
from tests.adapters.test_sync_commits import new_job
from tests.aws import REGION, create_tables, forget_adapters
from tests.events import EVENTS, load_event
from tests.fakes.moto_transactions import speed_up_transactions

STEPS = sorted(path.stem for path in (EVENTS / "sync").glob("*.json"))
JOB_ID = load_event("sync/plan_job")["job_id"]


def handler_of(step):
    return importlib.import_module(f"functions.sync.{step}.handler").lambda_handler


@pytest.fixture
def deployed(monkeypatch):
    """The settings and resources that the steps find when they are deployed, without any job."""
    settings = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "SYNC_JOBS_TABLE": "SyncJobsTable",
        "SYNC_RESOURCES_TABLE": "SyncResourcesTable",
        "LINEAGE_TABLE": "LineageTable",
        "MEMORY_TABLE": "MemoryTable",
        "INDEX_TABLE": "IndexTable",
        "CREDENTIALS_TABLE": "CredentialsTable",
        "CREDENTIALS_KEY_ID": "alias/any",
        "PAYLOAD_BUCKET": "payloads",
        "DOWNSTREAM_URL_TEMPLATE": "https://{host}",
        "EVENT_BUS": "default",
        "BUILD_INDEX_FUNCTION": "build-index",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    speed_up_transactions(monkeypatch)
    with mock_aws():
        create_tables(boto3.resource("dynamodb"))
        boto3.client("s3").create_bucket(Bucket="payloads", CreateBucketConfiguration={"LocationConstraint": REGION})
        forget_adapters()
        yield
    forget_adapters()


def start_job():
    """The job that the event files name, running under their execution."""
    jobs = sync_jobs()
    assert jobs.create_job(new_job(JOB_ID))
    jobs.start_job("org-a", JOB_ID, load_event("sync/plan_job")["execution_id"])


def test_every_step_of_the_machine_has_an_event_and_a_handler():
    asl = (EVENTS.parent / "functions" / "sync" / "state_machine.asl.json").read_text()
    functions = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower() for name in re.findall(r"\{(\w+)FunctionArn\}", asl)}

    assert set(STEPS) == functions


@pytest.mark.parametrize("step", STEPS)
def test_a_step_for_a_job_that_does_not_exist_fails_by_value(deployed, lambda_context, step):
    answer = handler_of(step)(load_event(f"sync/{step}"), lambda_context)

    assert answer["status"] == "failed"
    assert answer["code"] == "NOT_FOUND"


@pytest.mark.parametrize("step", [step for step in STEPS if step != "finish_job"])
def test_a_step_of_a_cancelled_job_stops_without_a_write(deployed, lambda_context, monkeypatch, step):
    start_job()
    sync_jobs().cancel_job("org-a", JOB_ID, "2026-01-01T00:00:00.000Z")
    monkeypatch.setattr(sync, "_open_repository", lambda *_: pytest.fail("a cancelled job opened an organisation"))

    answer = handler_of(step)(load_event(f"sync/{step}"), lambda_context)

    assert answer["status"] in ("failed", "done")


@pytest.mark.parametrize(
    "step",
    ["sync_batch", "resolve_derived_references", "patch_references", "run_finalizers", "verify_targets"],
)
def test_a_step_without_credentials_ends_the_job_with_credentials_expired(deployed, lambda_context, monkeypatch, step):
    start_job()

    def refuse(*_):
        raise CredentialsExpiredError("The token is gone.")

    monkeypatch.setattr(sync, "_open_repository", refuse)

    answer = handler_of(step)(load_event(f"sync/{step}"), lambda_context)

    assert (answer["status"], answer["code"]) == ("failed", "CREDENTIALS_EXPIRED")
    assert sync_jobs().get_job("org-a", JOB_ID).error.code == "CREDENTIALS_EXPIRED"


def test_finishing_takes_the_event_of_an_ended_execution(deployed, lambda_context):
    start_job()
    event = {"status": "TIMED_OUT", "input": json.dumps({"org_id": "org-a", "job_id": JOB_ID})}

    first = finish_job.lambda_handler(event, lambda_context)
    again = finish_job.lambda_handler(event, lambda_context)

    assert first["job_status"] == again["job_status"] == "failed"
    job = sync_jobs().get_job("org-a", JOB_ID)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "PLAN_FAILED")


def test_nothing_of_a_step_but_ids_and_flags_is_logged(deployed, lambda_context, logged):
    start_job()
    handler_of("next_batches")(load_event("sync/next_batches"), lambda_context)

    assert {line["job_id"] for line in logged() if "job_id" in line} == {JOB_ID}
