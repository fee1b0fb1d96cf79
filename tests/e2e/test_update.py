"""A second, changed version is deployed over the first: data, jobs and lineage stay; one that fails is rolled back."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from sandbox.control import SandboxControl
from sandbox.hub_client import Json
from sandbox.stack import deployment
from sandbox.stack.processes import StackError
from sandbox.stack.settings import StackSettings, read_settings
from shared.catalog.registry import RESOURCE_TYPES
from tests.e2e.conftest import Pair

FUNCTION = "GetIndexFunction"
SECOND_ORIGIN, THIRD_ORIGIN = "https://second.example", "https://third.example"

SyncResult = tuple[Json, list[Json], Json]


@dataclass(frozen=True, slots=True)
class Kept:
    """Everything that the stack holds of one job: items by table, objects of the bucket with their hashes."""

    items: dict[str, list[str]]
    objects: dict[str, str]


@pytest.fixture(scope="module")
def settings() -> StackSettings:
    return read_settings()


@pytest.fixture(scope="module")
def first_version(settings: StackSettings) -> Iterator[dict[str, Any]]:
    """The deployed template, its code in the bucket already; the rest of the suite goes on with it."""
    assert deployment.is_current(settings), "the local stack is not what the checkout holds: make stack"
    fingerprint = deployment.compute_fingerprint(settings)
    cloudformation = deployment.client(settings, "cloudformation")
    body = cloudformation.get_template(StackName=deployment.stack_name(settings), TemplateStage="Original")
    text = body["TemplateBody"] if isinstance(body["TemplateBody"], str) else json.dumps(body["TemplateBody"])
    deployment.forget(settings)
    yield yaml_parse(text)
    deploy(settings, yaml_parse(text))
    deployment.remember(settings, fingerprint)


def deploy(settings: StackSettings, template: dict[str, Any], **parameters: str) -> None:
    """Deploy a template as `sam deploy` does on AWS: one that fails is rolled back."""
    file = settings.local / "deployed.json"
    file.write_text(json.dumps(template))
    deployment.deploy_built(settings, "--template-file", str(file), "--on-failure", "ROLLBACK", **parameters)


@pytest.fixture(scope="module")
def second_version(settings: StackSettings, first_version: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The template with other code, memory and environment of one function."""
    template = copy.deepcopy(first_version)
    function = template["Resources"][FUNCTION]["Properties"]
    code = settings.local / "second_version"
    shutil.copytree(settings.root / ".aws-sam" / "build" / FUNCTION, code, dirs_exist_ok=True)
    (code / "second.txt").write_text("Code that is not the first version's.\n")
    function["CodeUri"] = code.name
    function["MemorySize"] = 1024
    function["Environment"] = {"Variables": {"ALLOWED_ORIGINS": SECOND_ORIGIN}}
    template["Description"] += ", second version"
    yield template
    shutil.rmtree(code)


def keep(stack: Json, settings: StackSettings, pair: Pair, job_id: str) -> Kept:
    scan = deployment.client(settings, "dynamodb").get_paginator("scan")
    prefixes = {
        "SyncJobsTable": f"#JOB#{job_id}",
        "SyncResourcesTable": f"#JOB#{job_id}",
        "IndexTable": f"#SYNC#{job_id}",
        "LineageTable": f"ORG#{pair.target_id}",
    }
    items = {
        table: sorted(
            str(sorted(item.items()))
            for page in scan.paginate(TableName=stack["tables"][table])
            for item in page["Items"]
            if item["pk"]["S"].endswith(end)
        )
        for table, end in prefixes.items()
    }
    pages = deployment.client(settings, "s3").get_paginator("list_objects_v2")
    objects = {
        one["Key"]: one["ETag"]
        for page in pages.paginate(Bucket=stack["payload_bucket"])
        for one in page.get("Contents", [])
        if job_id in one["Key"]
    }
    assert all(items.values())
    assert objects
    return Kept(items, objects)


def is_allowed(pair: Pair, origin: str) -> bool:
    """Whether the live version of the function lets a browser origin read its answer; the first version lets all."""
    answer = pair.source.send("GET", "/v1/configs/index", headers={"Origin": origin})
    assert answer.status_code == 200
    return "Access-Control-Allow-Origin" in answer.headers


def status(settings: StackSettings) -> str:
    cloudformation: Any = deployment.client(settings, "cloudformation")
    (stack,) = cloudformation.describe_stacks(StackName=deployment.stack_name(settings))["Stacks"]
    return str(stack["StackStatus"])


