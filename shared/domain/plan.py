"""The parts of a plan: what a sync job will do to each resource and each reference of its closure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.immutable import EMPTY
from shared.domain.resource_type import ResourceKey, Strength

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.references import (
        FoundReference,
    )
    from shared.domain.row import RowError


#: Provenance of a lineage entry that a person confirmed.
MANUAL_CONFIRM = "manual_confirm"


class Action(StrEnum):
    """What is done for one resource."""

    CREATE = "create"
    PATCH = "patch"
    MATCH = "match"  # patch of a config that the natural key found; lineage is written
    SKIP = "skip"
    FAIL = "fail"


class Rule(StrEnum):
    """The rule by which a source config found its target, or why it has none: docs/matching.md."""

    UNREADABLE = "unreadable"  # the source config could not be read
    UNSUPPORTED = "unsupported"  # the API can neither create nor update
    PLATFORM_OWNED = "platform_owned"  # the platform's own, or never overwritten
    BY_NAME = "by_name"  # only named, never by an id: what is there stays
    LINEAGE = "lineage"  # paired before
    WAY_BACK = "way_back"  # it came from there
    SAME_ID = "same_id"  # its id is the same in every organisation
    NATURAL_KEY = "natural_key"  # what tells it apart for people is the same
    AMBIGUOUS = "ambiguous"  # several could be it
    NEW = "new"  # nothing is there


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
    """One config of the target organisation as the snapshot saw it; not `whole` where it is a list item only."""

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
        references: hash of what was written for each reference, see `domain.memory.references_hash`.
        left_out: JSON pointers of references that were left out then, 20 at most.
        base: hash of the content as it was sent last, references as they are in the source: a key of the memory.
        left: hash of the target's content as it was read back after that: a key of the memory.
        stamp: name of the last write; who verifies a write records only where it is still his.
        verified: `stamp` of the write that was verified last.
        chain: root of the retry chain of jobs that wrote last.
        remembered_at: when `base` and `left` were last kept, ISO 8601.
        origin: `manual_confirm`, or None for entries that a sync wrote.
        confirmed_by, confirmed_at: the user who confirmed it by hand, and when (ISO 8601).
    """

    type: str
    source_org_id: str
    source_id: str
    target_org_id: str
    target_id: str
    source_fingerprint: str = ""
    target_fingerprint: str = ""
    override_fingerprint: str = ""
    references: str = ""
    left_out: tuple[str, ...] = ()
    base: str = ""
    left: str = ""
    stamp: str = ""
    verified: str = ""
    chain: str = ""
    remembered_at: str = ""
    origin: str | None = None
    last_synced_at: str | None = None
    last_sync_job_id: str | None = None
    confirmed_by: str | None = None
    confirmed_at: str | None = None

    @property
    def paired_by(self) -> str:
        """Who paired the two by hand, until a sync has made it its own; empty where nobody did."""
        if self.origin != MANUAL_CONFIRM or self.last_sync_job_id is not None:
            return ""
        return self.confirmed_by or "unknown"

    @property
    def half_done(self) -> bool:
        """A job wrote the target and did not come to read it back: something may be left to do for it."""
        is_verified = bool(self.target_fingerprint or (self.stamp and self.stamp == self.verified))
        return self.last_sync_job_id is not None and not is_verified


class ResolutionKind(StrEnum):
    """What becomes of a reference."""

    KEEP = "keep"  # portable, external or unknown: stays as it is
    KNOWN = "known"  # the target's identifier is known when planning
    WRITTEN = "written"  # known when the referent's row is written
    DEFERRED = "deferred"  # like WRITTEN, but left out at first: it closes a cycle or a derived value is not final
    LEFT_OUT = "left_out"  # the referent is nowhere: left out with a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """How one found reference of a payload is carried over.

    Attributes:
        referent: the source config that it names; None for external and unknown ones.
        field: the field of the referent that the identifier is (`id`, an alias such as `public_url`).
        value: the identifier to write, for KNOWN. For WRITTEN and DEFERRED a provisional one that will do until the
            referent is written, if there is one. A portable reference (`found.portable`) needs none: it is never
            rewritten.
        siblings: values of the reference's siblings, for KNOWN; provisional ones as `value`.
        position: which of the values, where `field` has wildcards.
    """

    found: FoundReference
    kind: ResolutionKind
    referent: ResourceKey | None = None
    field: str = "id"
    value: str | None = None
    siblings: Mapping[str, Any] = EMPTY
    position: int = 0

    @property
    def hard(self) -> bool:
        """The config cannot be written without the referent."""
        reference = self.found.reference
        return reference is not None and (reference.required or reference.strength is Strength.HARD)


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
        follows: a patch writes the source's active flag; else the target's stays.
        rule: the rule of matching that decided; None where there was none to ask.
        paired_by: the user who paired it with its target by hand, where no sync has used that pair yet.
        create_id: the id to create it under, where the caller chooses it (slug, key, role id, client-chosen UUID).
        record_lineage: a SKIP whose lineage is written, nothing else: both sides say the same, and no entry knows.
        references: hash of its references as they stand on the target, for `record_lineage`.
        removals: top-level properties to take away, with the value that does it: the source dropped them.
        target_fingerprint: of the target as the snapshot saw it; a write finds it so, or fails.
        remaining: length of the longest chain of dependents; the longest goes first.
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
    follows: bool = False
    rule: Rule | None = None
    paired_by: str = ""
    create_id: str | None = None
    record_lineage: bool = False
    references: str = ""
    removals: Mapping[str, Any] = EMPTY
    target_fingerprint: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The plan of a job.

    Attributes:
        resources: every resource of the closure, in batch order.
        stages: per stage the numbers of the batches that may run at the same time; a batch is a slice of one generation
            or several small consecutive generations. Resources that are skipped or failed by the plan are in no batch
            (`batch` 0); batch numbers start at 1.
    """

    resources: tuple[PlannedResource, ...]
    stages: tuple[tuple[int, ...], ...]
