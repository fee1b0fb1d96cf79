"""Wrong input gets the contract's status, in the contract's shape, with a sentence that names what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from sandbox.hub_client import HubClient, Json
from tests.e2e.conftest import Pair
from tests.published import violations

JOBS = "/v1/configs/sync-jobs"


def _post(pair: Pair, **changes: Any) -> requests.Response:
    body = pair.request("dangling", **changes)
    return pair.source.send("POST", JOBS, json={name: value for name, value in body.items() if value is not None})


def _foreign_cursor(pair: Pair) -> requests.Response:
    cursor = pair.target.get("/v1/configs/schema", size=1)["next_cursor"]
    return pair.source.send("GET", "/v1/configs/schema", params={"size": 1, "cursor": cursor})


CASES: dict[str, tuple[str, int, str, Callable[[Pair], requests.Response]]] = {
    "unknown type": ("listConfigs", 400, "type", lambda p: p.source.send("GET", "/v1/configs/spaceship")),
    "bad size": (
        "listConfigs",
        400,
        "size",
        lambda p: p.source.send("GET", "/v1/configs/journey", params={"size": 101}),
    ),
    "foreign cursor": ("listConfigs", 400, "cursor", _foreign_cursor),
    "malformed JSON": (
        "createSyncJob",
        400,
        "JSON",
        lambda p: p.source.send("POST", JOBS, data="{", headers={"Content-Type": "application/json"}),
    ),
    "missing field": ("createSyncJob", 400, "target_org_id", lambda p: _post(p, target_org_id=None)),
    "wrong enum": ("createSyncJob", 400, "match", lambda p: _post(p, match="guess")),
    "wrong status filter": (
        "listSyncJobs",
        400,
        "status",
        lambda p: p.source.send("GET", JOBS, params={"status": "done"}),
    ),
    "too many resources": (
        "createSyncJob",
        400,
        "resources",
        lambda p: _post(p, resources=[{"type": "journey", "id": str(n)} for n in range(1001)]),
    ),
    "both organisations foreign": (
        "createSyncJob",
        403,
        "organi",
        lambda p: _post(p, source_org_id="1234", target_org_id="5678"),
    ),
    "token of the wrong organisation": (
        "createSyncJob",
        403,
        "target_auth_token",
        lambda p: _post(p, target_auth_token=p.source_token),
    ),
    "unknown job": ("getSyncJob", 404, "job", lambda p: p.source.send("GET", f"{JOBS}/1b4e28ba-2fa1-11d2-883f")),
    "path characters in an id": (
        "getConfigDependencies",
        404,
        "",
        lambda p: p.source.send("GET", "/v1/configs/journey/..%3F..%23%25%20x/dependencies"),
    ),
    "oversized body": ("createSyncJob", 413, "1 MB", lambda p: _post(p, name="x" * 1_100_000)),
    "source is target": (
        "createSyncJob",
        400,
        "another organisation",
        lambda p: _post(p, target_org_id=p.source_id, target_auth_token=p.source_token),
    ),
    "name too long": ("createSyncJob", 400, "name", lambda p: _post(p, name="n" * 201)),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_input_gets_the_contracts_error(pair: Pair, case: str) -> None:
    operation, status, named, send = CASES[case]
    answer = send(pair)
    assert answer.status_code == status, answer.text
    assert violations(operation, status, answer.json()) == []
    assert named in answer.json()["error"]
    for secret in (pair.source_token, pair.target_token):
        assert secret not in answer.text


def test_a_pull_without_the_sources_token_is_refused(pair: Pair) -> None:
    answer = pair.target.send("POST", JOBS, json=pair.request("dangling"))
    assert answer.status_code == 400
    assert "source_auth_token" in answer.json()["error"]


def test_browsers_get_their_preflight_without_a_token(stack: Json) -> None:
    answer = HubClient(stack["api_url"], None).send(
        "OPTIONS",
        "/v1/configs/types",
        headers={"Origin": "https://portal.epilot.cloud", "Access-Control-Request-Method": "GET"},
    )
    assert answer.status_code in (200, 204)
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()


def test_an_unknown_selected_resource_is_a_failed_row_and_no_failed_job_start(pair: Pair) -> None:
    missing = [{"type": "journey", "id": "no/such?journey#here"}]
    job = pair.source.run_job(pair.source.post(JOBS, pair.request(resources=missing))["id"])
    assert job["status"] == "failed"
    assert job["counts"]["failed"] == job["counts"]["total"] == 1
    assert job["errors_sample"][0]["source_id"] == "no/such?journey#here"
