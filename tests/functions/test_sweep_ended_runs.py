"""The scheduled sweep, fed its own event file."""

import json
import time

import boto3
import pytest
from moto import mock_aws

from functions.operations.sweep_ended_runs.handler import lambda_handler
from sandbox.dashboards import read_samples
from shared.bootstrap import index_builder, sweep
from shared.bootstrap.index import index_store
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.errors import StorageThrottledError
from shared.use_cases.sweep_ended_runs import LOST
from tests.adapters.test_sync_commits import new_job
from tests.aws import REGION, create_tables, forget_adapters
from tests.events import load_event
from tests.fakes.moto_transactions import speed_up_transactions
from tests.workflow.machine import snake

BUILD = "01HZZZZZZZZZZZZZZZZZZZZZZZ"
_ROLE = "arn:aws:iam::123456789012:role/any"


@pytest.fixture
def invoked():
    """Which functions were invoked, with what."""
    return []


@pytest.fixture
def machine(monkeypatch, invoked):
    """A state machine whose executions never end by themselves."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name in ("SyncJobsTable", "IndexTable", "CredentialsTable"):
        monkeypatch.setenv({"SyncJobsTable": "SYNC_JOBS_TABLE"}.get(name, f"{name[:-5].upper()}_TABLE"), name)
    monkeypatch.setenv("SYNC_RESOURCES_TABLE", "SyncResourcesTable")
    for kind in ("SYNC", "DELETE"):
        monkeypatch.setenv(f"{kind}_EXECUTIONS_ARN", f"arn:aws:states:{REGION}:123456789012:execution:{kind}")
    for name in ("FinishJob", "FinishDeletion", "BuildIndex", "ContinueIndex"):
        monkeypatch.setenv(f"{snake(name).upper()}_FUNCTION", name)
    speed_up_transactions(monkeypatch)

    class Invoked:
        def __init__(self, _client, name):
            self.invoke = lambda event: invoked.append((name, event))

    for module in (sweep, index_builder):
        monkeypatch.setattr(module, "AsyncFunction", Invoked)
    with mock_aws():
        create_tables(boto3.resource("dynamodb"))
        client = boto3.client("stepfunctions")
        definition = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}})
        arn = client.create_state_machine(name="SYNC", definition=definition, roleArn=_ROLE)["stateMachineArn"]
        forget_adapters()
        yield lambda job_id: client.start_execution(stateMachineArn=arn, name=job_id, input="{}")["executionArn"]
    forget_adapters()


def sweep_now(lambda_context):
    return lambda_handler(load_event("operations/sweep_ended_runs"), lambda_context)


def test_closes_the_job_whose_execution_has_ended_and_leaves_the_one_that_runs(
    machine, invoked, lambda_context, capsys
):
    for job_id in ("ended", "running"):
        sync_jobs().create_job(new_job(job_id))
    boto3.client("stepfunctions").stop_execution(executionArn=machine("ended"))
    machine("running")

    assert sweep_now(lambda_context)["status"] == "done"

    assert invoked == [("FinishJob", {"org_id": "org-a", "job_id": "ended"})]
    swept = [one.value for one in read_samples(capsys.readouterr().out.splitlines()) if one.name == "RunsSwept"]
    assert sum(swept) == 1


def test_starts_a_build_again_that_nobody_works_on_and_closes_it_the_next_time(machine, invoked, lambda_context):
    event = {"org_id": "org-a", "build_token": BUILD, "user_id": "user-1", "continuation": 2}
    assert index_store().start_build("org-a", BUILD, 1.0, 10, event)

    sweep_now(lambda_context)
    assert invoked == [("ContinueIndex", event | {"restarted": True})]
    assert index_store().find_state("org-a").is_building(time.time())

    index_store().extend_lease("org-a", BUILD, 1.0)
    sweep_now(lambda_context)
    state = index_store().find_state("org-a")
    assert (len(invoked), state.status, state.error) == (1, "failed", LOST)


def test_a_sweep_that_cannot_read_is_raised_so_that_lambda_tries_again(machine, lambda_context, monkeypatch):
    def busy(_store):
        raise StorageThrottledError("Busy.")

    monkeypatch.setattr(type(index_store()), "list_building", busy)

    with pytest.raises(StorageThrottledError):
        sweep_now(lambda_context)
