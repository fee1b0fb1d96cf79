"""Retry what a sync job left unresolved, as a new job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from pydantic import BaseModel, Field

from shared.domain.errors import (
    ConflictError,
    CredentialsExpiredError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
)
from shared.domain.job import Job, JobStatus, iso_time
from shared.domain.resource_type import ResourceKey
from shared.domain.sendable import without_secrets
from shared.use_cases.jobs.closure import Closure
from shared.use_cases.jobs.intake import JobIntake, SideToken, start_job, verified
from shared.use_cases.jobs.payloads import request_key, source_key
from shared.use_cases.jobs.request_fields import Token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.domain.caller import Caller
    from shared.domain.resource_type import Catalogue


class RetryRequest(BaseModel):
    """The body of retrySyncJob; fields that it does not know are ignored."""

    payload_overrides: Annotated[dict[str, dict[str, Any]], Field(max_length=1000)] = Field(default_factory=dict)
    target_auth_token: Token | None = Field(default=None, repr=False)
    source_auth_token: Token | None = Field(default=None, repr=False)


def retry_sync_job(
    intake: JobIntake, catalogue: Catalogue, caller: Caller, job_id: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Create and start a job for the failed, pending and in-progress resources of another one, asked for as that one.

    What names one of those and had to do without goes along, to be completed.
    Its overrides apply again, with those of this request merged over them.

    Args:
        intake: where the job goes.
        catalogue: all resource types.
        caller: who asks.
        job_id: the job to retry.
        body: the request's body.

    Returns:
        The contract's `SyncJob` of the new job.

    Raises:
        ValidationError: a field breaks the contract.
        NotFoundError: this organisation has no such job.
        ConflictError: it still runs, has nothing unresolved, what it was asked for is gone, or a fresh token is needed.
        InvalidRequestError: an override is for a resource that is not retried.
        ForbiddenError: a token belongs to another organisation.
        TooManyJobsError: as many jobs as allowed are running.
    """
    request = RetryRequest.model_validate(body)
    earlier = intake.jobs.get_job(caller.org_id, job_id)
    if not earlier.status.final:
        raise ConflictError("The job still runs: cancel it or wait until it has ended.")
    asked = _scope(intake, earlier)
    _check_overrides(request.payload_overrides, asked["resources"])
    overrides = {
        name: without_secrets(catalogue[name.partition(":")[0]], override)
        for name, override in request.payload_overrides.items()
    }
    sides = _sides(intake, caller, earlier, request)
    job = Job(
        id=str(uuid4()),
        org_id=earlier.org_id,
        user_id=caller.user_id,
        name=earlier.name,
        status=JobStatus.PENDING,
        direction=earlier.direction,
        source_org_id=earlier.source_org_id,
        target_org_id=earlier.target_org_id,
        dry_run=earlier.dry_run,
        include_dependencies=earlier.include_dependencies,
        match=earlier.match,
        activation=earlier.activation,
        started_at=iso_time(intake.now),
        target_user_id=sides["target"].user_id,
        retry_of=earlier.id,
        root_id=earlier.root_id,
    )
    asked["payload_overrides"] = _merged(asked.get("payload_overrides", {}), overrides)
    return start_job(intake, job, asked, sides)


def _scope(intake: JobIntake, earlier: Job) -> dict[str, Any]:
    """Return the request of a retry: what to do again as it was asked for, and what is done and only resolved.

    What was not selected says how it was `reached`: by an `id`, or by `name` only. A job that was not planned is done
    again whole.
    """
    request = _stored(intake, request_key(earlier.org_id, earlier.id))
    if not earlier.planned:
        return request
    rows = list(intake.jobs.list_rows(earlier.org_id, earlier.id))
    if not any(row.status.unresolved for row in rows):
        raise ConflictError("Nothing of the job is unresolved.")
    again = [row.key for row in rows if row.status.unresolved or row.is_lacking]
    done = [list(row.key) for row in rows if not (row.status.unresolved or row.is_lacking)]
    closure = Closure.from_json(_stored(intake, source_key(earlier.org_id, earlier.id, "closure")))
    return {
        "resources": [_asked_again(closure, key) for key in again],
        "finished": [*request.get("finished", ()), *done],
        "payload_overrides": request.get("payload_overrides", {}),
    }


def _asked_again(closure: Closure, key: ResourceKey) -> dict[str, str]:
    entry = {"type": key.type, "id": key.id}
    if key in closure.selected:
        return entry
    return {**entry, "reached": "id" if key in closure.by_id else "name"}


def _stored(intake: JobIntake, key: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = intake.payloads.get(key)
    except NotFoundError:
        message = "What the job was asked for is kept for a few days only: create a new job."
        raise ConflictError(message) from None
    return value


def _merged(earlier: Any, later: Any) -> Any:
    """Return one JSON merge patch for two; where they disagree, the later one wins."""
    if not isinstance(earlier, Mapping) or not isinstance(later, Mapping):
        return later
    return {**earlier, **{name: _merged(earlier.get(name), change) for name, change in later.items()}}


def _check_overrides(overrides: Mapping[str, Any], resources: Iterable[Mapping[str, str]]) -> None:
    scope = {str(ResourceKey(entry["type"], entry["id"])) for entry in resources}
    for name in overrides:
        if name not in scope:
            raise InvalidRequestError(f"payload_overrides: {name[:300]} is not among the resources to retry.")


def _sides(intake: JobIntake, caller: Caller, earlier: Job, request: RetryRequest) -> dict[str, SideToken]:
    """Return both tokens: the caller's own, what the body carries, and for what is left that of the earlier job."""
    own = SideToken(token=caller.token, user_id=caller.user_id, expires_at=caller.expires_at)
    given = {
        "source": (request.source_auth_token, earlier.source_org_id, "source_auth_token"),
        "target": (request.target_auth_token, earlier.target_org_id, "target_auth_token"),
    }
    sides: dict[str, SideToken] = {}
    for role, (token, org_id, field) in given.items():
        if token is not None:
            sides[role] = verified(intake.tokens, token, org_id, field)
        elif org_id == caller.org_id:
            sides[role] = own
        else:
            _check_kept_serves(caller, earlier, request, field)
            sides[role] = _kept(intake, earlier, role, org_id, field)
    return sides


def _check_kept_serves(caller: Caller, earlier: Job, request: RetryRequest, field: str) -> None:
    """Refuse the kept token to everybody but the user who brought it, and for what that user did not ask for then."""
    if caller.user_id != earlier.user_id:
        raise ConflictError(f"{field}: is needed, since the kept one serves only the user who brought it.")
    if request.payload_overrides:
        raise ConflictError(f"{field}: is needed, since the kept one serves no retry with payload_overrides.")


def _kept(intake: JobIntake, earlier: Job, role: str, org_id: str, field: str) -> SideToken:
    """Return the token of the earlier job, to be kept no longer than it would have been there."""
    try:
        kept = intake.credentials.get_kept(earlier.id, role)
        side = verified(intake.tokens, kept.token, org_id, field)
        return replace(side, expires_at=kept.expires_at)
    except (NotFoundError, CredentialsExpiredError, ForbiddenError):
        raise ConflictError(f"{field}: is needed, since the credentials of the job have expired.") from None
