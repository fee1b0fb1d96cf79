"""Every metric in a widget or an alarm is one that code emits, and every alarm leads to its section of the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.downstream import repository
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.api_operation import Operation
from shared.observability import METRICS
from tests.aws import template
from tests.contract.test_catalogue import operations_of

ROOT = Path(__file__).parents[2]
RESOURCES = template()["Resources"]
DASHBOARDS = {name: r for name, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::Dashboard"}
ALARMS = {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
COMPOSITES = {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::CompositeAlarm"}
#: One window of an objective is no reason to wake anybody: the composite of two of them is.
WINDOWS = {name for rule in COMPOSITES.values() for name in re.findall(r"\$\{(\w+)\}", rule["AlarmRule"]["Sub"])}
HOSTS = sorted(
    {operation.host for entry in RESOURCE_TYPES.values() for _, operation in operations_of(entry)}
    | {value.host for value in vars(repository).values() if isinstance(value, Operation)}
)
_SEARCH = re.compile(
    r"SEARCH\('\{ConfigurationHub,([\w,]+)\} MetricName=\"(\w+)\" service=\"configuration-hub-\$\{Environment\}\"', "
)


def widgets(name: str) -> list[dict[str, Any]]:
    return json.loads(DASHBOARDS[name]["Properties"]["DashboardBody"]["Sub"])["widgets"]


def shown(widget: dict[str, Any]) -> set[tuple[str, frozenset[str]]]:
    """Our metrics in a widget, with their dimensions."""
    found = set()
    for entry in widget["properties"]["metrics"]:
        if isinstance(entry[0], dict):
            searched = _SEARCH.match(entry[0]["expression"])
            assert searched, entry
            found.add((searched[2], frozenset(searched[1].split(",")) - {"service"}))
        elif entry[0] == "ConfigurationHub":
            dimensions = [part for part in entry[2:] if isinstance(part, str)][::2]
            found.add((entry[1], frozenset(dimensions) - {"service"}))
    return found


def watched(alarm: dict[str, Any]) -> set[tuple[str, frozenset[str]]]:
    """Our metrics in an alarm, with their dimensions."""
    found = set()
    queries = alarm.get("Metrics", [])
    for metric in [alarm, *(query["MetricStat"]["Metric"] for query in queries if "MetricStat" in query)]:
        if metric.get("Namespace") == "ConfigurationHub":
            found.add((metric["MetricName"], frozenset(one["Name"] for one in metric["Dimensions"]) - {"service"}))
    return found


def declared() -> set[tuple[str, frozenset[str]]]:
    return {(name, frozenset(metric.dimensions)) for name, metric in METRICS.items()}


def headings() -> set[str]:
    text = (ROOT / "docs" / "operations.md").read_text()
    return {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_widget_shows_metrics_that_code_emits_with_those_dimensions(name: str) -> None:
    for widget in widgets(name):
        assert shown(widget) <= declared(), widget["properties"]["title"]


def test_every_metric_stands_on_a_dashboard() -> None:
    assert set.union(*(shown(widget) for name in DASHBOARDS for widget in widgets(name))) == declared()


@pytest.mark.parametrize("name", [*ALARMS, *COMPOSITES])
def test_every_alarm_leads_to_its_section_and_notifies(name: str) -> None:
    alarm = {**ALARMS, **COMPOSITES}[name]
    anchor = re.search(r"What to do: docs/operations\.md#([\w-]+)$", alarm["AlarmDescription"])
    assert anchor
    assert anchor[1] in headings()
    wanted = None if name in WINDOWS else {"If": ["Notifies", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert alarm.get("AlarmActions") == wanted
    assert alarm.get("OKActions", wanted) == wanted


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_watches_metrics_that_code_emits_with_those_dimensions(name: str) -> None:
    assert watched(ALARMS[name]) <= declared()


@pytest.mark.parametrize("name", ALARMS)
def test_missing_figures_tell_only_of_whoever_measures_and_not_of_a_stack_that_has_just_begun(name: str) -> None:
    # A new alarm is in the state without figures already: it notifies when it falls back to it.
    measures = name in ("HealthUnknownAlarm", "SweeperSilentAlarm")
    assert ALARMS[name]["TreatMissingData"] == ("missing" if measures else "notBreaching")
    assert ALARMS[name].get("InsufficientDataActions") == (ALARMS[name]["AlarmActions"] if measures else None)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_reads_no_more_metrics_than_an_expression_can(name: str) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
    assert len([query for query in ALARMS[name].get("Metrics", []) if "MetricStat" in query]) <= 10


def test_a_percentile_of_a_handful_of_calls_moves_no_alarm() -> None:
    percentiles = {name for name, alarm in ALARMS.items() if "ExtendedStatistic" in alarm}
    assert percentiles == {"LatencyAlarm"}
    assert all(ALARMS[name]["EvaluateLowSampleCountPercentile"] == "ignore" for name in percentiles)


CALLED_BY_NOBODY_WHO_WAITS = {
    name
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
    and not resource["Properties"]["Handler"].startswith("functions.api.")
}


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
def test_lambdas_own_count_of_every_step_build_and_check_is_watched_once_and_shown(metric: str) -> None:
    watched = [
        query["MetricStat"]["Metric"]["Dimensions"]
        for alarm in ALARMS.values()
        for query in alarm.get("Metrics", [])
        if query.get("MetricStat", {}).get("Metric", {}).get("MetricName") == metric
    ]
    assert sorted(one["Value"]["Ref"] for (one,) in watched) == sorted(CALLED_BY_NOBODY_WHO_WAITS)
    assert {one["Name"] for (one,) in watched} == {"FunctionName"}
    drawn = [
        entry[3]
        for name in DASHBOARDS
        for widget in widgets(name)
        for entry in widget["properties"]["metrics"]
        if entry[:2] == ["AWS/Lambda", metric] and entry[2] == "FunctionName"
    ]
    assert sorted(drawn) == sorted(f"${{{name}}}" for name in CALLED_BY_NOBODY_WHO_WAITS)


@pytest.mark.parametrize("machine", ["SyncStateMachine", "DeleteStateMachine"])
@pytest.mark.parametrize("metric", ["ExecutionsFailed", "ExecutionsTimedOut"])
def test_an_execution_that_ends_badly_is_watched(machine: str, metric: str) -> None:
    on = [{"Name": "StateMachineArn", "Value": {"Ref": machine}}]
    matching = [a for a in ALARMS.values() if (a.get("MetricName"), a.get("Dimensions")) == (metric, on)]
    assert len(matching) == 1


# The dimensions with which AWS publishes what a widget or an alarm of one metric shows:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
PUBLISHED = {
    "AWS/Lambda": {("FunctionName",)},
    "AWS/DynamoDB": {("TableName",)},
    "AWS/ApiGateway": {("ApiName",), ("ApiName", "Stage")},
    "AWS/SQS": {("QueueName",)},
    "AWS/States": {("StateMachineArn",)},
}
# These have the operation for a second dimension: with the table alone nothing is published.
BY_OPERATION = {"ThrottledRequests", "SuccessfulRequestLatency", "SystemErrors"}


def test_every_metric_of_an_aws_service_is_asked_for_as_it_is_published() -> None:
    asked = {
        (entry[0], entry[1], tuple(part for part in entry[2:] if isinstance(part, str))[::2])
        for name in DASHBOARDS
        for widget in widgets(name)
        for entry in widget["properties"]["metrics"]
        if isinstance(entry[0], str) and entry[0].startswith("AWS/")
    }
    for alarm in ALARMS.values():
        for metric in [alarm, *(query.get("MetricStat", {}).get("Metric", {}) for query in alarm.get("Metrics", []))]:
            if str(metric.get("Namespace")).startswith("AWS/"):
                asked.add((metric["Namespace"], metric["MetricName"], tuple(d["Name"] for d in metric["Dimensions"])))
    assert len(asked) > 8
    assert [one for one in asked if one[2] not in PUBLISHED[one[0]] or one[1] in BY_OPERATION] == []


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("metric", ["DownstreamFailed", "DownstreamThrottled"])
def test_every_downstream_api_has_an_alarm_on_its_share_of_bad_calls(host: str, metric: str) -> None:
    over = {"Name": "host", "Value": host}
    matching = [
        alarm
        for alarm in ALARMS.values()
        if [q["MetricStat"]["Metric"]["MetricName"] for q in alarm.get("Metrics", [])[:-1]]
        == [metric, "DownstreamCalls"]
        and all(over in q["MetricStat"]["Metric"]["Dimensions"] for q in alarm["Metrics"][:-1])
    ]
    assert len(matching) == 1
    assert host in matching[0]["AlarmDescription"]
    bad = metric.removeprefix("Downstream").lower()
    assert matching[0]["Metrics"][-1]["Expression"] == f"IF(calls >= 20, 100 * {bad} / calls, 0)"
