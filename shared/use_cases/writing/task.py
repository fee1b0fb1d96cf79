"""One row with all that its work needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.domain.plan import Action, PlannedResource
from shared.domain.row import Row, Work
from shared.domain.row_commit import Hold, Sent, Writer

if TYPE_CHECKING:
    from shared.domain.ports.configs import Payload
    from shared.domain.remap import Stage
    from shared.domain.resource_type import ResourceKey, ResourceType


@dataclass(slots=True, kw_only=True)
class Task:
    """One row with all that its work needs.

    Attributes:
        outcome_unknown: a create was sent, by us or an earlier holder of the claim, and may have been done.
        open_create: what is known of that.
        look_at: when to look for what it made, in epoch seconds.
        was_answered: the create was sent, and answered.
        unanswered: an update was sent, and not answered: it may still be done, late.
        outlived: the API was seen to work on behind that one.
        sent: a write left under the claim, or may have.
        last_writer: another job that wrote the target last, or may have.
    """

    planned: PlannedResource
    payload: Payload
    resource_type: ResourceType
    row: Row
    outcome_unknown: bool = False
    open_create: Sent | None = None
    look_at: float = 0
    was_answered: bool = False
    unanswered: bool = False
    outlived: bool = False
    sent: bool = False
    last_writer: Writer | None = None

    @property
    def key(self) -> ResourceKey:
        """Type and source id."""
        return self.row.key

    @property
    def is_first(self) -> bool:
        """Nothing has been done for the row so far."""
        return self.row.left == work_left(self.planned)

    @property
    def whole_stage(self) -> Stage:
        """How it is written with all its references: what this job created a second time, what existed once."""
        return "full" if self.row.action == Action.CREATE else "patch"

    @property
    def pinned(self) -> set[ResourceKey]:
        """Configs of which derived values stand beside the references to them."""
        return {
            one.referent
            for one in self.planned.resolutions
            if one.referent is not None and one.found.reference is not None and one.found.reference.siblings
        }

    def hold(self, owner: str) -> Hold:
        """Return what has to be claimed before the row is written; the source, too, until its target is recorded."""
        is_first_pair = self.row.target_id is None or (self.is_first and self.row.action == Action.MATCH)
        return Hold(owner=owner, source=is_first_pair, target_id=self.row.target_id or self.planned.create_id)


def work_left(planned: PlannedResource) -> tuple[Work, ...]:
    """Return the work that a planned resource takes, in order.

    What exists on the target gets one write: in phase_a, or in a later phase where it must wait for derived values.
    """
    later = [work for work, wanted in ((Work.RESOLVE, planned.resolve), (Work.PATCH, planned.patch)) if wanted]
    first = [] if later and planned.action is not Action.CREATE else [Work.WRITE]
    activate = [Work.ACTIVATE] if planned.activate else []
    return (*first, *later, *activate, Work.VERIFY)
