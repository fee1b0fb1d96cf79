"""The logger and the metrics of every function; nothing that looks like a credential passes through them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import MetricUnit

from shared.domain.redaction import redact

METRICS_NAMESPACE = "ConfigurationHub"


class RedactingFormatter(LambdaPowertoolsFormatter):
    """Serialise a record to JSON and blank out credentials in the line, exceptions and stack traces included."""

    def serialize(self, log: Any) -> str:
        """Return the record as one redacted line of JSON."""
        return redact(super().serialize(log))


logger = Logger(service=None, logger_formatter=RedactingFormatter(), use_rfc3339=True)
metrics = Metrics(namespace=METRICS_NAMESPACE)


def count(name: str, value: float = 1) -> None:
    """Add to a counter metric; it is sent when the invocation ends."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Record how many milliseconds the block took, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        metrics.add_metric(name=name, unit=MetricUnit.Milliseconds, value=(time.perf_counter() - start) * 1000)


def flush_metrics() -> None:
    """Send what was counted since the last flush; an invocation that counted nothing sends nothing."""
    if metrics.metric_set:
        metrics.flush_metrics()
