"""The six operations on sync jobs, each fed its own event, over the tables of the template."""

import json
import time
import uuid

import boto3
import pytest

from functions.api.cancel_sync_job import handler as cancel_sync_job
from functions.api.create_sync_job import handler as create_sync_job
from functions.api.get_sync_job import handler as get_sync_job
from functions.api.list_sync_job_resources import handler as list_sync_job_resources
from functions.api.list_sync_jobs import handler as list_sync_jobs
from functions.api.retry_sync_job import handler as retry_sync_job
from shared.adapters import step_functions, tokens
from shared.bootstrap import sync_api
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.errors import StorageThrottledError
from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Event, Phase, Row, RowError, RowStatus, Work
from shared.use_cases.jobs.closure import Closure
from shared.use_cases.jobs.payloads import source_key
from tests.events import load_event
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.issuer import ISSUER, key_set, sign
from tests.published import violations

SOURCE, TARGET = "org-a", "org-b"
JOURNEY = "6b1f0c9e-2a0e-4c55-9d2e-0a8f3c1d7e42"
SOURCE_TOKEN = sign(**{"custom:ivy_org_id": SOURCE})
TARGET_TOKEN = sign(**{"custom:ivy_org_id": TARGET})


@pytest.fixture
def started(monkeypatch):
    """The executions that were started: (job id, input)."""
    found = []
    monkeypatch.setattr(
        step_functions.SyncExecutions, "start", lambda self, job_id, value: found.append((job_id, value))
    )
    return found


@pytest.fixture
def own(monkeypatch):
    """The caller's organisation, as cancelSyncJob asks it what the caller may do."""
    made = FakeConfigRepository(SOURCE)
    made.grants = []

    def opened(request):
        made.org_id = request.org_id
        return made

    monkeypatch.setattr(cancel_sync_job, "caller_repository", opened)
    return made


@pytest.fixture
def hub(monkeypatch, lambda_context, storage, started, own):
    """Calls a handler with a change of its event and returns status and body, checked against the definition."""
    settings = {
        "STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:sync",
        "TOKEN_ISSUER": ISSUER,
        "TOKEN_JWKS_URL": f"{ISSUER}/keys",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tokens, "_fetch_jwks", lambda url: key_set("own"))

    def call(handler, name, operation_id, *, org_id=SOURCE, user_id="user-1", headers=None, **changes):
        event = load_event(
            f"api/{name}",
            requestContext={"authorizer": {"org_id": org_id, "user_id": user_id}},
            headers={"Authorization": f"Bearer {SOURCE_TOKEN}", **(headers or {})},
            **changes,
        )
        answer = handler.lambda_handler(event, lambda_context)
        body = json.loads(answer["body"])
        assert violations(operation_id, answer["statusCode"], body) == []
        return answer["statusCode"], body, answer["headers"]

    return call


def body(**changes):
    request = json.loads(load_event("api/create_sync_job")["body"])
    return {**request, "target_auth_token": TARGET_TOKEN, **changes}


def create(hub, key=None, headers=None, user_id="user-1", **changes):
    headers = {"Idempotency-Key": key or str(uuid.uuid4()), **(headers or {})}
    asked = {"headers": headers, "user_id": user_id, "body": body(**changes)}
    return hub(create_sync_job, "create_sync_job", "createSyncJob", **asked)


def get(hub, job_id, **more):
    return hub(get_sync_job, "get_sync_job", "getSyncJob", pathParameters={"id": job_id}, **more)


def end(job_id, status=JobStatus.PARTIAL, rows=()):
    """Close a job as its machine would have."""
    jobs = sync_jobs()
    job = jobs.get_job(SOURCE, job_id)
    if rows:
        jobs.put_rows(job, rows)
        closure = Closure(selected={one.key for one in rows}, by_id={one.key for one in rows})
        sync_api._outside()[0].put(source_key(SOURCE, job_id, "closure"), closure.to_json())
        counts = dict.fromkeys(["pending", "in_progress", "succeeded", "failed", "skipped_unchanged"], 0)
        for row in rows:
            counts[row.status.counted_as] += 1
        jobs.mark_planned(job, total=len(rows), stages=[[1]], batches={}, counts={"1": counts}, next_seq=0)
    if status is not None:
        counts = jobs.total_counts(SOURCE, job_id)
        jobs.finish_job(job, status, "2026-03-01T08:00:00.000Z", [], counts)
        jobs.release_slot(job)


