"""`make costs`: count on the local stack what AWS would bill, and write `docs/costs.json`."""

from __future__ import annotations

import importlib
import json
import math
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import boto3

from docs.costs import PRICES
from sandbox.control import SandboxControl
from sandbox.hub_client import HubClient
from sandbox.stack.settings import read_settings
from shared.adapters import aws
from shared.catalog.registry import RESOURCE_TYPES
from tests.aws import template
from tests.bench.machine import Machine, enter_environment
from tests.bench.organisations import graph_of_generations, plant
from tests.bench.stack_job import run_on_stack
from tests.containers.__main__ import LocalContext
from tests.containers.world import World, prepare

STACK_FILE = Path(".local/stack.json")
FIGURES_FILE = Path("docs/costs.json")
LATENCY_MS = 50
#: About 1,000 configs.
REBUILD_SCALE = 5
LIST_CALLS = 50
PAGE_SIZE = 100
_SYNC_200 = graph_of_generations([80, 50, 60, 10])
_REPORT = re.compile(r"REPORT .*Billed Duration: ([\d.]+) ms\tMemory Size: (\d+) MB")
# Not a part of a sync: whoever waits for it, and the index build that follows it.
_BESIDE_A_SYNC = re.compile("Authorizer|GetSyncJob|GetIndex|BuildIndex")
_READS = ("GetItem", "BatchGetItem", "Query")

Figures = dict[str, float]


class Meter:
    """Counts what an invocation of the deployed functions leaves behind, and what a handler in this process asks for.

    Args:
        stack: where everything is.
    """

    def __init__(self, stack: Mapping[str, Any]) -> None:
        self._stack = stack
        self._logs = boto3.client("logs")

    @contextmanager
    def deployed(self, figures: Figures, besides: str = "(?!)") -> Iterator[None]:
        """Add Lambda invocations, their gigabyte seconds and log bytes of a time, but for functions that match."""
        began_ms = time.time_ns() // 1_000_000
        yield
        for group in self._stack["log_groups"]:
            for event in self._events(group, began_ms):
                # A stream has the name of its function.
                if re.search(besides, event["logStreamName"]):
                    continue
                figures["log_bytes"] += len(event["message"].encode())
                if report := _REPORT.match(event["message"]):
                    figures["lambda_invocations"] += 1
                    figures["lambda_gb_s"] += float(report[1]) / 1000 * int(report[2]) / 1024

    @contextmanager
    def stored(self, figures: Figures) -> Iterator[None]:
        """Add capacity units and requests to S3 and KMS of this process."""

        asked = threading.local()

        def ask(params: dict[str, Any], model: Any, **_: Any) -> None:
            asked.consistently = '"ConsistentRead": true' in json.dumps(params, default=str)
            if "ReturnConsumedCapacity" in model.input_shape.members:
                params["ReturnConsumedCapacity"] = "TOTAL"

        def note(parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
            if model.name in _READS:
                figures["read_units"] += read_units(model.name, parsed, consistently=asked.consistently)
                return
            consumed = parsed.get("ConsumedCapacity", [])
            units = sum(one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed]))
            figures["write_units"] += units

        def count(model: Any, **_: Any) -> None:
            kind = "kms_calls"
            if model.service_model.service_name == "s3":
                kind = "s3_reads" if model.name.startswith(("Get", "Head")) else "s3_writes"
            figures[kind] += 1

        dynamodb, others = aws.dynamodb().meta.events, [aws.client(name).meta.events for name in ("s3", "kms")]
        hooks = [(dynamodb, "before-parameter-build", ask), (dynamodb, "after-call", note)]
        hooks += [(events, "before-call", count) for events in others]
        for events, name, hook in hooks:
            events.register(name, hook)
        try:
            yield
        finally:
            for events, name, hook in hooks:
                events.unregister(name, hook)

    def metric_series(self) -> int:
        """Return how many metrics, told apart by their dimensions' values, the functions have emitted so far."""
        series = set()
        for group in self._stack["log_groups"]:
            for event in self._events(group, 0):
                if '"CloudWatchMetrics"' in event["message"]:
                    line = json.loads(event["message"])
                    for directive in line["_aws"]["CloudWatchMetrics"]:
                        for names in directive["Dimensions"]:
                            values = tuple(str(line[name]) for name in sorted(names))
                            series |= {(metric["Name"], values) for metric in directive["Metrics"]}
        return len(series)

    def _events(self, group: str, began_ms: int) -> Iterator[Mapping[str, Any]]:
        for page in self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=began_ms):
            yield from page["events"]


def standing() -> dict[str, int]:
    """Return how many there are in the template of what is billed each month; an alarm counts per metric."""
    resources = template()["Resources"].values()
    kinds = Counter(resource["Type"] for resource in resources)
    alarms = [one["Properties"] for one in resources if one["Type"] == "AWS::CloudWatch::Alarm"]
    return {
        "alarm_metrics": sum(sum("MetricStat" in one for one in alarm.get("Metrics", ())) or 1 for alarm in alarms),
        "composite_alarms": kinds["AWS::CloudWatch::CompositeAlarm"],
        "dashboards": kinds["AWS::CloudWatch::Dashboard"],
        "keys": kinds["AWS::KMS::Key"],
    }


def read_units(operation: str, answer: Mapping[str, Any], *, consistently: bool) -> float:
    """Return what a read consumes: the local engine reports writes by their size, but not reads.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
    """
    if operation == "Query":
        groups = [answer.get("Items", [])]
    elif operation == "GetItem":
        groups = [[answer.get("Item", {})]]
    else:
        groups = [[item] for items in answer.get("Responses", {}).values() for item in items]
    blocks = sum(max(1, math.ceil(sum(map(item_bytes, group)) / 4096)) for group in groups)
    return blocks * (1 if consistently else 0.5)


