"""Build what the steps of a sync job need."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from shared import settings
from shared.adapters.credentials import CredentialsStore
from shared.adapters.downstream.client import DownstreamClient, shared_session
from shared.adapters.downstream.repository import DownstreamRepository
from shared.adapters.dynamodb.lineage_store import LineageStore
from shared.adapters.dynamodb.rate_budget import DynamoRateBudget
from shared.adapters.dynamodb.sync_commits import RowCommits
from shared.adapters.dynamodb.sync_store import SyncStore
from shared.adapters.payloads import PayloadStore
from shared.bootstrap.catalogue import catalogue
from shared.domain.errors import CredentialsExpiredError, NotFoundError
from shared.observability import count, logger
from shared.use_cases.sync_ports import StepInput, SyncPorts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from shared.domain.sync_job import Job


@cache
def dynamodb() -> DynamoDBClient:
    """Return the client that takes and gives Python values; its pool serves guard, writer and workers at once."""
    return boto3.resource("dynamodb", config=Config(max_pool_connections=32)).meta.client


@cache
def credentials_store() -> CredentialsStore:
    """Return the tokens of runs."""
    table = boto3.resource("dynamodb").Table(settings.credentials_table())
    return CredentialsStore(table, boto3.client("kms"), settings.credentials_key_id())


@cache
def sync_store() -> SyncStore:
    """Return headers, rows and activity logs of jobs."""
    return SyncStore(
        dynamodb(), settings.sync_jobs_table(), settings.sync_resources_table(), _name(settings.index_table)
    )


@cache
def _payloads() -> PayloadStore:
    return PayloadStore(boto3.client("s3", config=Config(max_pool_connections=32)), _name(settings.payload_bucket))


def _name(read: Callable[[], str]) -> str:
    """Return a name that not every function has; one that has not fails where it uses it."""
    try:
        return read()
    except settings.MissingSettingError:
        return ""


def ports(step: StepInput) -> SyncPorts:
    """Return what a step works with.

    Args:
        step: ends the waiting of the downstream clients in time.
    """
    lineage_table = _name(settings.lineage_table)
    return SyncPorts(
        catalogue=catalogue(),
        jobs=sync_store(),
        commits=RowCommits(
            dynamodb(),
            settings.sync_jobs_table(),
            settings.sync_resources_table(),
            lineage_table,
            _name(settings.index_table),
        ),
        lineage=LineageStore(dynamodb(), lineage_table),
        payloads=_payloads(),
        open_repository=lambda job, role: _open_repository(job, role, step.deadline),
        now=time.time,
        sleep=time.sleep,
        count=count,
        log_failure=_log_failure,
    )


def _open_repository(job: Job, role: str, ends_at: float) -> DownstreamRepository:
    org_id = job.source_org_id if role == "source" else job.target_org_id
    try:
        token = credentials_store().get(job.id, role)
    except NotFoundError:
        raise CredentialsExpiredError(f"The job's token for its {role} is gone.") from None
    client = DownstreamClient(
        token,
        settings.downstream_url_template(),
        budget=DynamoRateBudget(_budget_table(), org_id),
        session=shared_session(),
        read_only=role == "source",
        ends_at=ends_at,
        on_throttled=lambda _host: count("DownstreamThrottled"),
    )
    return DownstreamRepository(client, org_id)


@cache
def _budget_table() -> Any:
    return boto3.resource("dynamodb").Table(settings.sync_jobs_table())


def _log_failure(resource_type: str, error: Exception) -> None:
    logger.error("Row failed", resource_type=resource_type, exc_info=error)


def run_step(
    step: Callable[[StepInput, SyncPorts], Mapping[str, Any]],
) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
    """Return a step that reads its input from the task's event and works on the real world."""

    def run(event: dict[str, Any]) -> Mapping[str, Any]:
        task = StepInput.from_event(event)
        return step(task, ports(task))

    return run