def row(source_id, status, **more):
    return Row(
        key=ResourceKey("journey", source_id),
        title=f"Title of {source_id}",
        status=status,
        phase=Phase.CREATE,
        action="create",
        batch=1,
        updated_at="2026-03-01T08:00:00.000Z",
        **more,
    )


def test_creates_a_job_and_starts_it_with_ids_only(hub, started):
    status, job, _ = create(hub)

    assert (status, job["status"], job["direction"]) == (201, "pending", "push")
    assert started == [(job["id"], {"org_id": SOURCE, "job_id": job["id"]})]


def test_keeps_both_tokens_as_ciphertext_and_nowhere_else(hub):
    _, job, _ = create(hub)

    _, credentials, _ = sync_api._outside()
    assert credentials.get(job["id"], "source") == SOURCE_TOKEN
    assert credentials.get(job["id"], "target") == TARGET_TOKEN
    stored = repr(
        [
            boto3.client("dynamodb").scan(TableName=table)["Items"]
            for table in ("SyncJobsTable", "SyncResourcesTable", "CredentialsTable", "IndexTable")
        ]
    )
    for token in (SOURCE_TOKEN, TARGET_TOKEN):
        assert token not in stored
        assert token not in json.dumps(job)


def test_a_repeat_with_the_same_key_answers_the_stored_job(hub):
    _, first, _ = create(hub, key="once")
    status, second, _ = create(hub, key="once")

    assert (status, second) == (201, first)


def test_another_body_under_the_same_key_is_a_conflict(hub):
    create(hub, key="once")

    status, answer, _ = create(hub, key="once", dry_run=True)

    assert status == 409
    assert "Idempotency-Key" in answer["error"]


@pytest.mark.parametrize(
    ("changes", "status", "named"),
    [
        ({"resources": []}, 400, "resources"),
        ({"resources": [{"type": "unknown", "id": "1"}]}, 400, "resources[0].type"),
        ({"resources": [{"type": "journey"}]}, 400, "resources[0].id"),
        ({"resources": [{"type": "journey", "id": "x" * 300}]}, 400, "resources[0].id"),
        ({"resources": [{"type": "journey", "id": "x"}] * 1001}, 400, "resources"),
        ({"name": "n" * 201}, 400, "name"),
        ({"dry_run": "yes"}, 400, "dry_run"),
        ({"match": "guess"}, 400, "match"),
        ({"activation": "both"}, 400, "activation"),
        ({"target_auth_token": None}, 400, "target_auth_token"),
        ({"target_auth_token": "x" * 20_000}, 400, "target_auth_token"),
        ({"target_org_id": SOURCE}, 400, "target_org_id"),
        ({"source_org_id": "org-c"}, 403, "source_org_id"),
        ({"target_auth_token": SOURCE_TOKEN}, 403, "target_auth_token"),
        ({"target_auth_token": "no-token"}, 403, "target_auth_token"),
    ],
)
def test_refuses_a_wrong_request_and_names_the_field(hub, started, changes, status, named):
    answered, answer, _ = create(hub, **changes)

    assert answered == status
    assert named in answer["error"]
    assert started == []


def test_a_pull_needs_a_token_for_the_source_and_uses_it(hub):
    pull = {"source_org_id": TARGET, "target_org_id": SOURCE, "target_auth_token": SOURCE_TOKEN}

    status, answer, _ = create(hub, **pull)
    assert (status, "source_auth_token" in answer["error"]) == (400, True)
    status, job, _ = create(hub, **pull, source_auth_token=TARGET_TOKEN)

    assert (status, job["direction"]) == (201, "pull")
    assert sync_api._outside()[1].get(job["id"], "source") == TARGET_TOKEN


def test_a_fourth_running_job_into_the_same_target_has_to_wait(hub):
    jobs = [create(hub)[1] for _ in range(3)]

    status, _, headers = create(hub)
    assert status == 429
    assert int(headers["Retry-After"]) > 0

    hub(cancel_sync_job, "cancel_sync_job", "cancelSyncJob", pathParameters={"id": jobs[0]["id"]})
    assert create(hub)[0] == 429, "its steps may still run"
    end(jobs[0]["id"], JobStatus.CANCELLED)
    assert create(hub)[0] == 201


