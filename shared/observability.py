"""The logger and the metrics of every function; nothing that looks like a credential passes through them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from shared.domain.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METRICS_NAMESPACE = "ConfigurationHub"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its unit, and the names of its dimensions beside `service`, which names the stack.

    Only what has few values is a dimension: each combination is a metric that is paid for. Ids are log fields.
    """

    unit: MetricUnit
    dimensions: tuple[str, ...] = ()


_COUNT, _MS, _SECONDS, _PERCENT = MetricUnit.Count, MetricUnit.Milliseconds, MetricUnit.Seconds, MetricUnit.Percent

#: Every metric that the functions emit; docs/operations.md says what each tells.
METRICS: Mapping[str, Metric] = {
    "RequestsAnswered": Metric(_COUNT, ("route", "status_class")),
    "RequestDuration": Metric(_MS, ("route",)),
    "ServerErrors": Metric(_COUNT),
    "SlowAnswers": Metric(_COUNT),
    "Requests": Metric(_COUNT),
    "TokensRefused": Metric(_COUNT),
    "ColdStarts": Metric(_COUNT, ("kind",)),
    "IndexAge": Metric(_SECONDS, ("size",)),
    "IndexesFailing": Metric(_COUNT),
    "FailingIndexAge": Metric(_SECONDS),
    "DeadLetters": Metric(_COUNT),
    "DeadLetterAge": Metric(_SECONDS),
    "IndexBuildsEnded": Metric(_COUNT, ("outcome",)),
    "IndexBuildDuration": Metric(_MS, ("size",)),
    "IndexStepDuration": Metric(_MS, ("step",)),
    "ResourcesIndexed": Metric(_COUNT),
    "TypesFailed": Metric(_COUNT),
    "StepsEnded": Metric(_COUNT, ("step", "outcome")),
    "StepDuration": Metric(_MS, ("step",)),
    "StepsBroken": Metric(_COUNT),
    "RunningJobs": Metric(_COUNT, ("kind",)),
    "RunningJobAge": Metric(_SECONDS, ("kind",)),
    "JobSilence": Metric(_SECONDS, ("kind",)),
    "JobQueueAge": Metric(_SECONDS, ("kind",)),
    "RunsSwept": Metric(_COUNT),
    "SyncJobsEnded": Metric(_COUNT, ("status", "mode")),
    "SyncJobDuration": Metric(_SECONDS, ("mode",)),
    "PhaseDuration": Metric(_SECONDS, ("phase",)),
    "DeleteJobsEnded": Metric(_COUNT, ("status",)),
    "ResourcesSettled": Metric(_COUNT, ("outcome", "resource_type")),
    "DownstreamCalls": Metric(_COUNT, ("host",)),
    "DownstreamDuration": Metric(_MS, ("host",)),
    "DownstreamFailed": Metric(_COUNT, ("host",)),
    "DownstreamThrottled": Metric(_COUNT, ("host",)),
    "DownstreamRetried": Metric(_COUNT, ("host",)),
    "RateBudgetUsed": Metric(_PERCENT, ("host",)),
    "RateBudgetWait": Metric(_MS, ("host",)),
}


class RedactingFormatter(LambdaPowertoolsFormatter):
    """Serialise a record to JSON and blank out credentials in the line, exceptions and stack traces included."""

    def serialize(self, log: Any) -> str:
        """Return the record as one redacted line of JSON."""
        return redact(super().serialize(log))


logger = Logger(service=None, logger_formatter=RedactingFormatter(), use_rfc3339=True)

_Dimensions = tuple[tuple[str, str], ...]
_lock = threading.Lock()
_recorded: dict[_Dimensions, dict[str, list[float]]] = {}
_starts: list[str] = []


def record(name: str, value: float = 1, **dimensions: str) -> None:
    """Note a value of a metric, from any thread; it is sent when the invocation ends.

    Raises:
        ValueError: the metric is not declared, or has other dimensions.
    """
    metric = METRICS.get(name)
    if metric is None or set(metric.dimensions) != dimensions.keys():
        raise ValueError(f"{name} with dimensions {sorted(dimensions)} is not declared in METRICS.")
    with _lock:
        values = _recorded.setdefault(tuple(sorted(dimensions.items())), {}).setdefault(name, [])
        if values and metric.unit is _COUNT:
            values[0] += value
        else:
            values.append(value)


@contextmanager
def timed(name: str, **dimensions: str) -> Iterator[None]:
    """Record how many milliseconds the block took, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        record(name, (time.perf_counter() - start) * 1000, **dimensions)


def record_start(kind: str) -> None:
    """Count a cold start in the first invocation of this execution environment."""
    if not _starts:
        _starts.append(kind)
        record("ColdStarts", kind=kind)


def flush_metrics() -> None:
    """Send what was recorded since the last flush, in embedded metric format, one line per set of dimensions."""
    with _lock:
        sets = dict(_recorded)
        _recorded.clear()
    for dimensions, values_by_name in sets.items():
        metrics = EphemeralMetrics(namespace=METRICS_NAMESPACE)
        for dimension, meant in dimensions:
            metrics.add_dimension(dimension, meant)
        for name, values in values_by_name.items():
            for value in values:
                metrics.add_metric(name=name, unit=METRICS[name].unit, value=value)
        metrics.flush_metrics()
