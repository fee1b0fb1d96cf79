"""The template deploys what it deployed before it was rewritten to half its length, but for what is listed here.

The record is of the template before. Where what is deployed changes on purpose, the difference gets a line in MEANT;
once a release has gone out, `python -m tests.essence` renews the record and MEANT is empty again.
"""

from __future__ import annotations

import json
import re

import pytest

from tests.essence import RECORD, Essence, differences, essence
from tests.transformed import TEMPLATE, transform

BEFORE: Essence = json.loads(RECORD.read_text())
MOST_LINES = 2_000
_TABLES = "INDEX|SYNC_JOBS|SYNC_RESOURCES|LINEAGE|MEMORY|CREDENTIALS"
#: Which differences, how many of them, and why.
MEANT = {
    rf"settings \w+Function ({_TABLES})_TABLE is new, .*": (
        123,
        "Names stand once, for all functions. Who may use a table is said by its role, and no role has changed.",
    ),
    r"settings \w+Function (CREDENTIALS_KEY_ID|PAYLOAD_BUCKET|SYNC_CONCURRENCY|ALLOWED_ORIGINS) is new, .*": (
        105,
        "As the tables: a key's id, a bucket's name, a number and the origins that a browser may call from.",
    ),
    r"settings \w+Function (DOWNSTREAM_URL_TEMPLATE|APP_URL_TEMPLATE|(ACCESS_)?TOKEN_\w+) is new, .*": (
        270,
        "As the tables: addresses and issuers, none of them a secret.",
    ),
    r"resources FunctionsLogGroup is new": (1, "One log group for all functions: their names stand in every line."),
    r"resources \w+Function LoggingConfig was .*": (40, "They write into it."),
    r"resources (FollowJob|FailuresByCode|SlowestDownstreamCalls)Query LogGroupNames was .*": (3, "Queries read it."),
    r"resources FollowJobQuery QueryString was .*": (1, "In one group the function tells lines apart, not the group."),
    r'resources \w+LogGroup DeletionPolicy was "Delete", is "RetainExceptOnCreate"': (
        40,
        "The groups of before are kept with what stands in them, and may leave the template with the next release.",
    ),
    r'resources \w+LogGroup UpdateReplacePolicy was "Delete", is "Retain"': (40, "As above."),
    r"resources SyncStepRole is new": (1, "One role for four steps that had the same permissions each."),
    r"resources (SyncBatch|ResolveDerivedReferences|PatchReferences|RunFinalizers)FunctionRole is gone": (
        4,
        "They have that role; their permissions are what they were.",
    ),
}


def found(text: str | None = None) -> list[str]:
    """Every difference between the template of before and one of now."""
    now = json.loads(json.dumps(essence(transform(text, DeployGradually="true"))))
    return list(differences(BEFORE, now))


@pytest.fixture(scope="module")
def now() -> list[str]:
    return found()


def test_the_template_is_short_enough_to_be_read() -> None:
    assert len(TEMPLATE.read_text().splitlines()) <= MOST_LINES


def test_nothing_is_deployed_otherwise_than_before_but_what_is_meant(now: list[str]) -> None:
    assert [one for one in now if not any(re.fullmatch(pattern, one) for pattern in MEANT)] == []


@pytest.mark.parametrize("pattern", MEANT)
def test_what_is_meant_is_so(now: list[str], pattern: str) -> None:
    assert sum(bool(re.fullmatch(pattern, one)) for one in now) == MEANT[pattern][0]


def test_no_role_and_no_alarm_has_changed(now: list[str]) -> None:
    assert [one for one in now if one.startswith(("permissions ", "alarms "))] == []


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("Threshold: 25", "Threshold: 26", "alarms EntityFailingAlarm Threshold was 25, is 26"),
        ("Host: file.sls", "Host: files.sls", "alarms FileThrottlingAlarm AlarmDescription was"),
        ("Latency: 14.4", "Latency: 15", "alarms LatencyLastHourAlarm Threshold was 14.4, is 15"),
        (", Kanban,", ",", "alarms KanbanFailingAlarm is gone"),
        ("dynamodb:DeleteItem, ", "", "permissions SyncBatchFunction no longer has"),
        (
            "[!Ref ReadLineagePolicy, !Ref TakeRate",
            "[!Ref WriteLineagePolicy, !Ref TakeRate",
            "SuggestMatchesFunction now",
        ),
        ("PutItem, dynamodb:BatchWriteItem]", "*]", "permissions FetchSourcesFunction now has"),
        ("MaximumRetryAttempts: 1,", "MaximumRetryAttempts: 2,", "EventInvokeConfig MaximumRetryAttempts was"),
        ("INDEX_TABLE: !Ref IndexTable", "INDEX_TABLE: !Ref LineageTable", "settings GetIndexFunction INDEX_TABLE was"),
        ("  SyncDashboard:\n", "  JobsDashboard:\n", "resources SyncDashboard is gone"),
    ],
    ids=lambda one: one.strip()[:40],
)
def test_another_template_is_found_to_be_another(old: str, new: str, difference: str) -> None:
    text = TEMPLATE.read_text()
    assert old in text
    assert any(difference in one for one in found(text.replace(old, new))), difference
