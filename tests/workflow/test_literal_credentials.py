"""Credentials that stand in a payload as plain text are the source organisation's own."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from tests.fakes.sync_world import SyncWorld

WEBHOOK = ResourceKey("webhook", "0b5c3c1e-1111-4a63-9d3a-0000000000b1")
INTEGRATION = ResourceKey("integration", "0b5c3c1e-1111-4a63-9d3a-0000000000b2")
PAYLOADS: dict[ResourceKey, dict[str, Any]] = {
    WEBHOOK: {
        "id": WEBHOOK.id,
        "name": "ERP",
        "eventName": "Order",
        "auth": {
            "oauthConfig": {
                "clientId": "c",
                "customParameterList": [
                    {"type": "body", "key": "scope", "value": "read"},
                    {"type": "body", "key": "pin", "value": "LITERAL"},
                ],
            }
        },
        "payloadConfiguration": {
            "custom_headers": {"Content-Type": "text/plain", "X-Key": "LITERAL", "X-Env": "Bearer {{ env.key }}"}
        },
    },
    INTEGRATION: {
        "id": INTEGRATION.id,
        "name": "ERP",
        "connector_config": {
            "base_url": "https://erp.example",
            "auth": {"type": "api_key", "api_key": "LITERAL", "headers": {"Accept": "*/*", "X-Key": "LITERAL"}},
        },
        "use_cases": [
            {
                "id": "0b5c3c1e-1111-4a63-9d3a-0000000000b3",
                "slug": "files",
                "type": "file_proxy",
                "configuration": {
                    "auth": {"type": "oauth2", "token_url": "https://a.example", "client_secret": "LITERAL"},
                    "steps": [{"url": "https://a.example", "headers": {"Authorization": "Basic LITERAL"}}],
                },
            }
        ],
    },
}


@pytest.fixture
def world(aws: Any, tables: Any) -> SyncWorld:
    made = SyncWorld(aws.resource("dynamodb"), RESOURCE_TYPES)
    for key, payload in PAYLOADS.items():
        made.source.add(RESOURCE_TYPES[key.type], payload)
    return made


def run(world: SyncWorld, **more: Any) -> None:
    job = world.run(world.create_job(*PAYLOADS, **more))
    assert world.failures == []
    assert job.status is JobStatus.SUCCEEDED, job.errors_sample


def test_they_are_neither_copied_nor_stored(world: SyncWorld) -> None:
    run(world)

    tables = ("SyncJobsTable", "SyncResourcesTable", "LineageTable", "IndexTable", "MemoryTable")
    stored = [world.client.scan(TableName=table)["Items"] for table in tables]
    for place in (world.target.configs, stored, world.payloads.values):
        assert "LITERAL" not in repr(place)
    [webhook] = world.target.configs["webhook"].values()
    assert webhook["payloadConfiguration"]["custom_headers"] == {
        "Content-Type": "text/plain",
        "X-Env": "Bearer {{ env.key }}",
    }
    [parameter] = webhook["auth"]["oauthConfig"]["customParameterList"]
    assert parameter["key"] == "scope"
    writes = world.writes()
    run(world)
    assert world.writes() == writes


def test_those_that_somebody_entered_on_the_target_stay_there(world: SyncWorld) -> None:
    run(world)
    [webhook] = world.target.configs["webhook"].values()
    [integration] = world.target.configs["integration"].values()
    webhook["payloadConfiguration"]["custom_headers"]["X-Key"] = "ENTERED"
    webhook["auth"]["oauthConfig"]["customParameterList"].append({"type": "body", "key": "pin", "value": "ENTERED"})
    integration["connector_config"]["auth"]["api_key"] = "ENTERED"
    configuration = integration["use_cases"][0]["configuration"]
    configuration["auth"] = {"type": "oauth2", "token_url": "https://b.example", "client_secret": "ENTERED"}

    world.source.configs["webhook"][WEBHOOK.id]["eventName"] = "Other"
    world.source.configs["integration"][INTEGRATION.id]["description"] = "new"
    run(world)

    [webhook] = world.target.configs["webhook"].values()
    [integration] = world.target.configs["integration"].values()
    assert (webhook["eventName"], integration["description"]) == ("Other", "new")
    assert webhook["payloadConfiguration"]["custom_headers"]["X-Key"] == "ENTERED"
    assert webhook["auth"]["oauthConfig"]["customParameterList"][1]["value"] == "ENTERED"
    assert integration["connector_config"]["auth"]["api_key"] == "ENTERED"
    configuration = integration["use_cases"][0]["configuration"]
    assert configuration["auth"]["client_secret"] == "ENTERED"
    tables = ("SyncJobsTable", "SyncResourcesTable", "LineageTable", "IndexTable", "MemoryTable")
    stored = [world.client.scan(TableName=table)["Items"] for table in tables]
    assert "ENTERED" not in repr(stored) + repr(world.payloads.values)