def test_shows_where_a_job_is_with_its_events_and_errors(hub):
    _, job, _ = create(hub)
    refused = RowError("DOWNSTREAM_REJECTED", "The journey API refused it.")
    followed = RowError("DEPENDENCY_FAILED", "It needs b.", ResourceKey("journey", "b"))
    rows = [row("a", RowStatus.FAILED, error=followed), row("b", RowStatus.FAILED, error=refused)]
    end(job["id"], status=None, rows=[*rows, row("c", RowStatus.PENDING, left=(Work.WRITE,))])
    jobs = sync_jobs()
    event = Event(ts="2026-03-01T08:00:00.000Z", status="failed", key=ResourceKey("journey", "b"), error="why")
    jobs.put_events(SOURCE, job["id"], [Event(**{**_fields(event), "seq": number}) for number in range(1, 13)])

    status, answer, _ = get(hub, job["id"])

    assert status == 200
    assert answer["counts"]["total"] == 3
    assert answer["counts"]["failed"] == 2
    assert [entry["source_id"] for entry in answer["errors_sample"]] == ["b", "a"]
    assert [one["seq"] for one in answer["events"]] == list(range(12, 2, -1))


def _fields(event):
    return {name: getattr(event, name) for name in event.__slots__}


@pytest.mark.parametrize(
    ("handler", "name", "operation_id"),
    [
        (get_sync_job, "get_sync_job", "getSyncJob"),
        (cancel_sync_job, "cancel_sync_job", "cancelSyncJob"),
        (retry_sync_job, "retry_sync_job", "retrySyncJob"),
        (list_sync_job_resources, "list_sync_job_resources", "listSyncJobResources"),
    ],
)
def test_a_job_of_another_organisation_is_not_found_like_one_that_does_not_exist(hub, handler, name, operation_id):
    _, job, _ = create(hub)

    foreign = hub(handler, name, operation_id, org_id="org-c", pathParameters={"id": job["id"]})[:2]
    missing = hub(handler, name, operation_id, pathParameters={"id": "nothing"})[:2]

    assert foreign[0] == missing[0] == 404
    assert foreign[1]["error"].replace(job["id"], "") == missing[1]["error"].replace("nothing", "")


def test_lists_jobs_newest_first_page_by_page_and_by_status(hub):
    ids = []
    for _ in range(3):
        ids.append(create(hub)[1]["id"])
        end(ids[-1], JobStatus.SUCCEEDED)
    running = create(hub)[1]["id"]

    seen, query = [], {"size": "2"}
    while True:
        _, page, _ = hub(list_sync_jobs, "list_sync_jobs", "listSyncJobs", query=query)
        seen += [job["id"] for job in page["results"]]
        if "next_cursor" not in page:
            break
        query = {"size": "2", "cursor": page["next_cursor"]}
    _, pending, _ = hub(list_sync_jobs, "list_sync_jobs", "listSyncJobs", query={"status": "pending"})

    assert sorted(seen) == sorted([*ids, running])
    assert [job["id"] for job in pending["results"]] == [running]


def test_lists_resources_by_status_and_refuses_a_cursor_of_another_query(hub):
    _, job, _ = create(hub)
    end(job["id"], rows=[row(f"s{number}", RowStatus.SKIPPED) for number in range(5)] + [row("f", RowStatus.FAILED)])

    def page(**query):
        changes = {"pathParameters": {"id": job["id"]}, "query": {"size": "2", **query}}
        return hub(list_sync_job_resources, "list_sync_job_resources", "listSyncJobResources", **changes)

    _, first, _ = page(status="skipped")
    _, second, _ = page(status="skipped", cursor=first["next_cursor"])
    assert [one["source_id"] for one in [*first["results"], *second["results"]]] == ["s0", "s1", "s2", "s3"]
    assert [one["source_id"] for one in page(status="failed")[1]["results"]] == ["f"]
    assert page(status="failed", cursor=first["next_cursor"])[0] == 400
    assert page(status="nonsense")[0] == 400


def test_cancels_a_running_job_once(hub):
    _, job, _ = create(hub)
    path = {"pathParameters": {"id": job["id"]}}

    status, answer, _ = hub(cancel_sync_job, "cancel_sync_job", "cancelSyncJob", **path)
    again, refused, _ = hub(cancel_sync_job, "cancel_sync_job", "cancelSyncJob", **path)

    assert (status, answer["status"], again) == (200, "cancelled", 409)
    assert "finished_at" in answer
    assert "cancelled" in refused["error"]


