"""Take a sync job in: check the request, keep what the steps need, start the state machine."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol
from uuid import UUID, uuid4, uuid5

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictStr

from shared.domain.errors import ConflictError, ForbiddenError, InvalidRequestError
from shared.domain.resource_type import MAX_ID_BYTES, ResourceKey
from shared.domain.sync_job import Job, JobStatus, iso_time
from shared.use_cases.get_sync_job import job_answer
from shared.use_cases.sync_ports import request_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.domain.sync_job import Places
    from shared.use_cases.sync_ports import Credentials, Executions, Payloads, SyncJobs

MAX_RESOURCES = 1000
MAX_TOKEN_BYTES = 16 * 1024
# The execution ends after a day, and its credentials at the latest a day after that.
_LONGEST_CREDENTIALS_S = 49 * 3600
# Any fixed namespace would do; this one must never change, or a repeated request would make a second job.
_JOB_IDS = UUID("0c1cf1a4-6a2f-5a0e-8f8e-0b0b8f3a8d51")


def _id(value: str) -> str:
    if not 1 <= len(value.encode(errors="replace")) <= MAX_ID_BYTES:
        raise ValueError(f"1 to {MAX_ID_BYTES} bytes are expected")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("control characters are not allowed")
    return value


def _token(value: str) -> str:
    if not 1 <= len(value.encode(errors="replace")) <= MAX_TOKEN_BYTES:
        raise ValueError(f"a token of 1 to {MAX_TOKEN_BYTES:,} bytes is expected")
    return value


Id = Annotated[StrictStr, AfterValidator(_id)]
Token = Annotated[StrictStr, AfterValidator(_token)]


class ResourceSelection(BaseModel):
    """One resource that the request names."""

    type: StrictStr
    id: Id


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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Caller:
    """Who asks, with the token that was verified at the door.

    Attributes:
        expires_at: of the token, epoch seconds; None where it has no end.
    """

    org_id: str
    user_id: str
    token: str
    expires_at: int | None


class Identity(Protocol):
    """What a verified token says."""

    @property
    def user_id(self) -> str:
        """Who acts."""
        ...

    @property
    def expires_at(self) -> int | None:
        """Epoch seconds."""
        ...


class Tokens(Protocol):
    """Verifies tokens that a body carries."""

    def verify_for_org(self, token: str, org_id: str, field: str = "target_auth_token") -> Identity:
        """Return who a token speaks for. Raises ForbiddenError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStores:
    """Where a new job goes.

    Attributes:
        known_types: names of the resource types.
        places: how many jobs run at the same time.
        now: epoch seconds.
    """

    jobs: SyncJobs
    payloads: Payloads
    credentials: Credentials
    executions: Executions
    known_types: Collection[str]
    places: Places
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobIntake(JobStores):
    """Where a new sync job goes, and who verifies the tokens in its request."""

    tokens: Tokens


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SideToken:
    """The token for one side of a job.

    Attributes:
        user_id: who acts.
        expires_at: epoch seconds; None where it has no end.
    """

    token: str
    user_id: str
    expires_at: int | None


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
        direction="push" if caller.org_id == request.source_org_id else "pull",
        source_org_id=request.source_org_id,
        target_org_id=request.target_org_id,
        dry_run=request.dry_run,
        include_dependencies=request.include_dependencies,
        match=request.match,
        activation=request.activation,
        started_at=iso_time(intake.now),
        target_user_id=target.user_id,
        request_hash=_hash(request),
    )
    stored = {"resources": [{"type": key.type, "id": key.id} for key in scope]}
    return start_job(intake, job, stored, {"source": source, "target": target})


def start_job(
    intake: JobIntake,
    job: Job,
    request: Mapping[str, Any],
    sides: Mapping[str, SideToken],
) -> dict[str, Any]:
    """Do `store_and_start` for a sync job and return the contract's `SyncJob`.

    Raises:
        ConflictError: a job with this id has another request.
        TooManyJobsError: as many jobs as allowed are running.
    """
    return job_answer(*store_and_start(intake, job, request, sides))


def store_and_start(
    intake: JobStores,
    job: Job,
    request: Mapping[str, Any],
    sides: Mapping[str, SideToken],
) -> tuple[Job, Mapping[str, int]]:
    """Store a job with its request and tokens, and start its execution; one that cannot be started has failed.

    Args:
        intake: where the job goes.
        job: its header.
        request: what its steps are to do; no token is in it.
        sides: role -> token.

    Returns:
        The job, an earlier one where the request was repeated, and its counters.

    Raises:
        ConflictError: a job with this id has another request, or is somebody else's.
        TooManyJobsError: as many jobs as allowed are running.
    """
    if not intake.jobs.create_job(job, intake.places):
        earlier = intake.jobs.get_job(job.org_id, job.id)
        if (earlier.request_hash, earlier.user_id) != (job.request_hash, job.user_id):
            raise ConflictError("Idempotency-Key: it was used for another request.")
        if earlier.status is not JobStatus.PENDING:
            return earlier, earlier.counts or intake.jobs.total_counts(job.org_id, job.id)
        job = earlier
    latest = int(intake.now) + _LONGEST_CREDENTIALS_S
    try:
        intake.payloads.put(request_key(job.org_id, job.id), dict(request))
        for role, side in sides.items():
            intake.credentials.put(job.id, role, side.token, min(side.expires_at or latest, latest))
        intake.executions.start(job.id, {"org_id": job.org_id, "job_id": job.id})
    except Exception:
        # It runs where only the answer was lost.
        if not intake.jobs.get_job(job.org_id, job.id).execution_id:
            intake.credentials.delete(job.id)
            intake.jobs.finish_job(job, JobStatus.FAILED, iso_time(intake.now), (), {})
            intake.jobs.release_slot(job)
        raise
    return job, {}


def selected(resources: Sequence[ResourceSelection], known_types: Collection[str]) -> list[ResourceKey]:
    """Return what a request names, each resource once.

    Raises:
        InvalidRequestError: a type is unknown.
    """
    for index, one in enumerate(resources):
        if one.type not in known_types:
            raise InvalidRequestError(f"resources[{index}].type: one of {', '.join(sorted(known_types))} is expected.")
    return list(dict.fromkeys(ResourceKey(one.type, one.id) for one in resources))


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


def verified(tokens: Tokens, token: str, org_id: str, field: str) -> SideToken:
    """Return a token of the body once it is known to act for the organisation.

    Raises:
        ForbiddenError: it does not.
    """
    identity = tokens.verify_for_org(token, org_id, field)
    return SideToken(token=token, user_id=identity.user_id, expires_at=identity.expires_at)


def job_id_of(namespace: UUID, org_id: str, idempotency_key: str | None) -> str:
    """Return the id of a new job: the same for the same key of an organisation, random without one.

    Raises:
        InvalidRequestError: the key is too long, or not printable.
    """
    if not idempotency_key:
        return str(uuid4())
    if len(idempotency_key) > MAX_ID_BYTES or not idempotency_key.isprintable():
        raise InvalidRequestError(f"Idempotency-Key: up to {MAX_ID_BYTES} printable characters are expected.")
    return str(uuid5(uuid5(namespace, org_id), idempotency_key))


def _hash(request: SyncJobRequest) -> str:
    """Return a hash of what was asked for; a fresh token does not make it another request."""
    return hash_of(request.model_dump(mode="json", exclude={"target_auth_token", "source_auth_token"}))


def hash_of(asked: Mapping[str, Any]) -> str:
    """Return a hash of what was asked for."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
