"""finalize: read back what was written, remember its fingerprint, look for identifiers of the source that are left."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.errors import ConflictError, NotFoundError
from shared.domain.fingerprint import fingerprint
from shared.domain.plan import Action
from shared.domain.references import without_secrets
from shared.domain.remap import WrittenTarget, leftover_source_ids, remapped_identifiers
from shared.domain.row_commit import RowCommit
from shared.domain.sync_job import RowStatus, Work, event_of
from shared.use_cases.closure import read_identifiers
from shared.use_cases.write_rows import BlockedError, Perform, Task, Workshop, is_completed, work_through

if TYPE_CHECKING:
    from collections.abc import Collection

    from shared.domain.plan import LineageEntry
    from shared.use_cases.sync_ports import StepInput, StepResult, SyncPorts

_MAX_LEFTOVERS = 10


def verify_targets(step: StepInput, ports: SyncPorts) -> StepResult:
    """Verify the resources of one batch; only this makes a row `created` or `patched`.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, str(step.batch), Work.VERIFY, _verify)


def _verify(shop: Workshop, tasks: object) -> Perform:
    remapped: Collection[str] = _remapped(shop) if tasks else ()

    def verify(task: Task) -> RowCommit:
        if task.row.action == Action.SKIP:
            return _settle_what_another_job_made(shop, task)
        target_id = task.row.target_id or ""
        payload = without_secrets(task.resource_type, shop.target.get_config(task.resource_type, target_id))
        left = leftover_source_ids(task.resource_type, payload, remapped)
        row = replace(
            shop.advance(task, target_id, task.row.target_fields),
            leftovers=tuple(dict.fromkeys(identifier for _, identifier in left))[:_MAX_LEFTOVERS],
        )
        warnings = [f"The identifier {identifier} of the source is left at {pointer}." for pointer, identifier in left]
        return RowCommit(
            before=task.row,
            after=row,
            events=tuple(event_of(row, message) for message in (task.planned.reason, *warnings[:_MAX_LEFTOVERS])),
            lineage=shop.lineage_of(task, target_id, fingerprint(task.resource_type, payload)),
        )

    return verify


def _settle_what_another_job_made(shop: Workshop, task: Task) -> RowCommit:
    """Skip a config that another job created once that job has completed it; waiting here holds nobody up.

    Raises:
        BlockedError: that job still runs.
        ConflictError: it ended and left the config half done.
    """
    job, lineage = shop.job, shop.ports.lineage

    def entry() -> LineageEntry | None:
        return lineage.find_entries(job.target_org_id, job.source_org_id, [task.key]).get(task.key)

    found = entry()
    other = found.last_sync_job_id if found else None
    if found is None or not is_completed(task, found):
        if other is not None and _runs(shop, other):
            raise BlockedError(f"Sync job {other} works on it.")
        # It may have completed it before it ended.
        found = entry()
        if found is None or not is_completed(task, found):
            raise ConflictError(f"Sync job {other} created it and ended before it was complete: a retry completes it.")
    row = replace(task.row, status=RowStatus.SKIPPED, left=(), updated_at=shop.now_text())
    return RowCommit(before=task.row, after=row, events=(event_of(row, f"Sync job {other} completed it."),))


def _runs(shop: Workshop, job_id: str) -> bool:
    """Tell whether a job between the two organisations runs; either of them may have created it."""
    for org_id in (shop.job.source_org_id, shop.job.target_org_id):
        with suppress(NotFoundError):
            return not shop.ports.jobs.get_job(org_id, job_id).status.final
    return False


def _remapped(shop: Workshop) -> Collection[str]:
    job = shop.job
    written = {
        row.key: WrittenTarget(row.target_id, row.target_fields)
        for row in shop.ports.jobs.list_rows(job.org_id, job.id)
        if row.target_id is not None
    }
    return remapped_identifiers(read_identifiers(shop.ports, job.org_id, job.id), written)
