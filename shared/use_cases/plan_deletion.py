"""Write the rows of a delete job, in the order in which they are deleted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from shared.domain import deletion
from shared.domain.errors import ConflictError
from shared.domain.job import iso_time
from shared.domain.resource_type import ResourceKey
from shared.use_cases.jobs.payloads import request_key
from shared.use_cases.jobs.step import DONE, JobStoppedError, result

if TYPE_CHECKING:
    from shared.use_cases.jobs.step import StepInput, StepPorts, StepResult


def plan_deletion(step: StepInput, ports: StepPorts) -> StepResult:
    """Start the job under this execution and write its rows; where they stand already, nothing is done.

    Raises:
        NotFoundError: there is no such job.
        HubError: storage failed; the step can run again.
    """
    try:
        job = ports.jobs.start_job(step.org_id, step.job_id, step.execution_id)
    except ConflictError:
        return result("failed", JobStoppedError.code)
    if job.planned:
        return DONE
    request = ports.payloads.get(request_key(step.org_id, step.job_id))
    titles = {ResourceKey(type_name, config_id): title for type_name, config_id, title in request["resources"]}
    uses = [(ResourceKey(*user), ResourceKey(*used)) for user, used in request["uses"]]
    rows = deletion.plan_deletion(ports.catalogue, titles, uses, iso_time(ports.now()))
    ports.jobs.put_rows(job, rows)
    try:
        ports.jobs.mark_planned(
            job,
            total=len(rows),
            stages=[[deletion.BATCH]],
            batches={},
            counts={str(deletion.BATCH): Counter(row.status.counted_as for row in rows)},
            next_seq=0,
        )
    except ConflictError:
        planned = ports.jobs.get_job(step.org_id, step.job_id).planned
        return DONE if planned else result("failed", JobStoppedError.code)
    return DONE
