"""phase_0: find out whether ended jobs created configs that they did not record, and adopt those.

A claim of an ended job is all that is left of such a create. What that job sent is built again from its own plan, and
looked for among what its own snapshot did not have; so the job at hand plans with lineage and need not guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.errors import DependencyFailedError, NotFoundError, UnknownOutcomeError
from shared.domain.job import JobKind
from shared.domain.plan import Action
from shared.domain.referable_fields import read_referable_fields
from shared.domain.remap import WrittenTarget, build_body
from shared.domain.resource_type import ResourceKey
from shared.use_cases.jobs.payloads import read_pack
from shared.use_cases.writing.adopt_target import Adoption
from shared.use_cases.writing.job_guard import JobGuard
from shared.use_cases.writing.row_work import Workshop
from shared.use_cases.writing.task import Task

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from shared.domain.job import Job
    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.row_commit import Claim
    from shared.use_cases.jobs.step import StepInput, StepPorts


def recover_creates(step: StepInput, ports: StepPorts, job: Job, sources: Collection[ResourceKey]) -> float:
    """Settle the open creates of jobs that have ended, and let go of what else they claimed.

    Args:
        step: the step that asks.
        ports: the world.
        job: the job at hand.
        sources: its closure.

    Returns:
        Seconds until what an ended job sent can no longer be running; 0 where nothing has to be waited for.

    Raises:
        HubError: storage or the target failed; it can run again.
    """
    by_job: dict[tuple[str, str], list[Claim]] = {}
    for claim in _claims_of_others(ports, job, sources):
        by_job.setdefault((claim.org_id, claim.job_id), []).append(claim)
    wait_s = 0.0
    for (org_id, job_id), left in by_job.items():
        earlier = ports.jobs.get_job(org_id, job_id)
        if not earlier.status.final:
            continue
        left_s = max(claim.open_until for claim in left) - ports.now()
        if left_s > 0:
            wait_s = max(wait_s, left_s)
        else:
            _Recovery(step, ports, earlier, ports.open_repository(job, "target")).settle(left)
    return wait_s


def _claims_of_others(ports: StepPorts, job: Job, sources: Collection[ResourceKey]) -> list[Claim]:
    """Return what other sync jobs claim of a closure: the sources, and the targets that they became."""
    entries = ports.lineage.find_entries(job.target_org_id, job.source_org_id, sources)
    targets = [ResourceKey(entry.type, entry.target_id) for entry in entries.values()]
    claims = claims_on(ports, job, sources, targets)
    return [claim for claim in claims if claim.job_id != job.id and claim.kind is JobKind.SYNC]


def claims_on(
    ports: StepPorts, job: Job, sources: Iterable[ResourceKey], targets: Iterable[ResourceKey]
) -> list[Claim]:
    """Return the claims, whoever's, on sources of a job and on targets of it."""
    return [
        *ports.lineage.find_claims(job.target_org_id, job.source_org_id, sources).values(),
        *ports.lineage.find_target_claims(job.target_org_id, targets).values(),
    ]


class _Recovery:
    def __init__(self, step: StepInput, ports: StepPorts, earlier: Job, target: ConfigRepository) -> None:
        self._ports = ports
        self._job = earlier
        self._shop = Workshop(step=step, ports=ports, job=earlier, guard=JobGuard(ports.jobs, step), target=target)

    def settle(self, claims: Sequence[Claim]) -> None:
        """Adopt what was created, in the order of the plan, and release every claim that is decided."""
        creates = {claim.key: claim for claim in claims if claim.action == Action.CREATE and claim.hold.source}
        tasks = self._tasks(creates)
        adoption = Adoption(self._shop, tasks)
        undecided: set[ResourceKey] = set()
        for task in sorted(tasks.values(), key=lambda task: (task.planned.generation, task.key)):
            try:
                self._settle_one(task, creates[task.key], adoption)
            except UnknownOutcomeError:
                undecided.add(task.key)
            except DependencyFailedError:
                # It was not sent: the body names what was not created, or what nobody can tell.
                if any(one.referent in undecided for one in task.planned.resolutions):
                    undecided.add(task.key)
                else:
                    self._release(creates[task.key])
        for claim in claims:
            # That on the target of a create goes with that on its source.
            if claim.key not in tasks:
                self._release(claim)

    def _tasks(self, creates: Mapping[ResourceKey, Claim]) -> dict[ResourceKey, Task]:
        """Return the rows of open creates with the plan that the earlier job had for them; none where that is gone."""
        ports, job = self._ports, self._job
        rows = {row.key: row for row in ports.jobs.list_rows(job.org_id, job.id)}
        self._shop.learn(row for row in rows.values() if row.target_id is not None)
        tasks: dict[ResourceKey, Task] = {}
        for batch in sorted({rows[key].batch for key in creates if key in rows}):
            try:
                pack = read_pack(ports, job, str(batch))
            except NotFoundError:
                continue
            tasks |= {
                planned.key: Task(
                    planned=planned,
                    payload=payload,
                    resource_type=ports.catalogue[planned.key.type],
                    row=rows[planned.key],
                    outcome_unknown=True,
                    open_create=creates[planned.key].sent,
                )
                for planned, payload in pack
                if planned.key in creates
            }
        return tasks

    def _settle_one(self, task: Task, claim: Claim, adoption: Adoption) -> None:
        body = build_body(task.resource_type, task.payload, task.planned, self._shop.id_map, stage="create")
        found = adoption.find_now(task, body)
        if found is None:
            self._release(claim)
            return
        self._ports.lineage.settle_claim(
            self._job, claim, self._shop.lineage_of(task, found.id), inactive=task.planned.activate
        )
        fields = read_referable_fields(self._ports.catalogue, task.key.type, found.payload or {})
        self._shop.id_map[task.key] = WrittenTarget(found.id, fields)

    def _release(self, claim: Claim) -> None:
        self._ports.lineage.settle_claim(self._job, claim, None, inactive=False)
