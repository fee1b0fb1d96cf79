"""The scheduled check, fed its own event file."""

import boto3
import pytest
from moto import mock_aws

from functions.operations.measure_health.handler import lambda_handler
from sandbox.dashboards import read_samples
from shared.bootstrap.sync_jobs import sync_jobs
from shared.observability import METRICS
from tests.adapters.test_sync_commits import new_job
from tests.aws import REGION, create_tables, forget_adapters
from tests.events import load_event
from tests.fakes.moto_transactions import speed_up_transactions


@pytest.fixture
def deployed(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("SYNC_JOBS_TABLE", "SyncJobsTable")
    monkeypatch.setenv("SYNC_RESOURCES_TABLE", "SyncResourcesTable")
    monkeypatch.setenv("INDEX_TABLE", "IndexTable")
    speed_up_transactions(monkeypatch)
    with mock_aws():
        create_tables(boto3.resource("dynamodb"))
        url = boto3.client("sqs").create_queue(QueueName="letters")["QueueUrl"]
        monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", url)
        forget_adapters()
        yield
    forget_adapters()


def figures(capsys):
    return {
        (sample.name, *sample.dimensions.values()): sample.value
        for sample in read_samples(capsys.readouterr().out.splitlines())
    }


def test_everything_measured_is_sent_although_nothing_runs(deployed, lambda_context, capsys):
    assert lambda_handler(load_event("operations/measure_health"), lambda_context)["status"] == "done"

    sent = figures(capsys)
    assert sent["RunningJobs", "sync"] == sent["JobSilence", "delete"] == sent["IndexAge", "large"] == 0
    assert {"IndexesFailing", "FailingIndexAge", "DeadLetters", "DeadLetterAge"} <= {name for name, *_ in sent}
    assert {name for name, *_ in sent} <= METRICS.keys()


def test_measures_as_of_the_moment_that_the_schedule_names(deployed, lambda_context, capsys):
    sync_jobs().create_job(new_job("job-1", started_at="2026-03-02T07:30:00.000Z"))

    lambda_handler(load_event("operations/measure_health"), lambda_context)

    assert figures(capsys)["JobSilence", "sync"] == 1800


def test_a_call_by_hand_measures_as_of_now(deployed, lambda_context, capsys):
    sync_jobs().create_job(new_job("job-1", started_at="2026-01-01T00:00:00.000Z"))

    lambda_handler({}, lambda_context)

    assert figures(capsys)["RunningJobAge", "sync"] > 86_400
