"""template.yaml as CloudFormation sees it, after the SAM transform."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.yamlhelper import yaml_parse

from shared.use_cases import build_index
from shared.use_cases.sweep_ended_runs import UNSTARTED_S
from tests.aws import template
from tests.transformed import LOOP, TEMPLATE, Resources, expand, transform

# CloudFormation ends at 500.
MOST_RESOURCES = 450

ROUTES = {
    ("get", "/v1/configs/types"): "ListConfigTypesFunction",
    ("get", "/v1/configs/{type}"): "ListConfigsFunction",
    ("get", "/v1/configs/{type}/{id}/dependencies"): "GetConfigDependenciesFunction",
    ("get", "/v1/configs/{type}/{id}/used_by"): "GetConfigUsedByFunction",
    ("get", "/v1/configs/index"): "GetIndexFunction",
    ("post", "/v1/configs/index:rebuild"): "RebuildIndexFunction",
    ("post", "/v1/configs/sync-jobs"): "CreateSyncJobFunction",
    ("get", "/v1/configs/sync-jobs"): "ListSyncJobsFunction",
    ("get", "/v1/configs/sync-jobs/{id}"): "GetSyncJobFunction",
    ("post", "/v1/configs/sync-jobs/{id}/retry"): "RetrySyncJobFunction",
    ("get", "/v1/configs/sync-jobs/{id}/resources"): "ListSyncJobResourcesFunction",
    ("post", "/v1/configs/sync-jobs/{id}/cancel"): "CancelSyncJobFunction",
    ("get", "/v1/configs/inventory"): "GetConfigInventoryFunction",
    ("post", "/v1/configs/compare"): "CompareConfigsFunction",
    ("post", "/v1/configs/compare/suggestions"): "SuggestMatchesFunction",
    ("post", "/v1/configs/lineage"): "ConfirmLineageFunction",
    ("delete", "/v1/configs/lineage"): "BreakLineageFunction",
    ("post", "/v1/configs/delete-jobs"): "CreateDeleteJobFunction",
    ("get", "/v1/configs/delete-jobs"): "ListDeleteJobsFunction",
    ("get", "/v1/configs/delete-jobs/{id}"): "GetDeleteJobFunction",
    ("get", "/v1/configs/delete-jobs/{id}/resources"): "ListDeleteJobResourcesFunction",
}
# The state machines, and the function that closes their jobs.
LAST_STEPS = {"SyncStateMachine": "FinishJobFunction", "DeleteStateMachine": "FinishDeletionFunction"}
# What the gateway answers itself, and the status that the contract wants for it.
ANSWERED_BY_THE_GATEWAY = {
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "EXPIRED_TOKEN": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "RESOURCE_NOT_FOUND": 404,
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "INTEGRATION_TIMEOUT": 504,
    "INTEGRATION_FAILURE": 504,
    "AUTHORIZER_FAILURE": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "API_CONFIGURATION_ERROR": 500,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
}
LOGGED = {
    "$context.requestId",
    "$context.extendedRequestId",
    "$context.requestTime",
    "$context.httpMethod",
    "$context.resourcePath",
    "$context.status",
    "$context.error.responseType",
    "$context.responseLength",
    "$context.responseLatency",
    "$context.integrationLatency",
    "$context.authorizer.org_id",
}


@pytest.fixture(scope="module")
def resources() -> Resources:
    return transform(DeployGradually="true")


@pytest.fixture(scope="module")
def at_once() -> Resources:
    return transform()


@pytest.fixture(scope="module")
def api(resources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return resources["HubApi"]["Properties"]["Body"]


@pytest.fixture(scope="module")
def stage(resources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (stage,) = (r["Properties"] for r in resources.values() if r["Type"] == "AWS::ApiGateway::Stage")
    return stage


def test_there_is_room_below_the_limit_of_resources(resources: dict[str, Any]) -> None:
    assert len(resources) < MOST_RESOURCES


def test_sam_and_the_linter_write_out_the_same_resources_from_the_loops() -> None:
    written = yaml_parse(TEMPLATE.read_text())
    by_sam = expand_language_extensions(written, parameter_values={}, enabled=True).expanded_template["Resources"]
    by_linter = expand()["Resources"]
    assert sum(name.startswith(LOOP) for name in written["Resources"]) == 6
    assert {name: one["Type"] for name, one in by_sam.items()} == {name: one["Type"] for name, one in by_linter.items()}


def operations(api: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_each_route_of_the_contract_reaches_its_own_function(api: dict[str, Any]) -> None:
    reached = {}
    for method, path, operation in operations(api):
        if method != "options":
            uri = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
            (reached[method, path],) = re.findall(r"\$\{(\w+)Aliaslive\}", uri)
    assert reached == ROUTES


def test_every_operation_needs_a_token_and_no_preflight_does(api: dict[str, Any]) -> None:
    for method, path, operation in operations(api):
        wanted = None if method == "options" else [{"TokenAuthorizer": []}]
        assert operation.get("security") == wanted, (method, path)


def test_the_authorizer_reads_the_bearer_token_and_is_cached_for_five_minutes(api: dict[str, Any]) -> None:
    scheme = api["components"]["securitySchemes"]["TokenAuthorizer"]
    assert (scheme["name"], scheme["in"]) == ("Authorization", "header")
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert (authorizer["type"], authorizer["authorizerResultTtlInSeconds"]) == ("token", 300)


def test_what_is_no_bearer_token_at_all_is_refused_without_a_call_of_the_authorizer(api: dict[str, Any]) -> None:
    scheme = api["components"]["securitySchemes"]["TokenAuthorizer"]
    shape = re.compile(scheme["x-amazon-apigateway-authorizer"]["identityValidationExpression"])
    for token in ("Bearer eyJh.eyJz.c2ln", "bearer eyJ-_9.e30.AAAA", "BEARER  a.b.c"):
        assert shape.fullmatch(token), token
    for token in ("", "Bearer", "Bearer x", "Bearer a.b", "Bearer a.b.c.d", "Basic a.b.c", "a.b.c", "Bearer a.b. c"):
        assert not shape.search(token), token


def test_every_deployment_reaches_the_stage(monkeypatch: pytest.MonkeyPatch, at_once: Resources) -> None:
    monkeypatch.setattr("samtranslator.model.apigateway.time.time", lambda: 4_102_444_800.0)
    later = transform()
    before, after = (set(of_type(one, "AWS::ApiGateway::Deployment")) for one in (at_once, later))
    assert len(after) == 1
    assert before != after
    assert later["HubApiStage"]["Properties"]["DeploymentId"] == {"Ref": after.pop()}


def test_a_stage_waits_for_the_role_that_writes_its_log(stage: dict[str, Any]) -> None:
    assert stage["Variables"]["LogsAs"]["Fn::If"][:2] == ["ConfiguresApiGatewayAccount", {"Ref": "ApiGatewayAccount"}]


def test_nothing_depends_on_a_resource_that_its_condition_may_leave_out(resources: Resources) -> None:
    for name, resource in resources.items():
        depends = resource.get("DependsOn", [])
        for other in [depends] if isinstance(depends, str) else depends:
            assert resources[other].get("Condition") in (None, resource.get("Condition")), name


def test_every_path_answers_a_browsers_preflight(api: dict[str, Any]) -> None:
    for path, methods in api["paths"].items():
        (answer,) = methods["options"]["x-amazon-apigateway-integration"]["responses"].values()
        headers = {name.rpartition(".")[2]: value for name, value in answer["responseParameters"].items()}
        assert headers["Access-Control-Allow-Origin"] == {"Fn::Sub": "'${AllowedOrigins}'"}, path
        assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(
            headers["Access-Control-Allow-Headers"].strip("'").split(",")
        )
        allowed = set(headers["Access-Control-Allow-Methods"].strip("'").lower().split(","))
        assert {method for method in methods if method != "options"} <= allowed


@pytest.mark.parametrize(("kind", "status"), ANSWERED_BY_THE_GATEWAY.items())
def test_the_gateways_own_answers_have_the_contracts_shape(api: dict[str, Any], kind: str, status: int) -> None:
    response = api["x-amazon-apigateway-gateway-responses"][kind]
    assert int(response["statusCode"]) == status
    body = json.loads(response["responseTemplates"]["application/json"])
    assert set(body) == {"status", "error"}
    assert body["status"] == status
    assert body["error"]
    assert response["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == {
        "Fn::Sub": "'${AllowedOrigins}'"
    }


def test_payloads_are_never_traced_and_every_method_is_throttled(stage: dict[str, Any]) -> None:
    (settings,) = stage["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["DataTraceEnabled"] is False
    assert settings["LoggingLevel"] == "OFF"
    assert settings["ThrottlingRateLimit"] == {"Ref": "ThrottlingRateLimit"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ThrottlingBurstLimit"}


def test_the_access_log_has_named_fields_only(stage: dict[str, Any]) -> None:
    line = json.loads(stage["AccessLogSetting"]["Format"])
    assert set(line.values()) == LOGGED


@pytest.mark.parametrize("machine", LAST_STEPS)
def test_a_state_machine_logs_no_execution_data(resources: dict[str, Any], machine: str) -> None:
    logging = resources[machine]["Properties"]["LoggingConfiguration"]
    assert logging["IncludeExecutionData"] is False
    assert logging["Level"] in {"ALL", "ERROR"}
    assert resources[machine]["Properties"]["StateMachineType"] == "STANDARD"


def test_an_execution_that_never_reached_its_end_is_finished_by_a_rule(resources: dict[str, Any]) -> None:
    finished_by = {}
    rules = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::Events::Rule"]
    for rule in (rule for rule in rules if "EventPattern" in rule):
        detail, (target,) = rule["EventPattern"]["detail"], rule["Targets"]
        assert detail["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
        finished_by[detail["stateMachineArn"][0]["Ref"]] = target["Arn"]["Ref"].removesuffix("Aliaslive")
    assert finished_by == LAST_STEPS


def test_what_a_rule_could_not_hand_over_stands_in_a_queue(resources: dict[str, Any]) -> None:
    rules = [r["Properties"] for r in of_type(resources, "AWS::Events::Rule").values()]
    rules = [rule for rule in rules if "EventPattern" in rule]
    assert len(rules) == 2
    for rule in rules:
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["LostEndsQueue", "Arn"]}}


def test_whatever_a_rule_or_a_schedule_invokes_has_somewhere_to_say_that_it_failed(resources: dict[str, Any]) -> None:
    rules = [r["Properties"] for r in resources.values() if r["Type"] == "AWS::Events::Rule"]
    invoked = {target["Arn"]["Ref"].removesuffix("Aliaslive") for rule in rules for target in rule["Targets"]}
    destinations = {
        config["Properties"]["FunctionName"]["Ref"]: config["Properties"]["DestinationConfig"]["OnFailure"]
        for config in of_type(resources, "AWS::Lambda::EventInvokeConfig").values()
    }
    assert len(invoked) == 4
    for name in invoked:
        assert destinations[name] == {"Destination": {"Fn::GetAtt": ["LostEndsQueue", "Arn"]}}, name


def test_health_is_measured_within_every_period_of_the_alarms_on_it(resources: dict[str, Any]) -> None:
    rules = (r["Properties"] for r in resources.values() if "ScheduleExpression" in r.get("Properties", {}))
    schedules = {rule["Targets"][0]["Arn"]["Ref"]: rule["ScheduleExpression"] for rule in rules}
    assert schedules == {
        "MeasureHealthFunctionAliaslive": "rate(5 minutes)",
        "SweepEndedRunsFunctionAliaslive": "rate(2 minutes)",
    }
    assert resources["StuckSyncJobAlarm"]["Properties"]["Period"] == 300


def test_what_has_ended_is_closed_within_twenty_minutes_even_where_nobody_began() -> None:
    every_s, its_own_s = 120, 28
    longest_build_s = template()["Parameters"]["BuildIndexTimeout"]["MaxValue"]
    # A build that waits in Lambda's queue has its lease until it is discarded there.
    assert max(UNSTARTED_S, longest_build_s + build_index._LEASE_MARGIN_S) + every_s + its_own_s <= 20 * 60


def test_only_reviewed_managed_policies_of_aws_are_attached(resources: dict[str, Any]) -> None:
    attached = re.findall(r"iam::aws:policy/([\w/-]+)", json.dumps(resources))
    assert set(attached) == {
        "service-role/AWSLambdaBasicExecutionRole",
        "service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        "service-role/AWSCodeDeployRoleForLambda",
        "AWSXRayDaemonWriteAccess",
        "AWSXrayWriteOnlyAccess",
    }


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


CALLED = re.compile(r'"Ref": "(\w+Function)(Aliaslive)?"|"Fn::GetAtt": \["(\w+Function)", "Arn"\]')


def test_every_function_is_called_by_the_alias_of_a_published_version(
    resources: Resources, api: dict[str, Any]
) -> None:
    aliases = {
        alias["Properties"]["FunctionName"]["Ref"] for alias in of_type(resources, "AWS::Lambda::Alias").values()
    }
    assert aliases == set(of_type(resources, "AWS::Lambda::Function"))
    callers = {
        name: resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] in {"AWS::StepFunctions::StateMachine", "AWS::Events::Rule", "AWS::IAM::ManagedPolicy"}
        or resource["Type"] in {"AWS::IAM::Role", "AWS::Lambda::Function"}
    }
    called = [(name, found) for name, one in callers.items() for found in CALLED.findall(json.dumps(one))]
    assert {function for _, (function, _, _) in called} >= {"BuildIndexFunction", "FinishJobFunction"}
    assert [(name, found) for name, found in called if not found[1]] == []
    authorizer = api["components"]["securitySchemes"]["TokenAuthorizer"]["x-amazon-apigateway-authorizer"]
    assert "AuthorizerFunctionAliaslive" in json.dumps(authorizer["authorizerUri"])


def test_traffic_shifts_to_a_new_version_until_an_alarm_says_stop(resources: Resources) -> None:
    groups = of_type(resources, "AWS::CodeDeploy::DeploymentGroup")
    aliases = of_type(resources, "AWS::Lambda::Alias")
    for name in (f"{function}Aliaslive" for function in {*ROUTES.values(), "AuthorizerFunction"}):
        alias = aliases.pop(name)
        group = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]["Ref"]
        properties = groups.pop(group)["Properties"]
        assert [alarm["Name"]["Ref"] for alarm in properties["AlarmConfiguration"]["Alarms"]] == [
            "DeploymentErrorsAlarm",
            "LatencyAlarm",
        ], name
        assert "DEPLOYMENT_STOP_ON_ALARM" in properties["AutoRollbackConfiguration"]["Events"]
        assert properties["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "Canary10Percent5Minutes"}
    assert not groups
    assert not any("UpdatePolicy" in alias for alias in aliases.values()), "a step takes over at once"


def test_without_gradual_deployment_a_new_version_takes_over_at_once(resources: Resources, at_once: Resources) -> None:
    assert not any(resource["Type"].startswith("AWS::CodeDeploy") for resource in at_once.values())
    assert not any("UpdatePolicy" in resource for resource in at_once.values())
    assert set(of_type(at_once, "AWS::Lambda::Alias")) == set(of_type(resources, "AWS::Lambda::Alias"))


@pytest.mark.parametrize(
    "change",
    [
        ("ContentUri: shared/", "ContentUri: s3://bucket/other"),
        ("ContentUri: layers/dependencies/", "ContentUri: s3://bucket/other"),
        ("Tracing: Active", "Tracing: PassThrough"),
        ("POWERTOOLS_METRICS_NAMESPACE: ConfigurationHub", "POWERTOOLS_METRICS_NAMESPACE: Other"),
    ],
    ids=lambda change: change[0].partition(":")[0],
)
def test_a_change_that_all_functions_share_publishes_a_version_of_each(
    at_once: Resources, change: tuple[str, str]
) -> None:
    changed = transform(TEMPLATE.read_text().replace(*change))
    before, after = (of_type(one, "AWS::Lambda::Version") for one in (at_once, changed))
    assert len(after) == len(before) == len(of_type(at_once, "AWS::Lambda::Function"))
    assert not set(before) & set(after)


def test_a_changed_parameter_reaches_the_versions_by_the_release_that_goes_with_it(at_once: Resources) -> None:
    for version in of_type(at_once, "AWS::Lambda::Version").values():
        # The version that callers just left stays, whether code or only the release has changed.
        assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("Retain", "Retain")
        assert version["Properties"]["Description"] == {"Ref": "Release"}
        function = at_once[version["Properties"]["FunctionName"]["Ref"]]
        # A version of an unchanged function is refused, so the release changes the function, too.
        assert function["Properties"]["Environment"]["Variables"]["RELEASE"] == {"Ref": "Release"}