def failed_resources(settings: StackSettings) -> set[str]:
    pages = deployment.client(settings, "cloudformation").get_paginator("describe_stack_events")
    return {
        event["LogicalResourceId"]
        for page in pages.paginate(StackName=deployment.stack_name(settings))
        for event in page["StackEvents"]
        if event["ResourceStatus"].endswith("_FAILED")
    }


@pytest.fixture(scope="module")
def updated(
    stack: Json, settings: StackSettings, pair: Pair, synced: SyncResult, second_version: dict[str, Any]
) -> tuple[Kept, Kept]:
    """What was there of a finished job before and after the second version was deployed over the first."""
    job_id = synced[2]["id"]
    before = keep(stack, settings, pair, job_id)
    deploy(settings, second_version, LogRetentionDays="7")
    return before, keep(stack, settings, pair, job_id)


def test_a_second_version_keeps_data_jobs_and_lineage(
    pair: Pair, synced: SyncResult, updated: tuple[Kept, Kept], settings: StackSettings
) -> None:
    before, after = updated
    assert status(settings) == "UPDATE_COMPLETE"
    assert after == before
    job_id = synced[2]["id"]
    assert pair.source.get(f"/v1/configs/sync-jobs/{job_id}")["counts"] == synced[2]["counts"]
    assert list(pair.source.pages(f"/v1/configs/sync-jobs/{job_id}/resources", size=100)) == synced[1]


def test_callers_reach_the_second_version(pair: Pair, updated: tuple[Kept, Kept], settings: StackSettings) -> None:
    assert (is_allowed(pair, SECOND_ORIGIN), is_allowed(pair, THIRD_ORIGIN)) == (True, False)
    name = deployment.list_resources(settings, "AWS::Lambda::Function")[FUNCTION]
    live = deployment.client(settings, "lambda").get_function_configuration(FunctionName=name, Qualifier="live")
    assert live["MemorySize"] == 1024
    groups = deployment.client(settings, "logs").describe_log_groups()["logGroups"]
    ours = set(deployment.list_physical_ids(settings, "AWS::Logs::LogGroup"))
    assert {group["retentionInDays"] for group in groups if group["logGroupName"] in ours} == {7}


def live_version(settings: StackSettings) -> str:
    name = deployment.list_resources(settings, "AWS::Lambda::Function")[FUNCTION]
    return str(deployment.client(settings, "lambda").get_alias(FunctionName=name, Name="live")["FunctionVersion"])


def test_the_version_that_callers_left_stays_where_only_the_release_changed(
    settings: StackSettings, updated: tuple[Kept, Kept], second_version: dict[str, Any]
) -> None:
    left = live_version(settings)
    deploy(settings, second_version, LogRetentionDays="7", Release="another")
    assert live_version(settings) != left
    name = deployment.list_resources(settings, "AWS::Lambda::Function")[FUNCTION]
    kept = deployment.client(settings, "lambda").get_function_configuration(FunctionName=name, Qualifier=left)
    assert kept["Environment"]["Variables"]["RELEASE"] != "another"


def test_a_sync_on_the_second_version_knows_the_lineage_of_the_first(
    pair: Pair, control: SandboxControl, updated: tuple[Kept, Kept]
) -> None:
    before = control.dump(RESOURCE_TYPES, pair.target_id)
    again = pair.source.run_job(pair.source.post("/v1/configs/sync-jobs", pair.request(name="after the update"))["id"])
    assert again["status"] == "succeeded"
    assert again["counts"]["skipped_unchanged"] == again["counts"]["total"] > 0
    assert control.dump(RESOURCE_TYPES, pair.target_id) == before


def test_a_version_that_cannot_be_deployed_is_rolled_back_and_leaves_the_one_before(
    stack: Json,
    settings: StackSettings,
    pair: Pair,
    synced: SyncResult,
    updated: tuple[Kept, Kept],
    second_version: dict[str, Any],
) -> None:
    template = copy.deepcopy(second_version)
    template["Resources"][FUNCTION]["Properties"]["Environment"] = {"Variables": {"ALLOWED_ORIGINS": THIRD_ORIGIN}}
    template["Resources"]["CannotBeMade"] = {
        "Type": "AWS::SSM::Parameter",
        "DependsOn": f"{FUNCTION}Aliaslive",
        "Properties": {"Type": "NoSuchType", "Value": "x"},
    }
    before = keep(stack, settings, pair, synced[2]["id"])
    with pytest.raises(StackError):
        deploy(settings, template, LogRetentionDays="7")
    assert status(settings) == "UPDATE_ROLLBACK_COMPLETE"
    assert "CannotBeMade" in failed_resources(settings)
    assert (is_allowed(pair, SECOND_ORIGIN), is_allowed(pair, THIRD_ORIGIN)) == (True, False)
    assert keep(stack, settings, pair, synced[2]["id"]) == before