def test_somebody_elses_job_is_cancelled_by_who_may_do_everything_alone(hub, own):
    _, job, _ = create(hub)
    asked = {"pathParameters": {"id": job["id"]}, "user_id": "user-2"}

    own.grants = [{"action": "*:view"}, {"action": "journey:*"}]
    status, answer, _ = hub(cancel_sync_job, "cancel_sync_job", "cancelSyncJob", **asked)
    assert (status, answer["error"]) == (
        403,
        "Cancelling the job needs whoever created it, or a user who may do everything.",
    )
    assert get(hub, job["id"])[1]["status"] == "pending"

    own.grants = [{"action": "*", "resource": "*"}]
    assert hub(cancel_sync_job, "cancel_sync_job", "cancelSyncJob", **asked)[0] == 200


def retry(hub, job_id, request=None, **more):
    changes = {"pathParameters": {"id": job_id}, "body": request if request is not None else {}, **more}
    return hub(retry_sync_job, "retry_sync_job", "retrySyncJob", **changes)


def test_retries_what_is_unresolved_as_a_new_job_with_the_kept_credentials(hub, started):
    _, job, _ = create(hub)
    end(job["id"], rows=[row("done", RowStatus.CREATED), row("bad", RowStatus.FAILED), row("late", RowStatus.PENDING)])

    status, second, _ = retry(hub, job["id"])

    payloads, credentials, _ = sync_api._outside()
    request = payloads.get(f"jobs/{SOURCE}/{second['id']}/request.json.gz")
    assert (status, second["retry_of"]) == (201, job["id"])
    assert [entry["id"] for entry in request["resources"]] == ["bad", "late"]
    assert request["finished"] == [["journey", "done"]]
    assert credentials.get(second["id"], "target") == TARGET_TOKEN
    assert started[-1][0] == second["id"]


def test_a_retry_with_overrides_brings_the_token_that_writes(hub):
    _, job, _ = create(hub)
    end(job["id"], rows=[row("bad", RowStatus.FAILED)])
    overrides = {"payload_overrides": {"journey:bad": {"name": "Repaired"}}}

    status, answer, _ = retry(hub, job["id"], overrides)
    assert (status, answer["error"]) == (
        409,
        "target_auth_token: is needed, since the kept one serves no retry with payload_overrides.",
    )
    status, second, _ = retry(hub, job["id"], {**overrides, "target_auth_token": TARGET_TOKEN})

    request = sync_api._outside()[0].get(f"jobs/{SOURCE}/{second['id']}/request.json.gz")
    assert (status, request["payload_overrides"]) == (201, overrides["payload_overrides"])


def test_a_kept_token_serves_only_the_user_who_brought_it_also_down_a_chain_of_retries(hub):
    _, first, _ = create(hub)
    end(first["id"], rows=[row("bad", RowStatus.FAILED)])
    status, answer, _ = retry(hub, first["id"], user_id="user-2")
    assert (status, answer["error"]) == (
        409,
        "target_auth_token: is needed, since the kept one serves only the user who brought it.",
    )

    status, second, _ = retry(hub, first["id"], {"target_auth_token": TARGET_TOKEN}, user_id="user-2")
    assert status == 201
    end(second["id"], rows=[row("bad", RowStatus.FAILED)])

    assert retry(hub, second["id"])[0] == 409
    assert retry(hub, second["id"], user_id="user-2")[0] == 201


def test_no_chain_of_retries_keeps_a_token_beyond_its_first_end(hub):
    _, first, _ = create(hub)
    end(first["id"], rows=[row("bad", RowStatus.FAILED)])
    credentials = sync_api._outside()[1]
    ends = int(time.time()) + 60
    credentials.limit(first["id"], ends)

    _, second, _ = retry(hub, first["id"])

    assert credentials.get_kept(second["id"], "target") == (TARGET_TOKEN, ends)


def test_a_pulls_kept_token_of_the_source_is_as_personal(hub):
    _, job, _ = create(
        hub,
        source_org_id=TARGET,
        target_org_id=SOURCE,
        target_auth_token=SOURCE_TOKEN,
        source_auth_token=TARGET_TOKEN,
    )
    end(job["id"], rows=[row("bad", RowStatus.FAILED)])

    status, answer, _ = retry(hub, job["id"], user_id="user-2")

    assert (status, answer["error"].partition(":")[0]) == (409, "source_auth_token")
    assert retry(hub, job["id"])[0] == 201


