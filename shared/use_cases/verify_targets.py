"""finalize: read back what was written, remember its fingerprint, look for identifiers of the source that are left."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.domain.errors import ConflictError, DependencyFailedError, NotFoundError, UnknownOutcomeError
from shared.domain.fingerprint import agree, canonical, equal_where_sent, fingerprint_of
from shared.domain.leftovers import SourceIds, leftover_source_ids, remapped_ids
from shared.domain.memory import content_hash, references_hash, remember
from shared.domain.plan import Action, ResolutionKind
from shared.domain.referable_fields import read_referable_fields
from shared.domain.remap import (
    WrittenTarget,
    build_body,
    written_references,
)
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus, Work, event_of, suspicion
from shared.domain.row_commit import DONE_BEHIND_A_CUT_S, RowCommit
from shared.domain.sendable import without_secrets
from shared.domain.since_last_sync import turned
from shared.use_cases.jobs.closure import read_identifiers
from shared.use_cases.writing.adopt_target import Adoption
from shared.use_cases.writing.batch_run import Perform, work_through
from shared.use_cases.writing.row_work import BlockedError, OpenOutcomeError, Workshop, is_completed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from shared.domain.plan import LineageEntry
    from shared.domain.ports.configs import Payload
    from shared.domain.row import Row
    from shared.domain.step_result import StepResult
    from shared.use_cases.jobs.step import StepInput, StepPorts
    from shared.use_cases.writing.task import Task

_MAX_LEFTOVERS = 10
_MAX_LEFT_OUT = 20
_MAX_DOUBLES = 5
# What a create that was sent again may have made beside is looked for this long after its last lost answer.
_LATE_CREATE_S = 5
# The same where an API was seen to work on behind its answers.
_LATEST_COMMIT_S = 65


def verify_targets(step: StepInput, ports: StepPorts) -> StepResult:
    """Verify the resources of one batch; only this makes a row `created` or `patched`.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, str(step.batch), Work.VERIFY, _verify)


def _verify(shop: Workshop, tasks: Mapping[ResourceKey, Task]) -> Perform:
    rows = list(shop.ports.jobs.list_rows(shop.job.org_id, shop.job.id)) if tasks else []
    remapped = _remapped(shop, rows) if tasks else SourceIds.of(())
    unwritten = {row.key for row in rows if row.status.unresolved and row.next_work is not Work.VERIFY}
    late_create_s, late_update_s = _LATE_CREATE_S, DONE_BEHIND_A_CUT_S
    if any(row.outlived for row in rows):
        late_create_s = late_update_s = _LATEST_COMMIT_S
    shop.remember_lineage(tasks)
    ways_back = _ways_back(shop, tasks)
    adoption = Adoption(shop, tasks)
    pinned = _Pinned(shop)

    def verify(task: Task) -> RowCommit:
        if task.row.action == Action.SKIP:
            return _settle_what_another_job_made(shop, task)
        last_look = task.row.lost_at + late_create_s if task.row.sends > 1 else 0
        # What the last write said may come once more: it says the same.
        undoing = task.pinned | {task.key} if task.row.superseded else task.pinned
        lost = [shop.unanswered[key] for key in undoing if key in shop.unanswered]
        settled_at = max([last_look, *(at + late_update_s for at in lost)])
        if shop.ports.now() < settled_at:
            raise OpenOutcomeError(settled_at)
        target_id = task.row.target_id or ""
        payload = without_secrets(task.resource_type, shop.read_target(task))
        content = canonical(task.resource_type, payload)
        moved = pinned.has_moved(task)
        verified = _is_ours(shop, task, payload, content, moved=moved)
        stamp = task.row.stamp
        if not verified and _may_write_again(shop, task):
            payload = _write_again(shop, task)
            content = canonical(task.resource_type, payload)
            verified = _is_ours(shop, task, payload, content, moved=moved)
        left = leftover_source_ids(task.resource_type, task.payload, payload, remapped, task.planned.resolutions)
        row = replace(
            shop.advance(task, target_id, pinned.fields_of(task.key, payload)),
            leftovers=tuple(dict.fromkeys(identifier for _, identifier in left))[:_MAX_LEFTOVERS],
            doubles=_doubles(shop, adoption, task, last_look) if last_look else (),
            is_lacking=_is_lacking(shop, task, unwritten),
        )
        memories: dict[str, Any] = {}
        entry = _entry(shop, task, content, memories, verified=verified)
        warnings = [suspicion(row)] if row.doubles else []
        warnings += [f"The identifier {identifier} of the source is left at {pointer}." for pointer, identifier in left]
        if not entry.target_fingerprint:
            warnings.append("CHANGED_MEANWHILE: the target does not say what this job sent; the next sync looks again.")
        way_back = ways_back.get(ResourceKey(task.key.type, target_id))
        return RowCommit(
            before=task.row,
            after=row,
            events=tuple(event_of(row, message) for message in (task.planned.reason, *warnings[:_MAX_LEFTOVERS])),
            lineage=entry,
            if_stamp=stamp,
            # Where an earlier write came late, what it says of the flag is not what was meant to stand.
            inactive=True if task.planned.activate and not entry.target_fingerprint else None,
            way_back=_refreshed(way_back, entry) if way_back is not None and entry.target_fingerprint else None,
            memories=memories,
        )

    return verify


