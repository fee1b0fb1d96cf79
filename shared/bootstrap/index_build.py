"""Build what an index build needs, and report what it did as metrics."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.adapters import aws
from shared.adapters.functions import AsyncFunction
from shared.adapters.payloads import PayloadStore
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.downstream import open_repository as open_downstream
from shared.bootstrap.index import index_store
from shared.domain.errors import CredentialsExpiredError, NotFoundError
from shared.domain.index_state import size_class
from shared.observability import logger, record
from shared.use_cases.build_index import build_index
from shared.use_cases.indexing.build_run import BuildReport, BuildRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.ports.configs import ConfigRepository


@cache
def _checkpoints() -> PayloadStore:
    return PayloadStore(aws.client("s3"), settings.payload_bucket())


def run_build(event: Mapping[str, Any]) -> dict[str, Any]:
    """Run one invocation of a build.

    Args:
        event: `org_id`, `build_token`, `user_id`, `deadline` (epoch seconds) and, from the second invocation on,
            `continuation` and `function` (to hand over to).

    Raises:
        Exception: what is no error of ours; the build is marked as failed before.
    """
    run = BuildRun(
        **{name: event[name] for name in ("org_id", "build_token", "user_id")},
        deadline=event["deadline"],
        continuation=event.get("continuation", 0),
        app_url=settings.app_url_template(),
    )

    def open_repository() -> ConfigRepository:
        try:
            token = credentials_store().get(run.build_token, "caller")
        except NotFoundError:
            raise CredentialsExpiredError("The token of this build is gone.") from None
        return open_downstream(token, run.org_id, read_only=True, ends_at=run.deadline)

    start = time.perf_counter()
    report = build_index(
        run,
        catalogue=catalogue(),
        index=index_store(),
        open_repository=open_repository,
        checkpoints=_checkpoints(),
        hand_over=AsyncFunction(
            aws.client("lambda"), event.get("function") or settings.continue_index_function()
        ).invoke,
        now=time.time,
    )
    _record(report, (time.perf_counter() - start) * 1000)
    if report.status != "more":
        credentials_store().delete(run.build_token)
    return {"status": report.status, "code": report.code}


def _record(report: BuildReport, duration_ms: float) -> None:
    for step, step_ms in report.timings_ms.items():
        record("IndexStepDuration", step_ms, step=step)
    if report.status != "more":
        record("IndexBuildsEnded", outcome=report.status)
    if report.status == "done":
        record("IndexBuildDuration", duration_ms, size=size_class(report.indexed))
        record("ResourcesIndexed", report.indexed)
        record("TypesFailed", len(report.failed_types))
    for warning in report.warnings:
        logger.warning("Build left something out", reason=warning)
    for name, reason in report.failed_types.items():
        logger.warning("Type kept its earlier nodes", resource_type=name, reason=reason)
    if report.status == "failed":
        logger.error("Build failed", code=report.code, reason=report.reason)
    logger.info("Build ended", status=report.status, indexed=report.indexed, writes=report.writes)
