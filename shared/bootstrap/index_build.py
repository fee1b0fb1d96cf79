"""Build what an index build needs, and report what it did as metrics."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.metrics import MetricUnit

from shared import settings
from shared.adapters.downstream.client import DownstreamClient, shared_session
from shared.adapters.downstream.repository import DownstreamRepository
from shared.adapters.dynamodb.rate_budget import DynamoRateBudget
from shared.adapters.functions import AsyncFunction
from shared.adapters.payloads import PayloadStore
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.index import credentials_store
from shared.bootstrap.reads import index_store
from shared.domain.errors import CredentialsExpiredError, NotFoundError
from shared.observability import count, logger, metrics
from shared.use_cases.build_index import BuildReport, BuildRun, build_index

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def _budget_table() -> Any:
    return boto3.resource("dynamodb").Table(settings.sync_jobs_table())


@cache
def _checkpoints() -> PayloadStore:
    return PayloadStore(boto3.client("s3"), settings.payload_bucket())


@cache
def _lambda_client() -> Any:
    return boto3.client("lambda")


def run_build(event: Mapping[str, Any]) -> dict[str, Any]:
    """Run one invocation of a build.

    Args:
        event: `org_id`, `build_token`, `user_id`, `deadline` (epoch seconds), `function` (to hand over to) and, from
            the second invocation on, `continuation`.

    Raises:
        Exception: what is no error of ours; the build is marked as failed before.
    """
    identity = {name: event[name] for name in ("org_id", "build_token", "user_id")}
    run = BuildRun(
        **identity,
        deadline=event["deadline"],
        continuation=event.get("continuation", 0),
        app_url=settings.app_url_template(),
    )

    def open_repository() -> DownstreamRepository:
        try:
            token = credentials_store().get(run.build_token, "caller")
        except NotFoundError:
            raise CredentialsExpiredError("The token of this build is gone.") from None
        client = DownstreamClient(
            token,
            settings.downstream_url_template(),
            budget=DynamoRateBudget(_budget_table(), run.org_id),
            session=shared_session(),
            read_only=True,
            ends_at=run.deadline,
            on_throttled=lambda _host: count("DownstreamThrottled"),
        )
        return DownstreamRepository(client, run.org_id)

    def hand_over(continuation: int) -> None:
        AsyncFunction(_lambda_client(), event["function"]).invoke({**identity, "continuation": continuation})

    start = time.perf_counter()
    report = build_index(
        run,
        catalogue=catalogue(),
        index=index_store(),
        open_repository=open_repository,
        checkpoints=_checkpoints(),
        hand_over=hand_over,
        now=time.time,
    )
    _record(report, (time.perf_counter() - start) * 1000)
    if report.status != "more":
        credentials_store().delete(run.build_token)
    return {"status": report.status, "code": report.code}


def _record(report: BuildReport, duration_ms: float) -> None:
    metrics.add_metric(name="IndexBuildDuration", unit=MetricUnit.Milliseconds, value=duration_ms)
    for step, step_ms in report.timings_ms.items():
        metrics.add_metric(name=f"{step}Duration", unit=MetricUnit.Milliseconds, value=step_ms)
    count("ResourcesIndexed", report.indexed)
    count("TypesFailed", len(report.failed_types))
    for warning in report.warnings:
        logger.warning("Build left something out", reason=warning)
    for name, reason in report.failed_types.items():
        logger.warning("Type kept its earlier nodes", resource_type=name, reason=reason)
    if report.status == "failed":
        logger.error("Build failed", code=report.code, reason=report.reason)
    logger.info("Build ended", status=report.status, indexed=report.indexed, writes=report.writes)
