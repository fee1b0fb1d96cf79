import json
import time

import pytest

from functions.api.get_index import handler as get_index
from functions.api.rebuild_index import handler as rebuild_index
from functions.index.build_index import handler as build_handler
from functions.index.continue_index import handler as continue_handler
from shared.adapters import aws as shared_clients
from shared.bootstrap import index_build
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.credentials import credentials_store
from shared.domain.bounds import MAX_TOKEN_BYTES
from shared.domain.errors import CredentialsExpiredError, DownstreamUnavailableError
from tests.aws import REGION, forget_adapters
from tests.events import load_event
from tests.fakes.config_repository import FakeConfigRepository
from tests.published import violations

TOKEN = "sample-token-of-a-caller"


class Started:
    """Lambda's queue: keeps the events of asynchronous invocations."""

    def __init__(self):
        self.events = []
        self.functions = []
        self.error = None

    def invoke(self, FunctionName, InvocationType, Payload):  # noqa: N803
        assert InvocationType == "Event"
        if self.error:
            raise self.error
        self.events.append(json.loads(Payload))
        self.functions.append(FunctionName)


@pytest.fixture
def started(aws, tables, monkeypatch):
    aws.client("s3").create_bucket(Bucket="payloads", CreateBucketConfiguration={"LocationConstraint": REGION})
    key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
    for name, value in {
        "INDEX_TABLE": "IndexTable",
        "SYNC_JOBS_TABLE": "SyncJobsTable",
        "CREDENTIALS_TABLE": "CredentialsTable",
        "CREDENTIALS_KEY_ID": key,
        "PAYLOAD_BUCKET": "payloads",
        "BUILD_INDEX_FUNCTION": "builder",
        "CONTINUE_INDEX_FUNCTION": "continuer",
        "DOWNSTREAM_URL_TEMPLATE": "http://{host}",
    }.items():
        monkeypatch.setenv(name, value)
    forget_adapters()
    queue = Started()
    original = shared_clients.client
    monkeypatch.setattr(shared_clients, "client", lambda service: queue if service == "lambda" else original(service))
    yield queue
    forget_adapters()


@pytest.fixture
def repository(monkeypatch):
    made = FakeConfigRepository("org-a")
    made.add(catalogue()["designbuilder"], {"id": "d-1", "style_name": "Blue"})
    made.tokens = []

    def open_downstream(token, org_id, **limits):
        assert limits["read_only"]
        made.tokens.append(token)
        return made

    monkeypatch.setattr(index_build, "open_downstream", open_downstream)
    return made


def rebuild(context, **changes):
    headers = {"Authorization": f"Bearer {changes.pop('token', TOKEN)}"}
    answer = rebuild_index.lambda_handler(load_event("api/rebuild_index", headers=headers, **changes), context)
    body = json.loads(answer["body"])
    assert violations("rebuildIndex", answer["statusCode"], body) == []
    return answer["statusCode"], body


def status(context):
    return json.loads(get_index.lambda_handler(load_event("api/get_index"), context)["body"])


def build(context, event, remaining_ms=900_000):
    context.remaining_ms = remaining_ms
    return build_handler.lambda_handler(event, context)


def everything_stored(tables):
    return repr([table.scan()["Items"] for table in tables.values()])


def test_a_rebuild_answers_at_once_and_hands_ids_only_to_the_builder(started, lambda_context, tables):
    assert rebuild(lambda_context) == (200, {"status": "building"})

    (event,) = started.events
    assert set(event) == {"org_id", "build_token", "user_id"}
    assert (event["org_id"], event["user_id"]) == ("org-a", "user-1")
    assert status(lambda_context)["status"] == "building"
    assert TOKEN not in everything_stored(tables)


def test_a_second_rebuild_within_ten_seconds_starts_nothing(started, lambda_context):
    rebuild(lambda_context)

    assert rebuild(lambda_context) == (200, {"status": "already_building"})
    assert len(started.events) == 1


def test_a_build_reads_with_the_callers_token_and_forgets_it(started, repository, lambda_context, tables):
    rebuild(lambda_context)
    result = build(lambda_context, started.events[0])

    assert result == {"status": "done", "code": ""}
    assert repository.tokens == [TOKEN]
    assert status(lambda_context)["total_items"] == 1
    assert tables["CredentialsTable"].scan()["Items"] == []


