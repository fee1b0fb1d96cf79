"""Find what a create of unknown outcome made: the config that was not there before and says what was sent.

request leaves      answer lost, or its sender died
|--------------------|---- look ---- 2 s ---- look ---- 5 s ---- look ---- 15 s ---- look ----> send again
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from shared.domain.errors import NotFoundError, UnknownOutcomeError
from shared.domain.fingerprint import equal_where_sent
from shared.domain.paths import find_value
from shared.domain.ports import Payload, WrittenConfig
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.use_cases.snapshot_target import read_snapshot_ids
from shared.use_cases.write_rows import OutOfTimeError, Task, Workshop

if TYPE_CHECKING:
    from collections.abc import Mapping

# A commit that comes late is seen by the last look.
LOOK_AGAIN_AFTER_S = (0, 2, 7, 22)


class Adoption:
    """Looks for configs that creates of one step may have made; one listing serves all rows that wait for it.

    Args:
        shop: what the workers share.
        tasks: the rows of the batch; where several may have made the same config, any that is found serves each.
    """

    def __init__(self, shop: Workshop, tasks: Mapping[ResourceKey, Task]) -> None:
        self._shop = shop
        self._tasks = tasks
        self._began_at = shop.ports.now()
        self._listings: dict[str, _Listing] = {}
        self._taken: set[ResourceKey] = set()
        self._lock = threading.Lock()

    def find(self, task: Task, body: Payload, since: float | None = None) -> WrittenConfig | None:
        """Return what a create made, looking again until a late commit would be seen; None where it made nothing.

        Args:
            task: the row whose create may have been done.
            body: what was sent.
            since: epoch seconds at which the request was certainly on its way; by default the beginning of this step.

        Raises:
            UnknownOutcomeError: it cannot be decided.
            OutOfTimeError: this invocation ends before the last look.
        """
        began_at = self._began_at if since is None else since
        if task.planned.create_id is not None:
            return self.find_now(task, body)
        for after in LOOK_AGAIN_AFTER_S:
            self._wait_until(began_at + after)
            found = self.find_now(task, body, began_at + after)
            if found is not None:
                return found
        return None

    def find_now(self, task: Task, body: Payload, not_before: float | None = None) -> WrittenConfig | None:
        """Look once for what a create made; None where it made nothing so far.

        Args:
            task: the row whose create may have been done.
            body: what was sent.
            not_before: epoch seconds at which the look must begin at the earliest; by default when this step began.

        Raises:
            UnknownOutcomeError: it cannot be decided.
        """
        if task.planned.create_id is not None:
            return self._find_by_id(task.resource_type, task.planned.create_id)
        if task.resource_type.list is None:
            raise UnknownOutcomeError(
                f"It may or may not have been created, and {task.resource_type.label} cannot be listed to find out."
            )
        return self._look(task, body, self._began_at if not_before is None else not_before)

    def _find_by_id(self, resource_type: ResourceType, config_id: str) -> WrittenConfig | None:
        try:
            return WrittenConfig(config_id, self._shop.target.get_config(resource_type, config_id))
        except NotFoundError:
            return None

    def _wait_until(self, moment: float) -> None:
        pause = moment - self._shop.ports.now()
        if pause <= 0:
            return
        if moment >= self._shop.step.hand_back_at:
            raise OutOfTimeError("Whether the config was created cannot be told before this invocation ends.")
        self._shop.ports.sleep(pause)

    def _look(self, task: Task, body: Payload, not_before: float) -> WrittenConfig | None:
        with self._lock:
            listing = self._listings.setdefault(task.key.type, _Listing(self._shop, task.resource_type))
        new = listing.read(not_before)
        with self._lock:
            known = {target.id for key, target in self._shop.id_map.items() if key.type == task.key.type}
            same = sorted(
                config_id
                for config_id, payload in new.items()
                if config_id not in known
                and ResourceKey(task.key.type, config_id) not in self._taken
                and equal_where_sent(task.resource_type, body, payload)
            )
            if not same:
                return None
            if len(same) > self._unknown_of(task.key.type):
                raise UnknownOutcomeError(
                    f"It may have been created: {len(same)} new configs of the target say the same "
                    f"({', '.join(same[:5])})."
                )
            self._taken.add(ResourceKey(task.key.type, same[0]))
            return WrittenConfig(same[0], new[same[0]])

    def _unknown_of(self, type_name: str) -> int:
        return sum(task.outcome_unknown for task in self._tasks.values() if task.key.type == type_name)


class _Listing:
    """The configs of a type that are on the target now, were not in the plan's snapshot, and that no lineage claims."""

    def __init__(self, shop: Workshop, resource_type: ResourceType) -> None:
        self._shop = shop
        self._type = resource_type
        self._lock = threading.Lock()
        self._listed_at = float("-inf")
        self._new: dict[str, Payload] = {}
        self._before: frozenset[str] | None = None

    def read(self, not_before: float) -> Mapping[str, Payload]:
        """Return id -> payload, from a list that began at or after the given time."""
        with self._lock:
            if self._listed_at < not_before:
                listed_at = self._shop.ports.now()
                self._new = self._list_new()
                self._listed_at = listed_at
            return self._new

    def _list_new(self) -> dict[str, Payload]:
        job, resource_type = self._shop.job, self._type
        if self._before is None:
            self._before = read_snapshot_ids(self._shop.ports, job.org_id, job.id, resource_type.name)
        if self._before is None:
            raise UnknownOutcomeError(
                f"It may or may not have been created: not all {resource_type.label} of the target were known before."
            )
        id_path = (resource_type.list_fields or resource_type.fields).id
        items: dict[str, Any] = {}
        for page in self._shop.target.list_pages(resource_type):
            for item in page.items:
                config_id = find_value(item, id_path)
                if config_id is not None and str(config_id) not in self._before:
                    items[str(config_id)] = item
        claimed = self._shop.ports.lineage.find_claimed_targets(
            job.target_org_id, job.source_org_id, [ResourceKey(resource_type.name, config_id) for config_id in items]
        )
        new: dict[str, Payload] = {}
        for config_id, item in items.items():
            if ResourceKey(resource_type.name, config_id) in claimed:
                continue
            is_whole = resource_type.list is not None and resource_type.list.whole
            try:
                new[config_id] = item if is_whole else self._shop.target.get_config(resource_type, config_id)
            except NotFoundError:
                continue
        return new
