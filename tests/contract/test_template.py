"""template.yaml with its loops written out: functions, folders, events, log groups, tables, permissions agree."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.credentials import ROLES, encryption_context
from shared.adapters.dynamodb.memory_store import BEFORE_LIFETIME_S, CONTENT_LIFETIME_S
from shared.domain.index_state import QUEUED_LEASE_S, QUEUED_S
from tests.aws import template

ROOT = Path(__file__).parents[2]
RESOURCES: dict[str, dict[str, Any]] = template()["Resources"]
# Without a resource of their own: a key's policy names only its key, log delivery of Step Functions knows none.
NEEDS_EVERY_RESOURCE = {"CredentialsKey", "SyncStateMachine", "DeleteStateMachine"}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
SHARED = template()["Globals"]["Function"]
TABLES = of_type("AWS::DynamoDB::Table")
ACCOUNT_WIDE = ("ApiGatewayAccount", "ApiGatewayLogRole")


def snake_case(logical_id: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", logical_id.removesuffix("Function")).lower()


def statements(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "Effect" in node:
            yield node
        for value in node.values():
            yield from statements(value)
    elif isinstance(node, list):
        for value in node:
            yield from statements(value)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_folder_handler_and_logical_id_agree(name: str) -> None:
    properties = FUNCTIONS[name]
    folder = Path(properties["CodeUri"])
    assert folder.parts[0] == "functions"
    assert folder.name == snake_case(name)
    assert properties["Handler"] == f"{'.'.join(folder.parts)}.handler.lambda_handler"
    assert (ROOT / folder / "handler.py").is_file()
    assert RESOURCES[name]["Metadata"] == {"BuildProperties": {"ParentPackageMode": "auto"}}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_a_sample_event(name: str) -> None:
    folder = Path(FUNCTIONS[name]["CodeUri"])
    assert (ROOT / "events" / folder.parts[1] / f"{folder.name}.json").is_file()


def test_every_handler_and_every_event_belongs_to_a_function() -> None:
    declared = {Path(properties["CodeUri"]).relative_to("functions") for properties in FUNCTIONS.values()}
    handlers = {path.parent.relative_to(ROOT / "functions") for path in ROOT.glob("functions/*/*/handler.py")}
    events = {path.relative_to(ROOT / "events").with_suffix("") for path in ROOT.glob("events/*/*.json")}
    assert handlers <= declared
    assert events <= declared


def test_functions_write_into_one_log_group() -> None:
    assert SHARED["LoggingConfig"] == {"LogGroup": {"Ref": "FunctionsLogGroup"}}
    assert [name for name, one in FUNCTIONS.items() if "LoggingConfig" in one] == []


def test_a_log_group_that_nobody_writes_into_any_more_stays_for_what_stands_in_it() -> None:
    written = {"FunctionsLogGroup", "SyncStateMachineLogGroup", "DeleteStateMachineLogGroup", "HubApiAccessLogGroup"}
    former = of_type("AWS::Logs::LogGroup").keys() - written
    assert len(former) == 40
    for name in former:
        policies = (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"])
        assert policies == ("RetainExceptOnCreate", "Retain"), name


@pytest.mark.parametrize("name", of_type("AWS::Logs::LogGroup"))
def test_log_group_has_a_retention(name: str) -> None:
    assert RESOURCES[name]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", TABLES)
def test_table_is_on_demand_encrypted_and_forgets_what_has_expired(name: str) -> None:
    table = TABLES[name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


@pytest.mark.parametrize("name", TABLES)
def test_table_can_be_recovered_unless_it_holds_credentials(name: str) -> None:
    recovery = TABLES[name].get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled", False)
    assert recovery is (name != "CredentialsTable")


@pytest.mark.parametrize("name", [*sorted(set(TABLES) - {"CredentialsTable"}), "PayloadBucket", *ACCOUNT_WIDE])
def test_what_jobs_leave_and_what_the_account_shares_outlive_the_stack_but_not_a_failed_first_deployment(
    name: str,
) -> None:
    policies = (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"])
    assert policies == ("RetainExceptOnCreate", "Retain")


def test_no_api_of_the_region_is_touched_unless_somebody_asks_for_it() -> None:
    assert template()["Parameters"]["ConfigureApiGatewayAccount"]["Default"] == "false"
    assert {RESOURCES[name]["Condition"] for name in ACCOUNT_WIDE} == {"ConfiguresApiGatewayAccount"}


def test_payloads_are_private_encrypted_and_forgotten_each_kind_in_its_time() -> None:
    bucket = RESOURCES["PayloadBucket"]["Properties"]
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    kept_for = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule}
    assert kept_for == {"jobs/": 7, "index/": 7, "memory/": 401, "before/": 31}
    # A day longer than the items of MemoryTable that name them.
    assert [CONTENT_LIFETIME_S, BEFORE_LIFETIME_S] == [400 * 24 * 3600, 30 * 24 * 3600]
    (policy,) = statements(RESOURCES["PayloadBucketPolicy"])
    assert policy["Effect"] == "Deny"
    assert policy["Condition"]["Bool"] == {"aws:SecureTransport": "false"}


def test_the_credentials_key_rotates() -> None:
    assert RESOURCES["CredentialsKey"]["Properties"]["EnableKeyRotation"] is True


def test_no_permission_is_for_every_resource_or_every_action() -> None:
    too_wide = [
        (name, statement)
        for name, resource in RESOURCES.items()
        for statement in statements(resource)
        if statement["Effect"] == "Allow"
        and ("*" in as_list(statement.get("Resource")) or any(a == "*" for a in as_list(statement["Action"])))
        and name not in NEEDS_EVERY_RESOURCE
    ]
    assert not too_wide


@pytest.mark.parametrize("name", of_type("AWS::Serverless::StateMachine"))
def test_log_delivery_is_all_that_a_state_machine_may_do_to_every_resource(name: str) -> None:
    wide = [s for s in statements(RESOURCES[name]) if "*" in as_list(s["Resource"])]
    assert {action.partition(":")[0] for s in wide for action in s["Action"]} == {"logs"}


ATTACHED = {name: one for name, one in of_type("AWS::IAM::ManagedPolicy").items() if "Roles" in one}


def granted(name: str) -> set[tuple[str, str]]:
    """(action, logical id of the resource) of everything that a function may do."""
    properties = FUNCTIONS[name]
    sources: list[Any] = list(properties.get("Policies", []))
    if "Role" in properties:
        role = properties["Role"]["GetAtt"].removesuffix(".Arn")
        if role not in RESOURCES:
            return granted(role.removesuffix("Role"))
        sources += RESOURCES[role]["Properties"]["ManagedPolicyArns"]
    sources += [{"Ref": policy} for policy, one in ATTACHED.items() if {"Ref": f"{name}Role"} in one["Roles"]]
    documents = [RESOURCES[s["Ref"]] if "Ref" in s else s for s in sources]
    return {
        (action, re.split(r"[.}/]", str(target.get("GetAtt") or target.get("Ref") or target["Sub"][2:]))[0])
        for statement in statements(documents)
        for action in as_list(statement["Action"])
        for target in as_list(statement["Resource"])
    }


READERS = [
    "ListConfigTypesFunction",
    "ListConfigsFunction",
    "GetConfigUsedByFunction",
    "GetIndexFunction",
    "ListSyncJobsFunction",
    "GetSyncJobFunction",
    "ListSyncJobResourcesFunction",
    "ListDeleteJobsFunction",
    "GetDeleteJobFunction",
    "ListDeleteJobResourcesFunction",
]


@pytest.mark.parametrize("name", [*READERS, "GetConfigDependenciesFunction", "GetConfigInventoryFunction"])
def test_reading_operations_may_change_nothing_but_rate_budgets(name: str) -> None:
    properties = FUNCTIONS[name]
    role = properties.get("Role", {}).get("GetAtt", "").removesuffix(".Arn")
    policies = RESOURCES[role]["Properties"]["ManagedPolicyArns"] if role else properties["Policies"]
    documents = [RESOURCES[policy["Ref"]] for policy in policies if "Ref" in policy]
    reading = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"}
    changing = [s for s in statements(documents) if not set(as_list(s["Action"])) <= reading]
    assert [s["Condition"] for s in changing] == [
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["BUDGET#*"]}},
    ]


def test_every_operation_counts_what_its_organisation_asks() -> None:
    for name, properties in FUNCTIONS.items():
        if properties["Handler"].startswith("functions.api.") and name != "AuthorizerFunction":
            handler = (ROOT / properties["CodeUri"] / "handler.py").read_text()
            assert re.search(r"^lambda_handler = serve\(", handler, re.MULTILINE), name
            assert {("dynamodb:GetItem", "SyncJobsTable"), ("dynamodb:UpdateItem", "SyncJobsTable")} <= granted(name), (
                name
            )


def test_measuring_health_reads_what_it_measures_and_changes_nothing() -> None:
    assert granted("MeasureHealthFunction") == {
        ("dynamodb:Query", "SyncJobsTable"),
        ("dynamodb:Query", "IndexTable"),
        ("sqs:GetQueueAttributes", "BuildIndexDeadLetterQueue"),
        ("sqs:ReceiveMessage", "BuildIndexDeadLetterQueue"),
    }


def test_sweeping_touches_no_job_and_no_row_and_reads_no_token() -> None:
    may = {(action, of) for action, of in granted("SweepEndedRunsFunction") if not of.startswith("n:")}
    assert may == {
        ("dynamodb:Query", "SyncJobsTable"),
        ("dynamodb:Query", "IndexTable"),
        ("dynamodb:GetItem", "IndexTable"),
        ("dynamodb:UpdateItem", "IndexTable"),
        ("dynamodb:DeleteItem", "CredentialsTable"),
        ("dynamodb:BatchWriteItem", "CredentialsTable"),
        ("lambda:InvokeFunction", "FinishJobFunction"),
        ("lambda:InvokeFunction", "FinishDeletionFunction"),
        ("lambda:InvokeFunction", "BuildIndexFunction"),
        ("lambda:InvokeFunction", "ContinueIndexFunction"),
    }
    (policy,) = (p for p in FUNCTIONS["SweepEndedRunsFunction"]["Policies"] if "Statement" in p)
    assert [s["Condition"] for s in policy["Statement"] if "Condition" in s] == [
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [partition]}} for partition in ("RUNNING#*", "ORG#*#STATE")
    ]
    (looks,) = (s for s in policy["Statement"] if s["Action"] == "states:DescribeExecution")
    assert all(":execution:${" in one["Sub"] for one in looks["Resource"])


def test_only_runs_may_read_credentials() -> None:
    decrypting = {name for name in FUNCTIONS if ("kms:Decrypt", "CredentialsKey") in granted(name)}
    assert decrypting == {
        "BuildIndexFunction",
        "ContinueIndexFunction",
        "RetrySyncJobFunction",
        "FetchSourcesFunction",
        "SnapshotTargetFunction",
        "SyncBatchFunction",
        "ResolveDerivedReferencesFunction",
        "PatchReferencesFunction",
        "RunFinalizersFunction",
        "VerifyTargetsFunction",
        "FinishJobFunction",
        "DeleteBatchFunction",
        "FinishDeletionFunction",
    }


TABLE_OF_VARIABLE = {
    "INDEX_TABLE": "IndexTable",
    "SYNC_JOBS_TABLE": "SyncJobsTable",
    "SYNC_RESOURCES_TABLE": "SyncResourcesTable",
    "LINEAGE_TABLE": "LineageTable",
    "MEMORY_TABLE": "MemoryTable",
    "CREDENTIALS_TABLE": "CredentialsTable",
    "CREDENTIALS_KEY_ID": "CredentialsKey",
    "PAYLOAD_BUCKET": "PayloadBucket",
    "STATE_MACHINE_ARN": "SyncStateMachine",
    "DELETE_MACHINE_ARN": "DeleteStateMachine",
    "BUILD_INDEX_FUNCTION": "BuildIndexFunction",
    "CONTINUE_INDEX_FUNCTION": "ContinueIndexFunction",
    "FINISH_JOB_FUNCTION": "FinishJobFunction",
    "FINISH_DELETION_FUNCTION": "FinishDeletionFunction",
}


def named(variables: dict[str, Any]) -> set[str]:
    """What variables name, each of them by its own name."""
    for variable in variables.keys() & TABLE_OF_VARIABLE.keys():
        called = ".Alias" if variable.endswith("_FUNCTION") else ""
        assert variables[variable] == {"Ref": TABLE_OF_VARIABLE[variable] + called}
    return {TABLE_OF_VARIABLE[variable] for variable in variables if variable in TABLE_OF_VARIABLE}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_told_of_all_that_it_may_use_and_calls_nothing_else(name: str) -> None:
    told = named(FUNCTIONS[name].get("Environment", {}).get("Variables", {}))
    may_use = {resource for _, resource in granted(name)} & set(TABLE_OF_VARIABLE.values())
    # What holds state is told to every function; its role says what it opens.
    assert may_use <= told | named(SHARED["Environment"]["Variables"]) | {name}
    assert told <= may_use


def test_what_holds_state_is_named_once() -> None:
    shared = SHARED["Environment"]["Variables"]
    called = {one for variable, one in TABLE_OF_VARIABLE.items() if variable.endswith(("_FUNCTION", "_MACHINE_ARN"))}
    assert named(shared) == set(TABLE_OF_VARIABLE.values()) - called
    own = {name: one["Environment"]["Variables"] for name, one in FUNCTIONS.items() if "Environment" in one}
    assert [name for name, variables in own.items() if variables.keys() & shared.keys()] == []


def test_the_documented_quota_is_what_the_shares_of_concurrency_need_by_default() -> None:
    parameters = template()["Parameters"]
    shares = [
        parameters[one["ReservedConcurrentExecutions"]["If"][1]["Ref"]]["Default"]
        for one in FUNCTIONS.values()
        if "ReservedConcurrentExecutions" in one
    ]
    section = (ROOT / "docs" / "deploy.md").read_text().partition("## Concurrency")[2].partition("\n## ")[0]
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html: 100 stay unreserved.
    assert f"**{sum(shares) + 100:,}**" in section


def test_the_form_for_a_new_account_reserves_nothing() -> None:
    assert overrides("dev")["ReserveConcurrency"] == "false"
    assert int(overrides("dev")["SyncConcurrency"]) <= 10


BUILDERS = ("BuildIndexFunction", "ContinueIndexFunction")


@pytest.mark.parametrize("name", BUILDERS)
def test_builds_wait_for_their_turn_and_end_in_a_dead_letter_queue(name: str) -> None:
    invoked = FUNCTIONS[name]["EventInvokeConfig"]
    destination = {"Type": "SQS", "Destination": {"GetAtt": "BuildIndexDeadLetterQueue.Arn"}}
    assert invoked["DestinationConfig"] == {"OnFailure": destination}
    assert invoked["MaximumRetryAttempts"] <= 1
    # A build that waits is not lost, one that was discarded is.
    assert 3_600 <= invoked["MaximumEventAgeInSeconds"] == QUEUED_S < QUEUED_LEASE_S


def test_a_build_that_goes_on_waits_in_no_queue_with_builds_that_begin() -> None:
    begins, goes_on = (FUNCTIONS[name] for name in BUILDERS)
    assert begins["ReservedConcurrentExecutions"] == goes_on["ReservedConcurrentExecutions"]
    assert begins["Environment"]["Variables"] == {"CONTINUE_INDEX_FUNCTION": {"Ref": "ContinueIndexFunction.Alias"}}
    assert "Environment" not in goes_on
    assert ("lambda:InvokeFunction", "BuildIndexFunction") not in granted("BuildIndexFunction")


def test_the_layer_describes_every_aws_service_that_is_called() -> None:
    called = {"dynamodb"}
    for file in (ROOT / "shared").rglob("*.py"):
        called |= set(re.findall(r'aws\.client\("([a-z0-9-]+)"\)', file.read_text()))
    (described,) = re.findall(r"^SERVICES := (.+)$", (ROOT / "layers/dependencies/Makefile").read_text(), re.MULTILINE)
    assert set(described.split()) == called


def overrides(environment: str) -> dict[str, str]:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())[environment]["deploy"]["parameters"]
    return dict(pair.split("=", 1) for pair in settings.get("parameter_overrides", "").split())


@pytest.mark.parametrize("environment", ["default", "dev", "staging", "prod", "local"])
def test_a_deployment_environment_sets_only_parameters_that_there_are(environment: str) -> None:
    assert overrides(environment).keys() <= template()["Parameters"].keys()


@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_traffic_shifts_gradually_where_callers_depend_on_it(environment: str) -> None:
    assert overrides(environment)["DeployGradually"] == "true"


def test_keys_of_tokens_are_made_and_opened_only_under_the_context_that_the_code_gives() -> None:
    grants = [
        statement
        for name, resource in RESOURCES.items()
        if name != "CredentialsKey"
        for statement in statements(resource)
        if any(action.startswith("kms:") for action in as_list(statement["Action"]))
    ]
    run, role = encryption_context("a-run", "target")
    assert len(grants) >= 3
    for statement in grants:
        assert statement["Condition"] == {
            "StringEquals": {f"kms:EncryptionContext:{role}": list(ROLES)},
            "StringLike": {f"kms:EncryptionContext:{run}": "?*"},
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": [run, role]},
        }


def test_who_verifies_tokens_knows_all_that_the_parameters_say_of_them() -> None:
    names = {
        "TOKEN_ISSUER": "TokenIssuer",
        "TOKEN_JWKS_URL": "TokenJwksUrl",
        "TOKEN_AUDIENCES": "TokenAudiences",
        "ACCESS_TOKEN_ISSUER": "AccessTokenIssuer",
        "ACCESS_TOKEN_JWKS_URL": "AccessTokenJwksUrl",
        "ACCESS_TOKEN_LIST_URL": "AccessTokenListUrl",
    }
    variables = SHARED["Environment"]["Variables"]
    assert {name: variables.get(name) for name in names} == {name: {"Ref": value} for name, value in names.items()}