def test_the_answer_to_a_rebuild_tells_of_the_last_success(started, repository, lambda_context):
    rebuild(lambda_context)
    build(lambda_context, started.events[0])
    _, body = rebuild(lambda_context)

    assert (body["status"], body["total_items"], body["failed_types"]) == ("building", 1, [])
    assert body["last_built_at"]


def test_the_sample_event_is_a_build_that_was_superseded_long_ago(started, repository, lambda_context):
    rebuild(lambda_context)

    assert build(lambda_context, load_event("index/build_index")) == {"status": "superseded", "code": ""}


def test_a_build_short_of_time_goes_on_in_the_function_that_continues_builds(started, repository, lambda_context, aws):
    rebuild(lambda_context)
    first = build(lambda_context, started.events[0], remaining_ms=60_000)
    keys = [entry["Key"] for entry in aws.client("s3").list_objects_v2(Bucket="payloads")["Contents"]]
    lambda_context.remaining_ms = 60_000
    second = continue_handler.lambda_handler(started.events[1], lambda_context)
    lambda_context.remaining_ms = 900_000
    third = continue_handler.lambda_handler(started.events[2], lambda_context)

    assert (first["status"], second["status"]) == ("more", "more")
    assert [event.get("continuation", 0) for event in started.events] == [0, 1, 2]
    assert started.functions == ["builder", "continuer", lambda_context.invoked_function_arn]
    assert started.events[1] == {**started.events[0], "continuation": 1}
    assert all(key.startswith(f"index/org-a/{started.events[0]['build_token']}/") for key in keys)
    assert third["status"] == "done"
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket="payloads")


def test_a_refused_token_fails_the_build_with_that_reason(started, repository, lambda_context):
    repository.fail("list", "role", CredentialsExpiredError("The token has expired."))
    rebuild(lambda_context)
    result = build(lambda_context, started.events[0])

    assert result == {"status": "failed", "code": "CREDENTIALS_EXPIRED"}
    assert status(lambda_context)["status"] == "failed"


def test_a_token_that_is_gone_fails_the_build_with_that_reason(started, repository, lambda_context, tables):
    rebuild(lambda_context)
    credentials_store().delete(started.events[0]["build_token"])

    assert build(lambda_context, started.events[0])["code"] == "CREDENTIALS_EXPIRED"


def test_counts_what_it_did(started, repository, lambda_context, capsys):
    repository.fail("list", "role", DownstreamUnavailableError("permissions answered 500."))
    rebuild(lambda_context)
    build(lambda_context, started.events[0])
    blobs = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "ResourcesIndexed" in line]
    (metrics,) = [blob for blob in blobs if "_aws" in blob]

    assert metrics["ResourcesIndexed"] == [1.0]
    assert metrics["TypesFailed"] == [1.0]
    assert metrics["TypesFailed"] == [1.0]


def test_a_token_over_the_limit_is_refused_and_starts_nothing(started, lambda_context):
    code, _ = rebuild(lambda_context, token="x" * (MAX_TOKEN_BYTES + 1))

    assert code == 400
    assert started.events == []
    assert status(lambda_context)["status"] == "failed"


def test_a_builder_that_cannot_be_started_leaves_no_build_behind(started, lambda_context):
    started.error = RuntimeError("no such function")
    code, _ = rebuild(lambda_context)

    assert code == 500
    assert status(lambda_context)["status"] == "failed"


def test_the_token_is_kept_no_longer_than_it_is_valid(started, lambda_context, tables):
    expiry = str(int(time.time()) + 300)
    rebuild(lambda_context, requestContext={"authorizer": {"exp": expiry}})
    (item,) = tables["CredentialsTable"].scan()["Items"]

    assert item["expires_at"] == int(expiry)


def test_a_token_without_expiry_is_kept_for_a_day(started, lambda_context, tables):
    rebuild(lambda_context, requestContext={"authorizer": {"exp": ""}})
    (item,) = tables["CredentialsTable"].scan()["Items"]

    assert 86_300 < int(item["expires_at"]) - time.time() <= 86_400
