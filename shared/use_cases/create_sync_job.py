"""Take a sync job in: check the request, keep what the steps need, start the state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, StrictStr

from shared.domain.errors import ForbiddenError, InvalidRequestError
from shared.domain.job import Activation, Direction, Job, JobStatus, MatchMode, iso_time
from shared.use_cases.jobs.intake import JobIntake, SideToken, hash_of, job_id_of, start_job, verified
from shared.use_cases.jobs.request_fields import MAX_RESOURCES, Id, ResourceSelection, Token, selected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.caller import Caller


# Any fixed namespace would do; this one must never change, or a repeated request would make a second job.
_JOB_IDS = UUID("0c1cf1a4-6a2f-5a0e-8f8e-0b0b8f3a8d51")


class SyncJobRequest(BaseModel):
    """The body of createSyncJob; fields that it does not know are ignored."""

    source_org_id: Id
    target_org_id: Id
    target_auth_token: Token = Field(repr=False)
    source_auth_token: Token | None = Field(default=None, repr=False)
    name: Annotated[StrictStr, Field(max_length=200)] = ""
    dry_run: StrictBool = False
    include_dependencies: StrictBool = True
    match: Literal["heuristic", "lineage_only"] = "heuristic"
    activation: Literal["keep", "follow"] = "keep"
    resources: Annotated[list[ResourceSelection], Field(min_length=1, max_length=MAX_RESOURCES)]


def create_sync_job(
    intake: JobIntake, caller: Caller, body: Mapping[str, Any], idempotency_key: str | None = None
) -> dict[str, Any]:
    """Create a job and start it; a repeat with the same idempotency key answers with the job that is there.

    Args:
        intake: where the job goes.
        caller: who asks.
        body: the request's body.
        idempotency_key: chosen by the caller; None makes a new job each time.

    Returns:
        The contract's `SyncJob`.

    Raises:
        ValidationError: a field breaks the contract.
        InvalidRequestError: an unknown type, the same organisation twice, a pull without a token for the source.
        ForbiddenError: neither organisation is the caller's, or a token belongs to another one.
        ConflictError: the idempotency key was used with another body.
        TooManyJobsError: as many jobs as allowed are running.
    """
    request = SyncJobRequest.model_validate(body)
    scope = selected(request.resources, intake.known_types)
    source, target = _verified_sides(intake, caller, request)
    job = Job(
        id=job_id_of(_JOB_IDS, caller.org_id, idempotency_key),
        org_id=caller.org_id,
        user_id=caller.user_id,
        name=request.name,
        status=JobStatus.PENDING,
        direction=Direction.PUSH if caller.org_id == request.source_org_id else Direction.PULL,
        source_org_id=request.source_org_id,
        target_org_id=request.target_org_id,
        dry_run=request.dry_run,
        include_dependencies=request.include_dependencies,
        match=MatchMode(request.match),
        activation=Activation(request.activation),
        started_at=iso_time(intake.now),
        target_user_id=target.user_id,
        request_hash=_hash(request),
    )
    stored = {"resources": [{"type": key.type, "id": key.id} for key in scope]}
    return start_job(intake, job, stored, {"source": source, "target": target})


def _verified_sides(intake: JobIntake, caller: Caller, request: SyncJobRequest) -> tuple[SideToken, SideToken]:
    if request.source_org_id == request.target_org_id:
        raise InvalidRequestError("target_org_id: another organisation than source_org_id is expected.")
    if caller.org_id not in (request.source_org_id, request.target_org_id):
        raise ForbiddenError("One of source_org_id and target_org_id must be the organisation of your token.")
    if caller.org_id == request.source_org_id:
        source = SideToken(token=caller.token, user_id=caller.user_id, expires_at=caller.expires_at)
    elif request.source_auth_token is None:
        raise InvalidRequestError("source_auth_token: is required where the source is another organisation than yours.")
    else:
        source = verified(intake.tokens, request.source_auth_token, request.source_org_id, "source_auth_token")
    return source, verified(intake.tokens, request.target_auth_token, request.target_org_id, "target_auth_token")


def _hash(request: SyncJobRequest) -> str:
    """Return a hash of what was asked for; a fresh token does not make it another request."""
    return hash_of(request.model_dump(mode="json", exclude={"target_auth_token", "source_auth_token"}))
