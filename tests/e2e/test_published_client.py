"""The published JavaScript client works against the running stack, and every answer is as published."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from sandbox.control import SandboxControl
from sandbox.hub_client import Json
from tests.e2e.conftest import make_pair
from tests.published import violations

SCRIPT = Path(__file__).parent / "client" / "call_every_operation.mjs"

#: All operations of the contract.
OPERATIONS = {
    "listConfigTypes",
    "listConfigs",
    "getConfigDependencies",
    "getConfigUsedBy",
    "getIndex",
    "rebuildIndex",
    "createSyncJob",
    "listSyncJobs",
    "getSyncJob",
    "retrySyncJob",
    "listSyncJobResources",
    "cancelSyncJob",
    "compareConfigs",
    "suggestMatches",
    "confirmLineage",
    "breakLineage",
    "getConfigInventory",
    "createDeleteJob",
    "listDeleteJobs",
    "getDeleteJob",
    "listDeleteJobResources",
}


def test_published_client_calls_every_operation(stack: Json, control: SandboxControl) -> None:
    # Of its own: what it pairs must not be paired by another test.
    pair = make_pair(stack, control, seed=12)
    # Dead references make a job that ends with failed rows: something to retry.
    given = {
        "api_url": stack["api_url"],
        "source": {"org_id": pair.source_id, "token": pair.source_token},
        "target": {"org_id": pair.target_id, "token": pair.target_token},
        "resources": pair.selections["dangling"],
        "deletable": [{"type": "tax", "id": "no-such-tax", "title": "Gone already"}],
    }
    done = subprocess.run(
        ["node", str(SCRIPT)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    assert {call["operation"] for call in calls} == OPERATIONS
    wrong = [text for call in calls for text in violations(call["operation"], call["status"], call["body"])]
    assert wrong == []
    statuses = [(call["operation"], call["status"]) for call in calls]
    assert ("createSyncJob", 201) in statuses
    assert ("retrySyncJob", 201) in statuses
    assert ("cancelSyncJob", 409) in statuses
    assert ("createDeleteJob", 201) in statuses
    assert ("createDeleteJob", 400) in statuses
    assert statuses.count(("getConfigDependencies", 404)) == 1
    assert [one for name, one in statuses if name == "compareConfigs"] == [200, 200, 403]
    assert [one for name, one in statuses if name == "confirmLineage"] == [201, 409]
    assert [one for name, one in statuses if name == "breakLineage"] == [200, 404]
    assert ("suggestMatches", 200) in statuses
    assert ("getConfigInventory", 200) in statuses
    assert statuses[-1] == ("getSyncJob", 404)
