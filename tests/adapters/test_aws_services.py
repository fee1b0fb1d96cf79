import json

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from shared.adapters.aws import pause_after_conflict, translated_errors
from shared.adapters.events import EventBus
from shared.adapters.functions import AsyncFunction
from shared.adapters.payloads import PayloadStore
from shared.adapters.step_functions import Executions, SyncExecutions
from shared.domain.errors import NotFoundError, PayloadTooLargeError, StorageThrottledError


def refused(code):
    return ClientError({"Error": {"Code": code}}, "Decrypt")


@pytest.fixture
def store(aws, bucket):
    return PayloadStore(aws.client("s3"), bucket)


@pytest.mark.parametrize("value", [{"name": "Grüße 🌍", "n": [1, 2.5, None, True]}, [], "text", {"half": "\ud800"}])
def test_gives_back_a_payload(value, store):
    store.put("jobs/1/j/a.json", value)

    assert store.get("jobs/1/j/a.json") == value


def test_what_is_stored_once_stays(store):
    assert store.put_once("jobs/1/j/a.json", {"n": 1}) == {"n": 1}

    assert store.put_once("jobs/1/j/a.json", {"n": 2}) == {"n": 1}
    assert store.get("jobs/1/j/a.json") == {"n": 1}


def test_only_a_conflict_of_a_single_write_is_paused_for_and_not_for_ever():
    conflict = (None, {"Error": {"Code": "TransactionConflictException"}})

    assert all(0 <= pause_after_conflict(attempts=n, response=conflict) < 6 for n in range(1, 9))
    assert pause_after_conflict(attempts=9, response=conflict) is None
    assert pause_after_conflict(attempts=1, response=(None, {"Error": {"Code": "ValidationException"}})) is None
    assert pause_after_conflict(attempts=1, response=None) is None


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (refused("ThrottlingException"), StorageThrottledError),
        (refused("SlowDown"), StorageThrottledError),
        (EndpointConnectionError(endpoint_url="https://kms"), StorageThrottledError),
        (ReadTimeoutError(endpoint_url="https://s3"), StorageThrottledError),
        (refused("AccessDeniedException"), ClientError),
    ],
)
def test_what_aws_is_too_busy_for_or_does_not_answer_may_succeed_later(error, becomes):
    with pytest.raises(becomes), translated_errors():
        raise error


def test_stores_payloads_compressed(store, aws, bucket):
    store.put("k", ["same"] * 10_000)

    assert aws.client("s3").head_object(Bucket=bucket, Key="k")["ContentLength"] < 1_000


def test_a_payload_that_is_gone_is_not_found(store):
    with pytest.raises(NotFoundError):
        store.get("jobs/absent")


def test_lists_and_deletes_below_a_prefix(store):
    for key in ("jobs/1/a", "jobs/1/b", "jobs/10/a"):
        store.put(key, 1)

    assert list(store.list("jobs/1/")) == ["jobs/1/a", "jobs/1/b"]
    store.delete("jobs/1/")
    assert list(store.list("jobs/")) == ["jobs/10/a"]


def test_never_deletes_a_whole_bucket(store):
    with pytest.raises(ValueError, match="empty prefix"):
        store.delete("")


def test_refuses_a_payload_over_the_limit(store, monkeypatch):
    monkeypatch.setattr("shared.adapters.payloads.MAX_OBJECT_BYTES", 10)
    with pytest.raises(PayloadTooLargeError):
        store.put("k", "x" * 10)


@pytest.fixture
def executions(aws):
    client = aws.client("stepfunctions")
    machine = client.create_state_machine(
        name="sync",
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}}),
        roleArn="arn:aws:iam::123456789012:role/sync",
    )
    return SyncExecutions(client, machine["stateMachineArn"])


def test_a_second_start_of_a_job_is_no_second_execution(executions, aws):
    first = executions.start("job", {"job_id": "job"})
    second = executions.start("job", {"job_id": "job", "differs": True})

    assert first == second
    listed = aws.client("stepfunctions").list_executions(stateMachineArn=executions._state_machine_arn)
    assert [execution["name"] for execution in listed["executions"]] == ["job"]


def test_tells_how_the_execution_of_a_job_ended_and_where_there_is_none(executions, aws):
    execution = executions.start("job", {"job_id": "job"})
    client = aws.client("stepfunctions")
    client.stop_execution(executionArn=execution)
    found = Executions(client, execution.removesuffix(":job"))

    assert found.find_status("job") == "ABORTED"
    assert found.find_status("other") is None


def test_refuses_an_execution_input_that_aws_would_refuse(executions):
    with pytest.raises(PayloadTooLargeError):
        executions.start("job", {"payload": "x" * 256 * 1024})


class Recorder:
    """Stands for a boto3 client of which one call matters."""

    def __init__(self, answer=None):
        self.answer = answer
        self.calls = []

    def __getattr__(self, name):
        def call(**arguments):
            self.calls.append((name, arguments))
            return self.answer

        return call


def test_invokes_a_function_without_waiting_for_it():
    client = Recorder()
    AsyncFunction(client, "build").invoke({"org_id": "1"})

    assert client.calls == [
        ("invoke", {"FunctionName": "build", "InvocationType": "Event", "Payload": b'{"org_id":"1"}'})
    ]


def test_refuses_an_event_that_carries_payloads():
    with pytest.raises(PayloadTooLargeError):
        AsyncFunction(Recorder(), "build").invoke({"x": "x" * 256 * 1024})
    with pytest.raises(PayloadTooLargeError):
        EventBus(Recorder(), "bus").put("SyncJobFinished", {"x": "x" * 256 * 1024})


def test_publishes_an_event():
    client = Recorder({"FailedEntryCount": 0, "Entries": [{}]})
    EventBus(client, "bus").put("SyncJobFinished", {"job_id": "j"})

    (entry,) = client.calls[0][1]["Entries"]
    assert (entry["EventBusName"], entry["DetailType"], json.loads(entry["Detail"])) == (
        "bus",
        "SyncJobFinished",
        {"job_id": "j"},
    )


def test_an_event_that_the_bus_refused_is_no_success():
    client = Recorder({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})
    with pytest.raises(StorageThrottledError, match="ThrottlingException"):
        EventBus(client, "bus").put("SyncJobFinished", {})
