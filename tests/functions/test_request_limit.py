"""What an organisation may ask in a minute holds for all operations together, and for no other organisation."""

from __future__ import annotations

import json
from functools import partial

import pytest

from functions.api.list_config_types import handler as list_config_types
from functions.api.list_sync_jobs import handler as list_sync_jobs
from shared.adapters.dynamodb.rate_budget import DynamoRateBudget
from shared.bootstrap import api
from tests.aws import forget_adapters
from tests.events import load_event
from tests.published import violations

ALLOWED = 300


@pytest.fixture
def limited(aws, tables, monkeypatch):
    for name in ("SYNC_JOBS", "SYNC_RESOURCES", "INDEX"):
        monkeypatch.setenv(f"{name}_TABLE", f"{name.title().replace('_', '')}Table")
    monkeypatch.setenv("REQUESTS_PER_ORGANISATION", str(ALLOWED))
    monkeypatch.setattr(api, "DynamoRateBudget", partial(DynamoRateBudget, clock=lambda: 1_800_000_000.0))
    forget_adapters()
    yield monkeypatch
    forget_adapters()


def ask(handler, operation, context, org_id="org-a"):
    event = load_event(f"api/{operation}")
    event["requestContext"]["authorizer"]["org_id"] = org_id
    answer = handler.lambda_handler(event, context)
    return answer, json.loads(answer["body"])


def test_the_last_request_of_the_minute_is_answered_and_the_next_one_refused(limited, lambda_context):
    for _ in range(ALLOWED - 1):
        api.admit("org-a")
    answer, _ = ask(list_sync_jobs, "list_sync_jobs", lambda_context)
    assert answer["statusCode"] == 200

    answer, body = ask(list_sync_jobs, "list_sync_jobs", lambda_context)
    assert answer["statusCode"] == 429
    assert violations("listSyncJobs", 429, body) == []
    assert 1 <= int(answer["headers"]["Retry-After"]) <= 60
    assert "300 times a minute" in body["error"]


def test_all_functions_share_the_limit_and_organisations_do_not(limited, lambda_context):
    for _ in range(ALLOWED):
        api.admit("org-a")
    # Another function knows nothing of what this one has counted.
    forget_adapters()
    assert ask(list_config_types, "list_config_types", lambda_context)[0]["statusCode"] == 429
    assert ask(list_config_types, "list_config_types", lambda_context, "org-b")[0]["statusCode"] == 200


def test_a_block_is_taken_from_the_table_once_for_many_requests(limited, tables):
    api.admit("org-a")
    (bucket,) = tables["SyncJobsTable"].scan()["Items"]
    assert ALLOWED - float(bucket["request"]["tokens"]) == pytest.approx(ALLOWED / 100, abs=1)


def test_without_a_limit_nothing_is_counted(limited, tables):
    limited.setenv("REQUESTS_PER_ORGANISATION", "0")
    for _ in range(3):
        api.admit("org-a")
    assert tables["SyncJobsTable"].scan()["Items"] == []