def _is_lacking(shop: Workshop, task: Task, unwritten: Collection[ResourceKey]) -> bool:
    """Tell whether a row names what is not there yet, or pins a value of what will be written again."""
    named = {one.referent for one in task.planned.resolutions if one.referent in unwritten}
    return any(referent not in shop.id_map or referent in task.pinned for referent in named)


def _doubles(shop: Workshop, adoption: Adoption, task: Task, not_before: float) -> tuple[str, ...]:
    """Look once more for what the creates of a row made beside its target."""
    try:
        body = build_body(task.resource_type, task.payload, task.planned, shop.id_map, stage="create")
        return tuple(adoption.find_doubles(task, body, not_before))[:_MAX_DOUBLES]
    except (DependencyFailedError, UnknownOutcomeError):
        return ()


class _Pinned:
    """The fields by which others name configs of which an update may have come late: read once more, each once."""

    def __init__(self, shop: Workshop) -> None:
        self._shop = shop
        self._lock = threading.Lock()
        self._before = {key: shop.id_map[key] for key in shop.unanswered.keys() & shop.id_map.keys()}
        self._now: dict[ResourceKey, WrittenTarget] = {}

    def has_moved(self, task: Task) -> bool:
        """Tell whether something that a row pins a value of has another one than when the step began."""
        shop, pinned = self._shop, sorted(self._before.keys() & task.pinned)
        for key in pinned:
            if key not in self._now:
                self._take(key, shop.target.get_config(shop.ports.catalogue[key.type], self._before[key].id))
        return any(self._now[key] != self._before[key] for key in pinned)

    def fields_of(self, key: ResourceKey, payload: Payload) -> Mapping[str, Any]:
        """Return the fields of a config that was read back."""
        if key in self._before:
            self._take(key, payload)
        return self._shop.id_map[key].fields

    def _take(self, key: ResourceKey, payload: Payload) -> None:
        fields = read_referable_fields(self._shop.ports.catalogue, key.type, payload)
        with self._lock:  # whoever reads it first: all see the same
            known = self._now.setdefault(key, WrittenTarget(self._before[key].id, fields))
            self._shop.id_map[key] = known


def _is_ours(shop: Workshop, task: Task, found: Payload, content: Any, *, moved: bool) -> bool:
    """Tell whether a read-back is what the job wrote.

    Args:
        shop: what the workers share.
        task: the row.
        found: what was read back, without secrets.
        content: its canonical content.
        moved: something that it pins a value of has another one since.
    """
    if not moved and agree(task.row.answer, fingerprint_of(task.resource_type, content)):
        return True
    if _holds_what_was_sent(shop, task, found):
        return True
    # Where the server has a form of its own for what it is sent, two writes of the same lead to the same.
    orgs, earlier = shop.job.org_ids, shop.lineage_before.get(task.key)
    return (
        earlier is not None
        and earlier.base == content_hash(orgs, canonical(task.resource_type, task.payload))
        and earlier.left == content_hash(orgs, content)
    )


