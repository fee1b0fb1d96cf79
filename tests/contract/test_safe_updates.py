"""An update of a deployed stack replaces nothing that holds state."""

from __future__ import annotations

import json

import pytest

from tests.transformed import BASELINE, TEMPLATE, dangers, stateful, transform

DEPLOYED = json.loads(BASELINE.read_text())


def changed(old: str, new: str) -> str:
    text = TEMPLATE.read_text()
    assert old in text
    return text.replace(old, new)


def table(name: str, old: str, new: str) -> tuple[str, str]:
    """Change something in the block of one table."""
    _, _, rest = TEMPLATE.read_text().partition(f"\n  {name}:\n")
    block = f"\n  {name}:\n" + rest[: rest.index("\n\n")]
    assert old in block
    return block, block.replace(old, new, 1)


def index(name: str, sort_key: str = "sk") -> str:
    """The block of a secondary index, as the template has it."""
    return (
        f"        - IndexName: {name}\n"
        f"          KeySchema: [{{AttributeName: pk, KeyType: HASH}}, {{AttributeName: {sort_key}, KeyType: RANGE}}]\n"
        "          Projection: {ProjectionType: ALL}\n"
    )


def test_an_update_of_a_deployed_stack_replaces_and_loses_nothing() -> None:
    assert list(dangers(DEPLOYED, stateful(transform()))) == []


def test_the_baseline_knows_every_resource_that_holds_state() -> None:
    assert set(stateful(transform())) == set(DEPLOYED), "make baseline"


def test_the_baseline_was_made_with_what_cloudformation_says_of_replacement() -> None:
    jobs = DEPLOYED["SyncJobsTable"]
    assert {"KeySchema", "TableName"} <= jobs["CreateOnly"].keys()
    assert [key["AttributeName"] for key in jobs["CreateOnly"]["KeySchema"]] == ["pk", "sk"]


@pytest.mark.parametrize(
    ("change", "danger"),
    [
        (("LineageTable", "LineageRecordsTable"), "LineageTable is renamed or gone"),
        (("PayloadBucket", "PayloadsBucket"), "PayloadBucket is renamed or gone"),
        (("HubApi", "ConfigurationApi"), "HubApi is renamed or gone"),
        (table("SyncJobsTable", "AttributeName: sk, KeyType", "AttributeName: id, KeyType"), "KeySchema was"),
        (table("SyncJobsTable", "BillingMode", "TableName: jobs\n      BillingMode"), "TableName was null"),
        (
            table("LineageTable", "DeletionPolicy: RetainExceptOnCreate", "DeletionPolicy: Delete"),
            "DeletionPolicy is Delete",
        ),
        (table("SyncJobsTable", "AttributeName: created_key, KeyType", "AttributeName: sk, KeyType"), "by_created"),
        (table("SyncJobsTable", "IndexName: by_created", "IndexName: by_age"), "deletes by_created, makes by_age"),
        (
            table("SyncJobsTable", "      TimeToLive", index("by_age") + index("by_user") + "      TimeToLive"),
            "makes by_user",
        ),
        (table("LineageTable", "    UpdateReplacePolicy: Retain\n", ""), "UpdateReplacePolicy is Delete"),
        (table("BuildIndexDeadLetterQueue", "Properties: {", "Properties: {QueueName: dead, "), "QueueName was null"),
        (table("CredentialsKey", "AWS::KMS::Key", "AWS::KMS::ReplicaKey"), "CredentialsKey is renamed or gone"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_change_that_loses_state_is_found(change: tuple[str, str], danger: str) -> None:
    found = list(dangers(DEPLOYED, stateful(transform(changed(*change)))))
    assert any(danger in one for one in found), found


@pytest.mark.parametrize(
    "change",
    [
        table("IndexTable", "PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"),
        table("LineageTable", "DeletionPolicy: RetainExceptOnCreate", "DeletionPolicy: Retain"),
        table("CredentialsTable", "DeletionPolicy: Delete", "DeletionPolicy: Retain"),
        table("SyncJobsTable", "      TimeToLive", f"{index('by_age')}      TimeToLive"),
        table("IndexTable", index("by_name", "name_key"), ""),
        ("MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 604800"),
    ],
    ids=["in place", "kept otherwise", "kept from now on", "one more index", "one index less", "of the queue"],
)
def test_a_change_in_place_is_none(change: tuple[str, str]) -> None:
    assert list(dangers(DEPLOYED, stateful(transform(changed(*change))))) == []
