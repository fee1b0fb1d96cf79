"""An organisation in which delete jobs run, over the tables of the template."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import SimpleNamespace
from typing import Any

from shared.adapters.dynamodb.job_store import JobStore
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.caller import Caller
from shared.domain.index_state import IndexState
from shared.domain.job import JobKind, Places
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.use_cases.create_delete_job import create_delete_job
from shared.use_cases.delete_batch import delete_batch
from shared.use_cases.finish_deletion import finish_deletion
from shared.use_cases.jobs.intake import JobStores
from shared.use_cases.plan_deletion import plan_deletion
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld


class WhoUsesWhat:
    """An index that knows references only.

    Attributes:
        uses: (user, used).
    """

    def __init__(self) -> None:
        self.uses: list[tuple[ResourceKey, ResourceKey]] = []

    def find_state(self, _org_id: str) -> IndexState:
        return IndexState(build_token="b", status="ready", expires_at=2**40)

    def find_summaries(self, _org_id: str, _configs: Iterable[ResourceKey]) -> dict[ResourceKey, Any]:
        return {}

    def load_users(self, _org_id: str, configs: Collection[ResourceKey]) -> dict[ResourceKey, list[dict[str, str]]]:
        users: dict[ResourceKey, list[dict[str, str]]] = {}
        for user, used in self.uses:
            if used in configs:
                users.setdefault(used, []).append({"type": user.type, "id": user.id, "title": ""})
        return users


class DeletingRepository(FakeConfigRepository):
    """Remembers the configs that it deleted, in order."""

    def __init__(self, org_id: str) -> None:
        super().__init__(org_id)
        self.deleted: list[ResourceKey] = []

    def delete_config(self, resource_type: ResourceType, config_id: str) -> None:
        super().delete_config(resource_type, config_id)
        self.deleted.append(ResourceKey(resource_type.name, config_id))


class DeleteWorld(SyncWorld):
    """Everything that a delete job needs; its organisation is `SOURCE_ORG`.

    Attributes:
        index: who uses what.
        repository: the organisation.
    """

    def __init__(self, dynamodb: Any) -> None:
        super().__init__(dynamodb, RESOURCE_TYPES)
        self.jobs = JobStore(self.client, "SyncJobsTable", "SyncResourcesTable", kind=JobKind.DELETE)
        self.index: WhoUsesWhat = WhoUsesWhat()  # type: ignore[assignment]
        self.repository = DeletingRepository(SOURCE_ORG)
        self.target = self.repository  # type: ignore[assignment]
        self.functions = {"PlanDeletion": plan_deletion, "DeleteBatch": delete_batch}

    def add(self, *keys: ResourceKey, **payload: Any) -> None:
        """Put configs into the organisation."""
        for key in keys:
            self.repository.configs.setdefault(key.type, {})[key.id] = dict(payload)

    def there(self) -> set[ResourceKey]:
        """Return what the organisation has."""
        return {ResourceKey(name, one) for name, configs in self.repository.configs.items() for one in configs}

    def delete(self, *keys: ResourceKey) -> str:
        """Create a delete job as the API does, unstarted, and return its id."""
        intake = JobStores(
            jobs=self.jobs,
            payloads=self.payloads,
            credentials=self.credentials,
            executions=SimpleNamespace(start=lambda *_: ""),
            known_types=self.catalogue.keys(),
            places=Places(),
            now=self.now(),
        )
        caller = Caller(org_id=SOURCE_ORG, user_id="user-1", token="the-token", expires_at=None)
        body = {"resources": [{"type": key.type, "id": key.id} for key in keys]}
        return str(create_delete_job(intake, self.index, caller, body)["id"])  # type: ignore[arg-type]

    def _run_phases(self, job_id: str) -> None:
        if self.until_done(job_id, "PlanDeletion")["status"] == "done":
            self.until_done(job_id, "DeleteBatch")

    def _finish(self, job_id: str) -> None:
        finish_deletion(
            SOURCE_ORG,
            job_id,
            jobs=self.jobs,
            credentials=self.credentials,
            events=self,
            rebuild_index=lambda job, _token: self.rebuilt.append(job.id),
            count=lambda name, value, **_dimensions: self.metrics.append((name, value)),
            now=self.now,
        )
