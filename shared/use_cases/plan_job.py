"""phase_0: plan a job and write the plan down as rows, counters, events and batches."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from itertools import batched
from math import ceil
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared.domain.errors import ConflictError
from shared.domain.fingerprint import canonical
from shared.domain.job import Job, iso_time
from shared.domain.memory import remember
from shared.domain.plan import Action, LineageEntry, Plan, PlannedResource, SourceConfig, TargetConfig
from shared.domain.planner import plan, planned_status
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Event, Phase, Row, RowStatus, Work, event_of
from shared.use_cases.jobs.closure import Closure, read_closure, read_identifiers, read_sources
from shared.use_cases.jobs.payloads import finalizer_batch, write_pack
from shared.use_cases.jobs.snapshot import read_snapshot_error, read_targets, was_capped
from shared.use_cases.jobs.step import BLOCKED_WAIT_S, why_stopped
from shared.use_cases.writing.task import work_left

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shared.use_cases.jobs.step import StepInput, StepPorts

# 25,000 events of an execution's history allow 1,500 iterations of Maps; a batch passes up to four of them.
_MAX_BATCHES = 300
# Each stage costs a job the start of a step, a fifth of a second, and at times a cold Lambda; a step has time for more,
# and hands back what is too much.
_BATCH_SIZE = 200
_PAIRS_AT_ONCE = 50
# Contents are kept for 400 days, see `adapters.dynamodb.memory_store`.
_RENEW_AFTER_S = 100 * 24 * 3600
#: Counters of rows that are in no batch.
PLAN_COUNTS = "plan"


def plan_job(step: StepInput, ports: StepPorts, batch_size: int = _BATCH_SIZE) -> Mapping[str, Any]:
    """Plan a job; a plan that stands already is only reported.

    Args:
        step: which job.
        ports: the world.
        batch_size: most resources in a batch, unless the job would have too many batches.

    Returns:
        `status`, `dry_run`, and which batches each phase has; `wait` where another invocation plans.

    Raises:
        NotFoundError: what phase_0 stored is gone.
        HubError: storage failed; the step can run again.
    """
    job = ports.jobs.get_job(step.org_id, step.job_id)
    if stopped := why_stopped(job, step):
        return _answer(job, "failed", stopped)
    if not job.planned:
        # Where another invocation plans by now, or our own last write was done and its answer lost, the header knows.
        with suppress(ConflictError):
            _Planning(ports, ports.jobs.begin_plan(job, uuid4().hex), batch_size).write()
        job = ports.jobs.get_job(step.org_id, step.job_id)
        if stopped := why_stopped(job, step):
            return _answer(job, "failed", stopped)
        if not job.planned:
            return _answer(job, "wait", "BLOCKED")
    return _answer(job, "done", "")


def _answer(job: Job, status: str, code: str) -> dict[str, Any]:
    batches = {f"{work}_batches": list(job.batches.get(work, ())) for work in _LATER_WORK}
    return {
        "status": status,
        "code": code,
        "wait_seconds": BLOCKED_WAIT_S if status == "wait" else 0,
        "dry_run": job.dry_run,
        "has_batches": bool(job.stages) and not job.dry_run,
        "resolve_batches": batches["resolve_batches"],
        "patch_batches": batches["patch_batches"],
        "finalize_batches": batches["activate_batches"],
        "verify_batches": batches["verify_batches"],
    }


_LATER_WORK = (Work.RESOLVE, Work.PATCH, Work.ACTIVATE, Work.VERIFY)


class _Planning:
    def __init__(self, ports: StepPorts, job: Job, batch_size: int) -> None:
        self._ports = ports
        self._job = job
        self._batch_size = batch_size
        self._now = iso_time(ports.now())

    def write(self) -> None:
        ports, job = self._ports, self._job
        closure = read_closure(ports, job.org_id, job.id)
        sources = self._sources(closure)
        entries, inactive = self._lineage(sources)
        targets = {
            type_name: list(read_targets(ports, job.org_id, job.id, type_name)) for type_name in sorted(closure.parts)
        }
        planned = self._plan(closure, sources, targets, entries, inactive)
        resources = planned.resources
        rows = [self._row(one) for one in resources]
        if not job.dry_run:
            self._write_batches(resources, sources)
            found = self._found(resources, targets)
            self._keep_before(resources, found, entries)
            self._record_pairs(resources, sources, found, entries)
        ports.jobs.put_rows(job, rows)
        # Nothing else has written events yet: the same numbers at every try.
        events = [
            replace(event, seq=number) for number, event in enumerate(self._events(closure, resources, rows), start=1)
        ]
        ports.jobs.put_events(job.org_id, job.id, events)
        writing = {row.batch for row in rows if row.next_work is Work.WRITE}
        stages = [[batch for batch in stage if batch in writing] for stage in planned.stages]
        ports.jobs.mark_planned(
            job,
            total=len(rows),
            stages=[stage for stage in stages if stage],
            batches=_batches_by_work(rows),
            counts=_counts(rows),
            next_seq=len(events),
        )

    def _sources(self, closure: Closure) -> dict[ResourceKey, SourceConfig]:
        """Return the closure; where the target could not be looked at, a resource cannot be planned."""
        ports, job = self._ports, self._job
        sources: dict[ResourceKey, SourceConfig] = {}
        for type_name in sorted(closure.parts):
            of_type = read_sources(ports, job.org_id, job.id, closure, [type_name])
            error = read_snapshot_error(ports, job.org_id, job.id, type_name)
            if error is not None and not ports.catalogue[type_name].skip_sync:
                of_type = {
                    key: source if source.error else replace(source, payload=None, error=error)
                    for key, source in of_type.items()
                }
            sources |= of_type
        return sources

    def _lineage(
        self, sources: Mapping[ResourceKey, SourceConfig]
    ) -> tuple[dict[ResourceKey, LineageEntry], set[ResourceKey]]:
        job, lineage = self._job, self._ports.lineage
        entries = lineage.find_entries(job.target_org_id, job.source_org_id, sources)
        return entries, lineage.find_inactive(job.target_org_id, job.source_org_id, entries)

    def _back(self, sources: Mapping[ResourceKey, SourceConfig]) -> dict[ResourceKey, LineageEntry]:
        """Return the entries of the other direction whose target is a config of this job's source."""
        job, lineage = self._job, self._ports.lineage
        origins = lineage.find_claimed_targets(job.source_org_id, job.target_org_id, list(sources))
        entries = lineage.find_entries(job.source_org_id, job.target_org_id, origins.values())
        return {
            key: entries[origin]
            for key, origin in origins.items()
            if origin in entries and entries[origin].target_id == key.id
        }

    def _plan(
        self,
        closure: Closure,
        sources: Mapping[ResourceKey, SourceConfig],
        targets: Mapping[str, Sequence[TargetConfig]],
        entries: Mapping[ResourceKey, LineageEntry],
        inactive: set[ResourceKey],
    ) -> Plan:
        ports, job = self._ports, self._job
        claimed = ports.lineage.find_claimed_targets(
            job.target_org_id, job.source_org_id, [config.key for configs in targets.values() for config in configs]
        )
        return plan(
            catalogue=ports.catalogue,
            source_org_id=job.source_org_id,
            target_org_id=job.target_org_id,
            sources={key: source for key, source in sources.items() if key not in closure.referents},
            identifiers=read_identifiers(ports, job.org_id, job.id),
            targets=targets,
            lineage=entries,
            claimed=frozenset((key.type, key.id) for key in claimed),
            referents={key: source for key, source in sources.items() if key in closure.referents},
            match=job.match,
            activation=job.activation,
            inactive=inactive,
            back=self._back(sources),
            recall=ports.memory.recall,
            batch_size=max(self._batch_size, ceil(len(sources) / _MAX_BATCHES)),
        )

    def _row(self, planned: PlannedResource) -> Row:
        status = planned_status(planned, self._job.dry_run)
        left = work_left(planned) if status is RowStatus.PENDING else ()
        return Row(
            key=planned.key,
            title=planned.title,
            status=status,
            phase=left[0].phase if left else Phase.FETCH_AND_PLAN,
            action=planned.action.value,
            batch=planned.batch if left else 0,
            generation=planned.generation,
            target_id=planned.target_id,
            target_fields=planned.target_fields,
            left=left,
            error=planned.error,
            paired_by=planned.paired_by,
            updated_at=self._now,
        )

    def _write_batches(self, resources: Sequence[PlannedResource], sources: Mapping[ResourceKey, SourceConfig]) -> None:
        packs: dict[str, list[PlannedResource]] = {}
        for planned in resources:
            if planned.batch:
                packs.setdefault(str(planned.batch), []).append(planned)
            if planned.activate:
                packs.setdefault(finalizer_batch(1), []).append(planned)
        for batch, members in packs.items():
            entries = [(planned, sources[planned.key].payload or {}) for planned in members]
            write_pack(self._ports, self._job, batch, entries)

    @staticmethod
    def _found(
        resources: Iterable[PlannedResource], targets: Mapping[str, Sequence[TargetConfig]]
    ) -> dict[ResourceKey, TargetConfig]:
        """Return what is on the target for each resource that is to be written, or is paired."""
        wanted = {ResourceKey(one.key.type, one.target_id): one.key for one in resources if one.target_id is not None}
        return {
            wanted[config.key]: config for configs in targets.values() for config in configs if config.key in wanted
        }

    def _keep_before(
        self,
        resources: Iterable[PlannedResource],
        found: Mapping[ResourceKey, TargetConfig],
        entries: Mapping[ResourceKey, LineageEntry],
    ) -> None:
        """Keep what this job may write over, unless its chain of retries wrote it before: then that is kept already.

        A write finds the target as it is here, or fails.
        """
        to_write = [one for one in resources if one.batch and not self._is_chains_own(entries.get(one.key))]
        for block in batched(to_write, _PAIRS_AT_ONCE, strict=False):
            before: dict[ResourceKey, Mapping[str, Any] | None] = {}
            for one in block:
                entry, target = entries.get(one.key), found.get(one.key)
                lineage = asdict(entry) if entry is not None else None
                before[one.key] = {"payload": target.payload, "lineage": lineage} if target is not None else None
            self._ports.memory.keep_before(self._job, before)

    def _is_chains_own(self, entry: LineageEntry | None) -> bool:
        return self._job.retry_of is not None and entry is not None and entry.chain == self._job.root_id

    def _record_pairs(
        self,
        resources: Iterable[PlannedResource],
        sources: Mapping[ResourceKey, SourceConfig],
        found: Mapping[ResourceKey, TargetConfig],
        entries: Mapping[ResourceKey, LineageEntry],
    ) -> None:
        """Write the lineage of pairs that say the same already, and remember what they say; also what grows old."""
        pairs = [one for one in resources if one.record_lineage or self._grows_old(one, entries.get(one.key))]
        for block in batched(pairs, _PAIRS_AT_ONCE, strict=False):
            contents: dict[str, Any] = {}
            paired = [
                self._pair(
                    one,
                    sources[one.key],
                    found[one.key],
                    entries.get(one.key),
                    contents,
                )
                for one in block
            ]
            self._ports.memory.keep(contents)
            self._ports.lineage.put_entries(paired)

    def _grows_old(self, planned: PlannedResource, entry: LineageEntry | None) -> bool:
        """Tell whether what is remembered of a pair that this plan confirms has to be kept anew, not to end."""
        if entry is None or not entry.base or planned.action is not Action.SKIP or not planned.source_fingerprint:
            return False
        return entry.remembered_at < iso_time(self._ports.now() - _RENEW_AFTER_S)

    def _pair(
        self,
        planned: PlannedResource,
        source: SourceConfig,
        target: TargetConfig,
        earlier: LineageEntry | None,
        contents: dict[str, Any],
    ) -> LineageEntry:
        job, resource_type = self._job, self._ports.catalogue[planned.key.type]
        known = earlier if earlier is not None and earlier.target_id == target.key.id else None
        base = remember(contents, job.org_ids, canonical(resource_type, source.payload or {}))
        left = remember(contents, job.org_ids, canonical(resource_type, target.payload))
        return LineageEntry(
            type=planned.key.type,
            source_org_id=job.source_org_id,
            source_id=planned.key.id,
            target_org_id=job.target_org_id,
            target_id=target.key.id,
            source_fingerprint=planned.source_fingerprint,
            target_fingerprint=planned.target_fingerprint,
            override_fingerprint=planned.override_fingerprint,
            references=planned.references or (known.references if known else ""),
            left_out=known.left_out if known else (),
            base=base,
            left=left,
            stamp=earlier.stamp if earlier else "",
            chain=earlier.chain if earlier else "",
            remembered_at=self._now,
            last_synced_at=(known and known.last_synced_at) or self._now,
            last_sync_job_id=(known and known.last_sync_job_id) or job.id,
        )

    def _events(self, closure: Closure, resources: Sequence[PlannedResource], rows: Sequence[Row]) -> Iterator[Event]:
        for warning in closure.warnings:
            yield self._warning(warning)
        for type_name in sorted(closure.parts):
            if was_capped(self._ports, self._job.org_id, self._job.id, type_name):
                yield self._warning(f"The target has more of type {type_name} than were looked at for matches.")
        for planned, row in zip(resources, rows, strict=True):
            for warning in planned.warnings:
                yield event_of(row, warning)
            if planned.reason or not row.left:
                yield event_of(row, planned.reason)

    def _warning(self, message: str) -> Event:
        return Event(ts=self._now, status=RowStatus.SKIPPED, phase=Phase.FETCH_AND_PLAN, message=message)


def _batches_by_work(rows: Iterable[Row]) -> dict[str, list[int]]:
    found: dict[str, set[int]] = {work: set() for work in _LATER_WORK}
    for row in rows:
        for work in row.left:
            if work in found:
                found[work].add(1 if work is Work.ACTIVATE else row.batch)
    return {work: sorted(numbers) for work, numbers in found.items()}


def _counts(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {PLAN_COUNTS: {}}
    for row in rows:
        batch = counts.setdefault(str(row.batch) if row.batch else PLAN_COUNTS, {})
        batch[row.status.counted_as] = batch.get(row.status.counted_as, 0) + 1
    return counts