def _may_write_again(shop: Workshop, task: Task) -> bool:
    """Tell whether what is read back may be what an update of this job did that came late."""
    return shop.may_be_undone(task) and task.last_writer is None and task.resource_type.update is not None


def _write_again(shop: Workshop, task: Task) -> Payload:
    """Write a resource as it is to stand in the end, and return what is read back, without secrets."""
    stage = task.whole_stage
    final, current = replace(task.planned, activate=False), shop.read_target(task)
    body = build_body(task.resource_type, task.payload, final, shop.id_map, stage=stage, target_payload=current)
    task.row = shop.stamped(task, task.row, shop.send_update(task, task.row.target_id or "", body))
    return without_secrets(task.resource_type, shop.read_target(task))


def _entry(shop: Workshop, task: Task, content: Any, memories: dict[str, Any], *, verified: bool) -> LineageEntry:
    """Return what is recorded of a read-back; without fingerprints where it is not what was written.

    Args:
        shop: what the workers share.
        task: the row.
        content: what was read back, canonical.
        memories: takes the contents that the entry names.
        verified: it is what was written.
    """
    resource_type, planned, orgs = task.resource_type, task.planned, shop.job.org_ids
    written = written_references(planned, shop.id_map)
    left_out = [one.found.pointer for one in planned.resolutions if one.kind is ResolutionKind.LEFT_OUT]
    return shop.lineage_of(
        task,
        task.row.target_id or "",
        source_fingerprint=planned.source_fingerprint if verified else "",
        target_fingerprint=fingerprint_of(resource_type, content) if verified else "",
        references=references_hash(written),
        left_out=tuple(left_out[:_MAX_LEFT_OUT]),
        base=remember(memories, orgs, canonical(resource_type, task.payload)),
        left=remember(memories, orgs, content),
        remembered_at=shop.now_text(),
        stamp=task.row.stamp,
    )


def _holds_what_was_sent(shop: Workshop, task: Task, found: Payload) -> bool:
    """Tell whether a target says what the last write of a row sent."""
    stage = task.whole_stage
    # By now it is activated.
    planned = replace(task.planned, activate=False)
    try:
        body = build_body(task.resource_type, task.payload, planned, shop.id_map, stage=stage, target_payload=found)
    except DependencyFailedError:
        return False
    return equal_where_sent(task.resource_type, body, found)


def _ways_back(shop: Workshop, tasks: Collection[ResourceKey]) -> dict[ResourceKey, LineageEntry]:
    """Return, per target config, the entry by which it went to the source organisation before, or came from there."""
    job, lineage = shop.job, shop.ports.lineage
    origins = lineage.find_claimed_targets(job.source_org_id, job.target_org_id, list(tasks))
    return lineage.find_entries(job.source_org_id, job.target_org_id, origins.values()) if origins else {}


def _refreshed(way_back: LineageEntry, entry: LineageEntry) -> LineageEntry:
    """Return the entry of the other direction, which knows by now what both sides say.

    After an override the two sides differ: then the entry keeps what its own last sync left.
    """
    if way_back.target_id != entry.source_id or entry.override_fingerprint:
        return way_back
    other = turned(entry)
    return replace(other, stamp=way_back.stamp, chain=way_back.chain, origin=way_back.origin)


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
            raise ConflictError(f"Sync job {other} began it and ended before it was complete: a retry completes it.")
    row = replace(task.row, status=RowStatus.SKIPPED, left=(), updated_at=shop.now_text())
    return RowCommit(before=task.row, after=row, events=(event_of(row, f"Sync job {other} completed it."),))


def _runs(shop: Workshop, job_id: str) -> bool:
    """Tell whether a job between the two organisations runs; either of them may have created it."""
    for org_id in (shop.job.source_org_id, shop.job.target_org_id):
        with suppress(NotFoundError):
            return not shop.ports.jobs.get_job(org_id, job_id).status.final
    return False


def _remapped(shop: Workshop, rows: Iterable[Row]) -> SourceIds:
    job = shop.job
    written = {row.key: WrittenTarget(row.target_id, row.target_fields) for row in rows if row.target_id is not None}
    return remapped_ids(shop.ports.catalogue, read_identifiers(shop.ports, job.org_id, job.id), written)
