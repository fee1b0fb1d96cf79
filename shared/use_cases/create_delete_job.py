"""Take a delete job in: check the selection, say what else uses it, start the state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, StrictStr

from shared.domain.job import Direction, Job, JobKind, JobStatus, MatchMode, iso_time
from shared.domain.resource_type import ResourceKey
from shared.use_cases.jobs.answers import delete_job_answer
from shared.use_cases.jobs.intake import SideToken, hash_of, job_id_of, store_and_start
from shared.use_cases.jobs.request_fields import MAX_RESOURCES, ResourceSelection, selected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.domain.caller import Caller
    from shared.domain.ports.index import IndexReader
    from shared.use_cases.jobs.intake import JobStores

# Another namespace than that of sync jobs, so that one key can be used for both.
_JOB_IDS = UUID("5b0e6f0d-7c55-5d27-9f0a-3a2c1e8c6b94")
#: Beyond these only the number is told.
MAX_WARNINGS = 1000
MAX_USES_A_WARNING = 20


class DeletedResource(ResourceSelection):
    """One resource to delete; the title is for people who read the list of rows."""

    title: Annotated[StrictStr, Field(max_length=1000)] = ""


class DeleteJobRequest(BaseModel):
    """The body of createDeleteJob; fields that it does not know are ignored."""

    name: Annotated[StrictStr, Field(max_length=200)] = ""
    resources: Annotated[list[DeletedResource], Field(min_length=1, max_length=MAX_RESOURCES)]


def create_delete_job(
    intake: JobStores,
    index: IndexReader,
    caller: Caller,
    body: Mapping[str, Any],
    idempotency_key: str | None = None,
) -> dict[str, Any]:
    """Create a job and start it; a repeat with the same idempotency key answers with the job that is there.

    Args:
        intake: where the job goes.
        index: says what uses the selected configs: for the order and for the warnings.
        caller: who asks; the job deletes with this token, in its organisation.
        body: the request's body.
        idempotency_key: chosen by the caller; None makes a new job each time.

    Returns:
        The contract's `DeleteJob` with `warnings`: the configs that use a selected one and are not selected.

    Raises:
        ValidationError: a field breaks the contract.
        InvalidRequestError: an unknown type.
        ConflictError: the idempotency key was used with another body.
        TooManyJobsError: as many jobs as allowed are running.
        StorageThrottledError: the tables are busy.
    """
    request = DeleteJobRequest.model_validate(body)
    scope = selected(request.resources, intake.known_types)
    titles = {ResourceKey(one.type, one.id): one.title for one in reversed(request.resources)}
    state = index.find_state(caller.org_id)
    readable = state is not None and state.has_nodes(intake.now)
    users = index.load_users(caller.org_id, scope) if readable else {}
    edges = [(user, used) for used in scope for user in users.get(used, ())]
    summaries = index.find_summaries(caller.org_id, [key for key in scope if not titles[key]]) if readable else {}
    job = Job(
        id=job_id_of(_JOB_IDS, caller.org_id, idempotency_key),
        kind=JobKind.DELETE,
        org_id=caller.org_id,
        user_id=caller.user_id,
        name=request.name,
        status=JobStatus.PENDING,
        direction=Direction.NONE,
        source_org_id=caller.org_id,
        target_org_id=caller.org_id,
        target_user_id=caller.user_id,
        dry_run=False,
        include_dependencies=False,
        match=MatchMode.LINEAGE_ONLY,
        started_at=iso_time(intake.now),
        total=len(scope),
        request_hash=hash_of(request.model_dump(mode="json")),
    )
    stored = {
        "resources": [[*key, titles[key] or summaries.get(key, {}).get("title") or ""] for key in scope],
        "uses": [[[user["type"], user["id"]], list(used)] for user, used in edges if _key(user) in titles],
    }
    token = SideToken(token=caller.token, user_id=caller.user_id, expires_at=caller.expires_at)
    taken = store_and_start(intake, job, stored, {"target": token})
    warnings = _warnings([(user, used) for user, used in edges if _key(user) not in titles])
    return {
        **delete_job_answer(*taken),
        "warnings": warnings[:MAX_WARNINGS],
        "warnings_total": len(warnings),
        "index_status": state.status_at(intake.now) if state else "missing",
    }


def _key(summary: Mapping[str, Any]) -> ResourceKey:
    return ResourceKey(summary["type"], summary["id"])


def _warnings(edges: Sequence[tuple[Mapping[str, Any], ResourceKey]]) -> list[dict[str, Any]]:
    found: dict[ResourceKey, dict[str, Any]] = {}
    for user, used in edges:
        warning = found.setdefault(
            _key(user), {"type": user["type"], "id": user["id"], "title": user.get("title") or "", "uses": []}
        )
        if len(warning["uses"]) < MAX_USES_A_WARNING:
            warning["uses"].append({"type": used.type, "id": used.id})
    return [found[key] for key in sorted(found)]
