"""Find what a create of unknown outcome made: the config that was not there before and says what was sent.

request leaves      answer lost, or its sender died
|--------------------|- look -- look after 2 s -- look after 5 s ---- look after 15 s ----> send again
                     |- look -- look after 1 s -- look after 3.5 s ----> send again    where the connection was cut
                     |- look -- look after 1 s ----> send again       where the API itself said that it failed
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from shared.domain.errors import NotFoundError, UnknownOutcomeError
from shared.domain.fingerprint import equal_where_sent
from shared.domain.paths import find_value
from shared.domain.ports.configs import Payload, WrittenConfig
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.use_cases.jobs.snapshot import read_snapshot_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.use_cases.writing.row_work import Workshop
    from shared.use_cases.writing.task import Task


class Adoption:
    """Looks for the configs that unanswered creates of a step may have made; all rows of a type share one listing.

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

    def find_doubles(self, task: Task, body: Payload, not_before: float) -> list[str]:
        """Return what else on the target says what a create sent, was not there before and is nobody's.

        Args:
            task: the row, which is done.
            body: what was sent.
            not_before: epoch seconds at which the look must begin at the earliest.

        Raises:
            UnknownOutcomeError: it cannot be told.
        """
        if task.planned.create_id is not None:
            # Under one id there is one, however often it is sent; and such a type may have no list.
            return []
        with self._lock:
            listing = self._listings.setdefault(task.key.type, _Listing(self._shop, task.resource_type))
        new = listing.read(max(self._began_at, not_before))
        return sorted(one for one, payload in new.items() if equal_where_sent(task.resource_type, body, payload))

    def _find_by_id(self, resource_type: ResourceType, config_id: str) -> WrittenConfig | None:
        try:
            return WrittenConfig(config_id, self._shop.target.get_config(resource_type, config_id))
        except NotFoundError:
            return None

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
            if len(same) > self._sent_of(task.key.type):
                raise UnknownOutcomeError(
                    f"It may have been created: {len(same)} new configs of the target say the same "
                    f"({', '.join(same[:5])})."
                )
            self._taken.add(ResourceKey(task.key.type, same[0]))
            return WrittenConfig(same[0], new[same[0]])

    def _sent_of(self, type_name: str) -> int:
        """Return how many configs all open creates of a type can have made."""
        open_ones = [task for task in self._tasks.values() if task.key.type == type_name and task.outcome_unknown]
        return sum(task.open_create.times if task.open_create else 1 for task in open_ones)


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
        id_path = resource_type.listed_fields.id
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
            is_whole = resource_type.lists_whole
            try:
                new[config_id] = item if is_whole else self._shop.target.get_config(resource_type, config_id)
            except NotFoundError:
                continue
        return new
