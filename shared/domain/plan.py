"""What a sync job will do, decided before the first write: a pure function of sources, target, lineage and catalogue.

sources + identifiers --matching--> an action per resource --graph--> generations --> batches
                               \\--> a resolution per reference  (domain.remap builds bodies from them)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.domain.references import FoundReference, Identifiers
from shared.domain.resource_type import EMPTY, Catalogue, ResourceKey
from shared.domain.sync_job import RowError, RowStatus


class Action(StrEnum):
    """What is done for one resource."""

    CREATE = "create"
    PATCH = "patch"
    MATCH = "match"  # patch of a config that the natural key found; lineage is written
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """What phase_0 fetched for one resource of the closure.

    Attributes:
        payload: without secrets, overrides applied; None where it could not be read.
        error: why it could not be read.
        selected: the request named it.
        by_name_only: reached only through portable references (slug, key, role), never by an id.
        overridden: a payload override was applied.
        source_fingerprint: of the payload before the override; needed only where one was applied.
        override_fingerprint: of the override, see `domain.fingerprint.override_fingerprint`.
    """

    key: ResourceKey
    payload: dict[str, Any] | None
    title: str = ""
    error: RowError | None = None
    selected: bool = False
    by_name_only: bool = False
    overridden: bool = False
    source_fingerprint: str = ""
    override_fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetConfig:
    """One config of the target organisation as the snapshot saw it. `payload` may be a list item where no detail was needed."""

    key: ResourceKey
    payload: dict[str, Any]
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEntry:
    """A source config and the target config that it became.

    Attributes:
        source_fingerprint: of the source at the last sync, overrides left out of account.
        target_fingerprint: of the target as read back after our last write.
        override_fingerprint: of the payload override that was applied then, if any.
        origin: `manual_confirm`, or None for entries that a sync wrote.
    """

    type: str
    source_org_id: str
    source_id: str
    target_org_id: str
    target_id: str
    source_fingerprint: str = ""
    target_fingerprint: str = ""
    override_fingerprint: str = ""
    origin: str | None = None
    last_synced_at: str | None = None
    last_sync_job_id: str | None = None


class ResolutionKind(StrEnum):
    """What becomes of a reference."""

    KEEP = "keep"  # portable, external or unknown: stays as it is
    KNOWN = "known"  # the target's identifier is known when planning
    WRITTEN = "written"  # known when the referent's row is written
    DEFERRED = (
        "deferred"  # like WRITTEN, but left out at first: it would close a cycle, or a derived value is not final yet
    )
    LEFT_OUT = "left_out"  # the referent is nowhere: left out with a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """How one found reference of a payload is carried over.

    Attributes:
        referent: the source config that it names; None for external and unknown ones.
        field: the field of the referent that the identifier is (`id`, an alias such as `public_url`).
        value: the identifier to write, for KNOWN.
        siblings: values of the reference's siblings, for KNOWN.
    """

    found: FoundReference
    kind: ResolutionKind
    referent: ResourceKey | None = None
    field: str = "id"
    value: str | None = None
    siblings: Mapping[str, Any] = EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedResource:
    """One resource with all that a step needs to carry it out, its payload apart.

    Attributes:
        target_id: known for PATCH, MATCH and SKIP where something is there to map to.
        target_fields: fields of the existing target that others refer to.
        reason: one sentence for the row's event: why skipped, matched by what, what to set by hand.
        warnings: further events, such as references that were left out or lead outside of the resource types.
        resolve: is written (again) in phase_a5: it yields derived values and has deferred references.
        patch: is patched in phase_b: a deferred reference or a derived value.
        activate: is created inactive and activated by a finalizer.
        rule: the rule of matching that decided: `1`, `2`, `3`, `4`, `4a`, `5`, `6` or `7`.
        create_id: the id to create it under, where the caller chooses it (slug, key, role id, client-chosen UUID).
        record_lineage: a SKIP that pairs source and target for the first time: its lineage is written, nothing else.
        target_fingerprint: of the target as the snapshot saw it, for `record_lineage`.
        remaining: number of links of the longest chain that waits for it: work on the longest first.
    """

    key: ResourceKey
    title: str
    action: Action
    target_id: str | None = None
    target_fields: Mapping[str, Any] = EMPTY
    reason: str = ""
    error: RowError | None = None
    warnings: tuple[str, ...] = ()
    resolutions: tuple[Resolution, ...] = ()
    source_fingerprint: str = ""
    override_fingerprint: str = ""
    generation: int = 0
    batch: int = 0
    resolve: bool = False
    patch: bool = False
    activate: bool = False
    rule: str = ""
    create_id: str | None = None
    record_lineage: bool = False
    target_fingerprint: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of a job.

    Attributes:
        resources: every resource of the closure, in batch order.
        stages: per stage the numbers of the batches that may run at the same time; a batch is a slice of one generation or
            several small consecutive generations. Resources that are skipped or failed by the plan are in no batch
            (`batch` 0); batch numbers start at 1.
    """

    resources: tuple[PlannedResource, ...]
    stages: tuple[tuple[int, ...], ...]


def plan(
    *,
    catalogue: Catalogue,
    source_org_id: str,
    target_org_id: str,
    sources: Mapping[ResourceKey, SourceConfig],
    identifiers: Identifiers,
    targets: Mapping[str, Sequence[TargetConfig]],
    lineage: Mapping[ResourceKey, LineageEntry],
    claimed: Collection[tuple[str, str]],
    referents: Mapping[ResourceKey, SourceConfig] = EMPTY,
    match: str = "heuristic",
    batch_size: int = 50,
) -> Plan:
    """Decide what becomes of every resource of a closure.

    Args:
        catalogue: all resource types.
        source_org_id: the organisation that is read.
        target_org_id: the organisation that is written.
        sources: the closure: what was selected and, with dependencies, all that it leads to. A referent that the source
            answers 404 for stands here with the error code NOT_FOUND and gets no row unless it was selected.
        identifiers: ids and aliases that the source organisation knows; those of `sources` and `referents` are added.
        targets: the snapshot of the target, per type.
        lineage: per source config, of this pair of organisations.
        claimed: (type, target id) that lineage of this source organisation claims.
        referents: unselected referents of a job without dependencies: resolved read-only, they get no row.
        match: `heuristic` or `lineage_only`.
        batch_size: most resources in a batch.

    Returns:
        The same plan for the same input, whatever the order of mappings.
    """
    raise NotImplementedError


def planned_status(planned: PlannedResource, dry_run: bool) -> RowStatus:
    """Return the status that a row has when the plan is written."""
    raise NotImplementedError
