"""Take a job in: verify its tokens, store it with its request, start its execution once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

from shared.domain.bounds import MAX_ID_BYTES
from shared.domain.errors import ConflictError, InvalidRequestError
from shared.domain.job import Job, JobStatus, iso_time
from shared.use_cases.jobs.answers import job_answer
from shared.use_cases.jobs.payloads import request_key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shared.domain.job import Places
    from shared.domain.ports.jobs import Jobs, Payloads
    from shared.domain.ports.runs import Credentials, Executions
    from shared.domain.ports.tokens import Tokens


# The execution ends after a day, and its credentials at the latest a day after that.
_LONGEST_CREDENTIALS_S = 49 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStores:
    """Where a new job goes.

    Attributes:
        known_types: names of the resource types.
        places: how many jobs run at the same time.
        now: epoch seconds.
    """

    jobs: Jobs
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


def hash_of(asked: Mapping[str, Any]) -> str:
    """Return a hash of what was asked for."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
