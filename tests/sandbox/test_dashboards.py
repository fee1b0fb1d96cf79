"""The local dashboards draw what functions log, under the definitions that are deployed."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

from sandbox.dashboards import draw, parse_line, series_of
from shared.observability import flush_metrics, record

SEARCH = (
    "SEARCH('{ConfigurationHub,service,host} "
    'MetricName="DownstreamCalls" service="configuration-hub-local"\', \'Sum\', 300)'
)
OURS = [[{"expression": SEARCH, "id": "calls"}]]


def logged():
    record("DownstreamCalls", 2, host="a.example")
    record("DownstreamCalls", 3, host="b.example")
    record("IndexAge", 60, size="small")
    lines = io.StringIO()
    with redirect_stdout(lines):
        flush_metrics()
    return [sample for line in lines.getvalue().splitlines() for sample in parse_line(line)]


def test_draws_one_series_per_value_of_a_dimension():
    series = series_of(OURS, logged())

    assert {label: list(values.values()) for label, values in series.items()} == {
        "a.example": [2.0],
        "b.example": [3.0],
    }


def test_takes_a_line_that_is_no_metric_for_none():
    assert list(parse_line('{"level": "INFO", "message": "Request answered"}')) == []


def test_a_metric_of_an_aws_service_has_no_local_series():
    assert series_of([["AWS/Lambda", "Errors", {"stat": "Sum"}]], logged()) == {}


def test_a_dashboard_becomes_a_picture():
    widget = {"properties": {"title": "Calls", "metrics": OURS}}
    assert draw("Downstream", json.loads(json.dumps([widget, widget])), logged()).startswith(b"\x89PNG")
