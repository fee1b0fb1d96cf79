"""Judge the alarms of the template by what the local functions have logged and the engine has counted of them."""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.dashboards import STATISTICS, Sample
from sandbox.stack import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandbox.stack.settings import StackSettings

_COMPARISONS = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}
_BOTH = re.compile(r'ALARM\("\$\{(\w+)\}"\) AND ALARM\("\$\{(\w+)\}"\)')


class UnknownAlarmError(ValueError):
    """An alarm is of a form that CloudWatch knows and this module does not."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Every alarm of a template, and the figures to judge them by.

    Attributes:
        resources: logical id -> resource; intrinsic functions as they are written.
        samples: what the functions logged, and `read_invocations`; figures of other AWS services are missing locally.
    """

    resources: Mapping[str, Mapping[str, Any]]
    samples: Sequence[Sample]

    def is_on(self, name: str, at: float) -> bool:
        """Tell whether an alarm would be in the state ALARM.

        Args:
            name: its logical id.
            at: epoch seconds at which its last period ends.

        Raises:
            UnknownAlarmError: it is of another form than the template's alarms are.
        """
        alarm = self.resources[name]["Properties"]
        if "AlarmRule" in alarm:
            (rule,) = alarm["AlarmRule"].values()
            both = _BOTH.fullmatch(rule)
            if both is None:
                raise UnknownAlarmError(rule)
            return all(self.is_on(watched, at) for watched in both.groups())
        period = _period(alarm)
        ends = [at - number * period for number in range(alarm["EvaluationPeriods"])]
        breaching = sum(self._breaches(alarm, end - period, end) for end in ends)
        return breaching >= alarm.get("DatapointsToAlarm", len(ends))

    def is_unknown(self, name: str, at: float) -> bool:
        """Tell whether an alarm would be in the state INSUFFICIENT_DATA."""
        alarm = self.resources[name]["Properties"]
        if alarm["TreatMissingData"] != "missing":
            return False
        return self.value(alarm, at - alarm["EvaluationPeriods"] * _period(alarm), at) is None

    def _breaches(self, alarm: Mapping[str, Any], begin: float, end: float) -> bool:
        value = self.value(alarm, begin, end)
        if value is None:
            return bool(alarm.get("TreatMissingData") == "breaching")
        return bool(_COMPARISONS[alarm["ComparisonOperator"]](value, alarm["Threshold"]))

    def value(self, alarm: Mapping[str, Any], begin: float, end: float) -> float | None:
        """Return what an alarm compares with its threshold, over one period; None without figures.

        Raises:
            UnknownAlarmError: its expression has something that is not known here.
        """
        if "Metrics" not in alarm:
            return self._statistic(alarm, str(alarm["Statistic"]), begin, end)
        values: dict[str, float | None] = {}
        expressions = []
        for query in alarm["Metrics"]:
            if "MetricStat" in query:
                wanted = query["MetricStat"]
                values[query["Id"]] = self._statistic(wanted["Metric"], wanted["Stat"], begin, end)
            else:
                expressions.append(query["Expression"])
        (expression,) = expressions
        result: float | None = _compute(ast.parse(expression, mode="eval").body, values)
        return result

    def _statistic(self, metric: Mapping[str, Any], statistic: str, begin: float, end: float) -> float | None:
        dimensions = {
            one["Name"]: one["Value"]["Ref"] if one["Name"] == "FunctionName" else one["Value"]
            for one in metric["Dimensions"]
            if one["Name"] != "service"
        }
        values = [
            sample.value
            for sample in self.samples
            if sample.name == metric["MetricName"] and sample.dimensions == dimensions and begin < sample.at <= end
        ]
        return float(STATISTICS[statistic](values)) if values else None


def read_invocations(settings: StackSettings, since: float) -> Iterator[Sample]:
    """Yield what the engine counts of every function's invocations, by logical id: those that failed, and were refused.

    Args:
        settings: whose stack.
        since: epoch seconds; minutes that ended earlier are left out.
    """
    cloudwatch = deployment.client(settings, "cloudwatch")
    names = deployment.list_resources(settings, "AWS::Lambda::Function")
    for metric in ("Errors", "Throttles"):
        for logical_id, name in names.items():
            answer = cloudwatch.get_metric_statistics(
                Namespace="AWS/Lambda",
                MetricName=metric,
                Dimensions=[{"Name": "FunctionName", "Value": name}],
                StartTime=datetime.fromtimestamp(since, UTC).replace(second=0, microsecond=0),
                EndTime=datetime.now(UTC) + timedelta(minutes=1),
                Period=60,
                Statistics=["Sum"],
            )
            for point in answer["Datapoints"]:
                yield Sample(point["Timestamp"].timestamp(), metric, {"FunctionName": logical_id}, point["Sum"])


def _period(alarm: Mapping[str, Any]) -> float:
    """Return the seconds of one period; the metrics of one alarm share it."""
    periods = {query["MetricStat"]["Period"] for query in alarm.get("Metrics", ()) if "MetricStat" in query}
    (period,) = periods or {alarm["Period"]}
    return float(period)


def _compute(node: ast.expr, values: Mapping[str, float | None]) -> Any:
    """Evaluate an expression of metric math; what has no value has no result."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return values[name]
        case ast.BinOp(left, sign, right) | ast.Compare(left, [sign], [right]):
            operands = _compute(left, values), _compute(right, values)
            if None in operands or (isinstance(sign, ast.Div) and operands[1] == 0):
                return None
            return _OPERATORS[type(sign)](*operands)
        case ast.Call(ast.Name("IF"), [condition, then, otherwise]):
            holds = _compute(condition, values)
            return None if holds is None else _compute(then if holds else otherwise, values)
        case ast.Call(ast.Name("MAX"), [ast.List(parts)]):
            return max((value for part in parts if (value := _compute(part, values)) is not None), default=None)
        case ast.Call(ast.Name("SUM"), [ast.Call(ast.Name("METRICS"), [])]):
            known = [value for value in values.values() if value is not None]
            return sum(known) if known else None
    raise UnknownAlarmError(ast.unparse(node))