@pytest.mark.parametrize("key", [None, "once"])
def test_what_could_not_be_started_keeps_no_token_and_no_place(hub, monkeypatch, tables, key):
    monkeypatch.setattr(step_functions.SyncExecutions, "start", _refuse)
    assert create(hub, key)[0] == 503

    kept = [*tables["CredentialsTable"].scan()["Items"], *tables["SyncJobsTable"].scan()["Items"]]
    assert [item for item in kept if "job_id" in item or "ciphertext" in item] == []
    assert [item["status"] for item in kept if "status" in item] == ["failed"]


def _refuse(*_):
    raise StorageThrottledError("busy", 1)


def test_a_key_that_failed_once_can_be_used_again(hub, monkeypatch, started):
    with monkeypatch.context() as now:
        now.setattr(step_functions.SyncExecutions, "start", _refuse)
        assert create(hub, "once")[0] == 503

    assert create(hub, "once", dry_run=True)[0] == 409
    status, job, _ = create(hub, "once")

    assert (status, job["status"], started) == (201, "pending", [(job["id"], {"org_id": SOURCE, "job_id": job["id"]})])
    assert sync_api._outside()[1].get(job["id"], "target") == TARGET_TOKEN


def test_a_start_whose_answer_was_lost_leaves_the_job_that_runs(hub, monkeypatch):
    def start(self, job_id, _input):
        sync_jobs().start_job(SOURCE, job_id, "execution")
        _refuse()

    monkeypatch.setattr(step_functions.SyncExecutions, "start", start)
    assert create(hub, "once")[0] == 503

    job_id = create(hub, "once")[1]["id"]
    assert header(job_id).status is JobStatus.IN_PROGRESS
    assert sync_api._outside()[1].get(job_id, "target") == TARGET_TOKEN


def test_nobody_repeats_another_users_request(hub):
    assert create(hub, "once")[0] == 201

    status, answer, _ = create(hub, "once", user_id="user-2")

    assert (status, answer["error"]) == (409, "Idempotency-Key: it was used for another request.")


def header(job_id):
    return sync_jobs().get_job(SOURCE, job_id)


def test_a_chain_of_retries_knows_its_first_job(hub):
    _, first, _ = create(hub)
    end(first["id"], rows=[row("bad", RowStatus.FAILED)])
    _, second, _ = retry(hub, first["id"])
    end(second["id"], rows=[row("bad", RowStatus.FAILED)])
    _, third, _ = retry(hub, second["id"])

    assert [header(job["id"]).root_id for job in (first, second, third)] == [first["id"]] * 3


@pytest.mark.parametrize(("asked", "activation"), [({}, "keep"), ({"activation": "follow"}, "follow")])
def test_a_job_says_whether_active_flags_follow_and_a_retry_inherits_it(hub, asked, activation):
    _, first, _ = create(hub, match="lineage_only", include_dependencies=False, **asked)
    end(first["id"], rows=[row("bad", RowStatus.FAILED)])
    _, second, _ = retry(hub, first["id"])

    for job in (first, second, get(hub, second["id"])[1]):
        assert (job["activation"], job["match"], job["include_dependencies"]) == (activation, "lineage_only", False)


def test_refuses_to_retry_what_runs_has_nothing_left_or_lost_its_credentials(hub):
    _, job, _ = create(hub)
    assert retry(hub, job["id"])[0] == 409

    end(job["id"], rows=[row("bad", RowStatus.FAILED)])
    sync_api._outside()[1].delete(job["id"])
    status, answer, _ = retry(hub, job["id"])
    assert (status, "target_auth_token" in answer["error"]) == (409, True)
    assert retry(hub, job["id"], {"target_auth_token": TARGET_TOKEN})[0] == 201

    _, clean, _ = create(hub)
    end(clean["id"], JobStatus.SUCCEEDED, rows=[row("done", RowStatus.CREATED)])
    assert retry(hub, clean["id"])[0] == 409


def test_refuses_an_override_outside_of_what_is_retried(hub):
    _, job, _ = create(hub)
    end(job["id"], rows=[row("done", RowStatus.CREATED), row("bad", RowStatus.FAILED)])

    status, answer, _ = retry(hub, job["id"], {"payload_overrides": {"journey:done": {"name": "x"}}})

    assert (status, "journey:done" in answer["error"]) == (400, True)