def item_bytes(value: Any) -> int:
    """Return about how many bytes DynamoDB counts for an item or a value in it."""
    if isinstance(value, dict):
        return 3 + sum(len(str(name).encode()) + item_bytes(one) + 1 for name, one in value.items())
    if isinstance(value, list | set):
        return 3 + sum(item_bytes(one) + 1 for one in value)
    if isinstance(value, Decimal):
        return len(str(value)) // 2 + 2
    return len(value.encode()) if isinstance(value, str) else 1


def per(count: float, of: float, figures: Figures) -> Figures:
    """Return the figures of one run for another number of things."""
    return {name: round(value * count / of, 2) for name, value in figures.items()}


class Costs:
    """Measures each scenario twice: deployed, and by the same handlers in this process with their storage watched."""

    def __init__(self, stack: Mapping[str, Any]) -> None:
        self._stack = stack
        self._meter = Meter(stack)
        self._settings = read_settings()
        self._control = SandboxControl(stack["sandbox_url"])

    def measure(self) -> dict[str, Any]:
        """Return what docs/costs.py reads."""
        self._control.behave(latency_ms=LATENCY_MS)
        try:
            scenarios = {**self._rebuilds(), "sync": self._sync()}
        finally:
            self._control.behave()
        return {
            "scenarios": scenarios,
            "standing": {**standing(), "metric_series": self._meter.metric_series()},
        }

    def _rebuilds(self) -> dict[str, Figures]:
        deployed, here = (prepare(self._settings, REBUILD_SCALE) for _ in range(2))
        hub = HubClient(self._stack["api_url"], deployed.source_token)
        # Warms the functions up.
        HubClient(self._stack["api_url"], deployed.target_token).rebuild_index()
        scenarios = {}
        for name in ("first_rebuild", "unchanged_rebuild"):
            figures = _none()
            with self._meter.deployed(figures, "Authorizer|GetIndex"):
                hub.rebuild_index()
            with self._meter.stored(figures):
                _call("index/build_index", here.start_build())
            figures["api_calls"] = 1
            scenarios[name] = per(1000, hub.get("/v1/configs/index")["total_items"], figures)
        scenarios["list_calls"] = self._list_calls(hub, here)
        return scenarios

    def _list_calls(self, hub: HubClient, here: World) -> Figures:
        """Read full pages of the type of which there is most."""
        figures = _none()
        path = "/v1/configs/{}".format
        largest = max(RESOURCE_TYPES, key=lambda name: hub.get(path(name), size=1)["total"])
        event = here.filled("api/list_configs", pathParameters={"type": largest})
        event["queryStringParameters"] = {"size": str(PAGE_SIZE)}
        event["multiValueQueryStringParameters"] = {"size": [str(PAGE_SIZE)]}
        if len(hub.get(path(largest), size=PAGE_SIZE)["results"]) != PAGE_SIZE:
            raise RuntimeError(f"There are too few configs of type {largest}.")
        with self._meter.deployed(figures, "Authorizer"):
            for _ in range(LIST_CALLS):
                hub.get(path(largest), size=PAGE_SIZE)
        with self._meter.stored(figures):
            for _ in range(LIST_CALLS):
                _call("api/list_configs", event)
        figures["api_calls"] = LIST_CALLS
        return per(1000, LIST_CALLS, figures)

    def _sync(self) -> Figures:
        figures = _none()
        source, ids = plant(self._control, _SYNC_200)
        token = self._control.make_token(source)
        resources = [{"type": "price", "id": price_id} for price_id in ids.values()]
        targets = [self._control.make_organisation() for _ in range(3)]
        tokens = [self._control.make_token(target) for target in targets]
        run_on_stack(self._stack, (source, token), (targets[0], tokens[0]), resources)
        with self._meter.deployed(figures, _BESIDE_A_SYNC.pattern):
            run_on_stack(self._stack, (source, token), (targets[1], tokens[1]), resources)
        figures["state_transitions"] = self._transitions(HubClient(self._stack["api_url"], token))
        with self._meter.stored(figures):
            Machine(source).run({"source": token, "target": tokens[2]}, targets[2], resources)
        figures["api_calls"] = 1
        return per(1, 1, figures)

    def _transitions(self, hub: HubClient) -> int:
        """Return how many states the latest job that an execution drove has entered."""
        latest = hub.get("/v1/configs/sync-jobs", size=1)["results"][0]["id"]
        execution = f"{self._stack['state_machine_arn'].replace(':stateMachine:', ':execution:')}:{latest}"
        pages = boto3.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
        return sum(event["type"].endswith("StateEntered") for page in pages for event in page["events"])


def _none() -> Figures:
    return dict.fromkeys(PRICES, 0.0)


def _call(event: str, payload: Mapping[str, Any]) -> None:
    handler = importlib.import_module(f"functions.{event.replace('/', '.')}.handler").lambda_handler
    with redirect_stdout(StringIO()):
        answer = handler(payload, LocalContext(event))
    if answer.get("statusCode", 200) != 200 or answer.get("status", "done") != "done":
        raise RuntimeError(f"{event} answered {answer}")


def main() -> int:
    """Measure and write the file."""
    stack = json.loads(STACK_FILE.read_text())
    enter_environment(stack)
    FIGURES_FILE.write_text(json.dumps(Costs(stack).measure(), indent=2) + "\n")
    print(f"wrote {FIGURES_FILE}; now make docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
