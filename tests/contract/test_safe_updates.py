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
        (table("LineageTable", "DeletionPolicy: Retain", "DeletionPolicy: Delete"), "DeletionPolicy is Delete"),
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
        table("IndexTable", "DeletionPolicy: Delete", "DeletionPolicy: Retain"),
        ("MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 604800"),
    ],
    ids=["in place", "kept from now on", "of the queue"],
)
def test_a_change_in_place_is_none(change: tuple[str, str]) -> None:
    assert list(dangers(DEPLOYED, stateful(transform(changed(*change))))) == []
