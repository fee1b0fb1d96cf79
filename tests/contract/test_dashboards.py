"""Every metric in a widget or an alarm is one that code emits, and every alarm leads to its section of the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shared.observability import METRICS
from tests.aws import template

ROOT = Path(__file__).parents[2]
RESOURCES = template()["Resources"]
DASHBOARDS = {name: r for name, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::Dashboard"}
ALARMS = {name: r["Properties"] for name, r in RESOURCES.items() if r["Type"] == "AWS::CloudWatch::Alarm"}
_SEARCH = re.compile(
    r"SEARCH\('\{ConfigurationHub,([\w,]+)\} MetricName=\"(\w+)\" service=\"configuration-hub-\$\{Environment\}\"', "
)
_SELECT = re.compile(r"SELECT SUM\((\w+)\) FROM SCHEMA\(\"ConfigurationHub\", ([\w, ]+)\)")


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
    for query in queries:
        if isinstance(query.get("Expression"), dict):
            selected = _SELECT.match(query["Expression"]["Sub"])
            assert selected, query
            found.add((selected[1], frozenset(selected[2].split(", ")) - {"service"}))
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


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_watches_metrics_that_code_emits_and_leads_to_its_section(name: str) -> None:
    alarm = ALARMS[name]
    assert watched(alarm) <= declared()
    anchor = re.search(r"docs/operations\.md#([\w-]+)$", alarm["AlarmDescription"])
    assert anchor
    assert anchor[1] in headings()
    assert alarm["AlarmActions"] == {"If": ["Notifies", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
