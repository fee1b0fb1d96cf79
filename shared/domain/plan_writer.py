"""Write a plan down: an order, a resolution per reference, and what a person has to know of each row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.domain.fingerprint import canonical
from shared.domain.graph import Order, cut_batches
from shared.domain.immutable import EMPTY
from shared.domain.paths import find_value, is_plain, values_at
from shared.domain.plan import Action, Plan, PlannedResource, Resolution, ResolutionKind
from shared.domain.plan_state import Node, PlanState, Standing
from shared.domain.since_last_sync import conflict_note, conflicts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.domain.links import Link
    from shared.domain.resource_type import ResourceKey

#: As many conflicts of a row are told one by one.
_MAX_CONFLICTS = 10


class PlanWriter:
    """Writes down what was decided.

    Args:
        state: the rows, decided.
    """

    def __init__(self, state: PlanState) -> None:
        self._state = state

    def write_plan(self, ordered: Order, batch_size: int) -> Plan:
        """Write the plan down, in batch order; what is skipped or failed comes first."""
        resolutions = {
            key: tuple(self._resolution(node, link, ordered) for link in node.links) if node.written else ()
            for key, node in self._state.nodes.items()
        }
        again = {
            key
            for key, ones in resolutions.items()
            if self._state.catalogue[key.type].derived_fields
            and any(one.kind is ResolutionKind.DEFERRED for one in ones)
        }
        batches = cut_batches(ordered.generations, ordered.remaining, batch_size)
        batch_of = {key: number for number, keys in enumerate(batches.members, 1) for key in keys}
        generation_of = {key: number for number, keys in enumerate(ordered.generations) for key in keys}
        idle = [key for key in self._state.closure.rows if key not in batch_of]
        planned = []
        for key in (*idle, *(key for keys in batches.members for key in keys)):
            node = self._state.nodes[key]
            final, stale = _until_final(resolutions[key], again)
            planned.append(
                PlannedResource(
                    key=key,
                    title=node.config.title,
                    action=node.action,
                    target_id=node.target.key.id if node.target else None,
                    target_fields=node.target_fields,
                    reason=self._reason(node),
                    error=node.error,
                    warnings=self._warnings(node),
                    resolutions=final,
                    source_fingerprint=node.source_fingerprint,
                    override_fingerprint=node.config.override_fingerprint,
                    generation=generation_of.get(key, 0),
                    batch=batch_of.get(key, 0),
                    resolve=key in again,
                    patch=key not in again and stale,
                    activate=self._is_activated_last(node, stale),
                    follows=node.action is not Action.CREATE and self._state.follows(node),
                    rule=node.match.rule,
                    paired_by=node.paired_by,
                    create_id=self._state.chosen_id(node) if node.action is Action.CREATE else None,
                    record_lineage=node.record_lineage and node.action is Action.SKIP,
                    references=node.references if node.record_lineage and node.action is Action.SKIP else "",
                    removals=node.removals if node.written else EMPTY,
                    target_fingerprint=node.target_fingerprint,
                    remaining=ordered.remaining.get(key, 0),
                )
            )
        return Plan(resources=tuple(planned), stages=batches.stages)

    def _is_activated_last(self, node: Node, stale: bool) -> bool:
        """Tell whether a config stays inactive until it is whole, so that nothing runs half-configured."""
        if not node.written or not _is_in_use(node):
            return False
        return stale if node.action is Action.CREATE else node.key in self._state.inactive

    def _flag_warnings(self, node: Node) -> tuple[str, ...]:
        """Say where a config is in use on one side only; of one with an end nobody can tell without a clock."""
        flag = node.type.active
        if flag is None or flag.expiry or node.action is Action.FAIL or node.key in self._state.inactive:
            return ()
        kept = not self._state.follows(node)
        texts: dict[str, None] = {}
        for ours, theirs in self._state.differing_flags(node):
            active = flag.is_active(ours)
            if active and not flag.is_active(theirs):
                becomes = "stays so" if kept else "is activated"
                texts[f"The source's is active, the target's is not: it {becomes}."] = None
            elif flag.is_active(theirs) and not active:
                becomes = "stays so" if kept else "is deactivated"
                texts[f"The source's is not active, the target's is: it {becomes}."] = None
        return tuple(texts)

    def _resolution(self, node: Node, link: Link, ordered: Order) -> Resolution:
        standing = self._state.standing(node, link)
        if standing is Standing.SELF:
            return self._self_resolution(node, link)
        if standing in (Standing.CREATED, Standing.REWRITTEN):
            dropped = (node.key, link.referent) in ordered.dropped and not link.free
            kind = ResolutionKind.DEFERRED if dropped else ResolutionKind.WRITTEN
            if link.free:
                return _resolution(link, ResolutionKind.KEEP)
            if link.found.portable:
                return _resolution(link, kind)
            if standing is Standing.REWRITTEN:
                return _resolution(link, kind, *(self._state.known(link) or ()))
            return _resolution(link, kind, link.found.identifier if link.copied else None)
        if standing is Standing.EXISTS and not link.free and not link.found.portable:
            known = self._state.known(link)
            return _resolution(link, ResolutionKind.KNOWN if known else ResolutionKind.LEFT_OUT, *(known or ()))
        is_content = link.found.certain and not link.found.portable
        if standing is Standing.EXISTS or link.free or (standing is Standing.NONE and not is_content):
            return _resolution(link, ResolutionKind.KEEP)
        return _resolution(link, ResolutionKind.LEFT_OUT)

    def _self_resolution(self, node: Node, link: Link) -> Resolution:
        if link.found.portable or link.copied:
            return _resolution(link, ResolutionKind.KEEP)
        known = self._state.known(link) if node.target is not None else None
        if known is not None:
            return _resolution(link, ResolutionKind.KNOWN, *known)
        chosen = self._state.chosen_id(node)
        if chosen is not None and link.field == "id" and link.required:
            return _resolution(link, ResolutionKind.KNOWN, chosen)
        return _resolution(link, ResolutionKind.DEFERRED)

    @staticmethod
    def _reason(node: Node) -> str:
        by_hand = f"Paired by hand by user {node.paired_by}." if node.paired_by else ""
        return " ".join(filter(None, (node.match.reason if node.action is not Action.FAIL else "", by_hand)))

    def _warnings(self, node: Node) -> tuple[str, ...]:
        if not node.written or node.config.payload is None:
            return self._flag_warnings(node)
        warnings: dict[str, None] = {}
        for link in node.links:
            standing = self._state.standing(node, link)
            text = _WARNINGS.get(standing)
            if (
                standing is Standing.EXISTS
                and not (link.free or link.found.portable)
                and self._state.known(link) is None
            ):
                text = f"has no {link.field} on the target"
            if text is not None and link.referent is not None:
                kept = link.free or not link.found.certain
                warnings[
                    f"{link.found.pointer} names {link.referent}, which {text}: it is {'kept' if kept else 'left out'}."
                ] = None
        payload = node.config.payload
        external = [path for path in node.type.external if find_value(payload, path) not in (None, "", [], {})]
        if external:
            warnings[f"What {', '.join(external)} name is outside of the resource types and kept as it is."] = None
        if node.action is Action.CREATE and node.type.secret_note:
            warnings[node.type.secret_note] = None
        return (*self._conflict_notes(node, payload), *node.notes, *warnings, *self._flag_warnings(node))

    def _conflict_notes(self, node: Node, payload: Mapping[str, Any]) -> Sequence[str]:
        """Say what both sides changed since the last sync: the source's value is written over the target's."""
        if node.since.source_same is not False or node.since.target_same is not False or node.target is None:
            return ()
        body = self._state.body(node)
        found = conflicts(
            node.type,
            node.since,
            canonical(node.type, payload),
            canonical(node.type, node.target.payload),
            canonical(node.type, node.body if body is None else body),
        )
        return [conflict_note(one) for one in found[:_MAX_CONFLICTS]]


_WARNINGS = {
    Standing.DANGLING: "the source organisation does not have",
    Standing.NOT_SELECTED: "was not selected and is not on the target",
    Standing.ABSENT: "is not on the target and is never created by a job",
    Standing.FAILED: "failed",
}


def _resolution(
    link: Link, kind: ResolutionKind, value: str | None = None, siblings: Mapping[str, Any] = EMPTY
) -> Resolution:
    return Resolution(
        found=link.found,
        kind=kind,
        referent=link.referent,
        field=link.field,
        value=value,
        siblings=siblings,
        position=link.position,
    )


def _until_final(
    resolutions: Sequence[Resolution], again: Collection[ResourceKey]
) -> tuple[tuple[Resolution, ...], bool]:
    """Defer a reference whose pinned value (such as a version) phase_a5 will change again; phase_b patches it.

    Args:
        resolutions: of one resource.
        again: the resources that phase_a5 writes again.

    Returns:
        The resolutions, and whether the resource needs a second write.
    """
    final = []
    stale = False
    for one in resolutions:
        reference = one.found.reference
        pinned = one.kind is ResolutionKind.WRITTEN and one.referent in again and reference and reference.siblings
        stale = stale or bool(pinned) or one.kind is ResolutionKind.DEFERRED
        defer = pinned and reference is not None and not reference.required
        final.append(replace(one, kind=ResolutionKind.DEFERRED) if defer else one)
    return tuple(final), stale


def _is_in_use(node: Node) -> bool:
    """Tell whether a config of the source is active by a flag that a job may set."""
    flag = node.type.active
    if flag is None or not flag.settable or node.config.payload is None:
        return False
    values = list(values_at(node.config.payload, flag.path))
    if not values:
        return is_plain(flag.path) and flag.active is not None
    return any(map(flag.is_active, values))
