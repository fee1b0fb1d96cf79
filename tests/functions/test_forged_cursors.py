"""Whoever forges a cursor, of the right operation, query and organisation, is told so: no answer is a 500."""

from __future__ import annotations

import base64
import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from shared.adapters.dynamodb import cursor
from shared.adapters.dynamodb.job_store import JobStore
from shared.domain.job import Job, JobStatus
from tests.events import load_event

DEFINITION = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
PAGED = [
    operation["operationId"]
    for path in DEFINITION["paths"].values()
    for operation in path.values()
    if any(
        parameter.get("name") == "cursor" or parameter.get("$ref") == "#/components/parameters/cursor"
        for parameter in operation.get("parameters", ())
    )
]
FORGED = [
    [], [""], ["k", "k", "k"], ["k"] * 50, "k", {"pk": "k"}, [1, 2], [None], ["k", None], ["k", ["k"]], ["\ud800", "k"],
    ["x" * 3000], ["x" * 3000, "k"],
]  # fmt: skip
# Of the right number of keys it may be a place where nothing stands: an empty page, or no such config.
PLACES = [["k"], ["k", "k"], ["\x00"], ["\x00", "\x00"], ["x" * 2000], ["x" * 2000, "x" * 2000]]


JOB = Job(
    id="job-1", org_id="org-a", user_id="user-1", name="", status=JobStatus.PENDING, direction="push",
    source_org_id="org-a", target_org_id="org-b", dry_run=False, include_dependencies=True,
    match="heuristic", started_at="",
)  # fmt: skip


def forged(operation, last):
    text = json.dumps([1, operation, "", "", last])
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def snake_case(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize("status", [None, "failed"])
@pytest.mark.parametrize("operation", PAGED)
def test_a_forged_cursor_is_a_bad_request(operation, status, storage, lambda_context, monkeypatch):
    monkeypatch.setattr(cursor, "_hash", lambda value: "")
    monkeypatch.setenv("ENVIRONMENT", "local")
    monkeypatch.setenv("DOWNSTREAM_URL_TEMPLATE", "http://127.0.0.1:9/{host}")
    handler = importlib.import_module(f"functions.api.{snake_case(operation)}.handler").lambda_handler
    monkeypatch.setattr(JobStore, "get_job", lambda store, org_id, job_id: replace(JOB, planned=True))
    answers = {}
    # What a config depends on is read live, behind the cursor: nothing is stored under its keys.
    for last in FORGED if operation == "getConfigDependencies" else (*FORGED, *PLACES):
        query = {"cursor": forged(operation, last)} | ({"status": status} if status else {})
        event = load_event(f"api/{snake_case(operation)}", query=query)
        answers[json.dumps(last)] = handler(event, lambda_context)["statusCode"]
    assert {answers[json.dumps(last)] for last in FORGED} == {400}
    assert set(answers.values()) <= {200, 400, 404}


def test_every_paged_operation_is_here():
    assert set(PAGED) >= {"listConfigs", "listSyncJobResources"}
