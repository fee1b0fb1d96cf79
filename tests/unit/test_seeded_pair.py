"""Jobs one after the other over a seeded pair of organisations that have every type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sandbox.seed.organisations import build
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.fingerprint import canonical
from shared.domain.job import JobStatus
from shared.domain.paths import is_plain
from shared.domain.ports.configs import WrittenConfig
from shared.domain.resource_type import Identity, ResourceKey, ResourceType
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_world import SOURCE_ORG, TARGET_ORG, SyncWorld

SEED = 7


def of_the_next_release(resource_type: ResourceType, payloads: list[dict[str, Any]]) -> ResourceType:
    """Return an entry that strips one more property and knows one more set, of those that its payloads have."""
    contents = [canonical(resource_type, payload) for payload in payloads]
    needed = {
        resource_type.fields.id,
        *resource_type.fields.title,
        *(update.required if (update := resource_type.update) else ()),
    }
    held = {reference.path.removeprefix("$.").split(".")[0].split("[")[0] for reference in resource_type.references}
    held |= {
        path.split(".")[0]
        for fields in (resource_type.natural_key.fields if resource_type.natural_key else ())
        for path in fields
    }
    held |= {resource_type.active.path.split(".")[0]} if resource_type.active else set()
    texts = sorted(
        {name for content in contents for name, value in content.items() if isinstance(value, str)} - needed - held
    )
    lists = sorted(
        {name for content in contents for name, value in content.items() if isinstance(value, list) and len(value) > 1}
    )
    return replace(
        resource_type,
        strip=(*resource_type.strip, *texts[:1]),
        sets=(*resource_type.sets, *[name for name in lists if name not in resource_type.sets and is_plain(name)][:1]),
    )


class StoringRepository(FakeConfigRepository):
    """Gives a file its place in the storage, as the file API does."""

    def create_config(self, resource_type: ResourceType, payload: Any, *more: Any, **named: Any) -> WrittenConfig:
        made = super().create_config(resource_type, payload, *more, **named)
        if "s3ref" not in resource_type.strip:
            return made
        place = {"s3ref": {"key": f"{self.org_id}/{made.id}", "bucket": "files"}}
        self.configs[resource_type.name][made.id] |= place | {
            "public_url": f"https://file.example/{self.org_id}/{made.id}"
        }
        return made._replace(payload=self.configs[resource_type.name][made.id])


def seeded_world() -> tuple[SyncWorld, list[ResourceKey]]:
    """Return a seeded pair of organisations, and the selection that ends without a failure."""
    seeded = build(SOURCE_ORG, TARGET_ORG, scale=1, seed=SEED)
    world = SyncWorld(MemoryDynamoDB(), RESOURCE_TYPES)
    world.source = StoringRepository(SOURCE_ORG, page_size=100)
    world.target = StoringRepository(TARGET_ORG, page_size=100)
    for place, resources in ((world.source, seeded.source), (world.target, seeded.target)):
        for resource in resources:
            if resource.type in RESOURCE_TYPES:
                place.add(RESOURCE_TYPES[resource.type], resource.payload)
    return world, [ResourceKey(one["type"], one["id"]) for one in seeded.selections["clean"]]


def sync(world: SyncWorld, selection: Iterable[ResourceKey], **more: Any) -> dict[str, set[ResourceKey]]:
    """Run a job that succeeds; returns status -> source configs."""
    job = world.run(world.create_job(*selection, **more))
    assert job.status is JobStatus.SUCCEEDED
    assert not [event for event in world.jobs.list_events(SOURCE_ORG, job.id, 1000) if "CONFLICT" in event.message]
    statuses: dict[str, set[ResourceKey]] = {}
    for row in world.rows(job.id).values():
        statuses.setdefault(row.status.value, set()).add(row.key)
    return statuses


def test_a_release_that_strips_more_and_knows_more_sets_writes_nothing_and_sees_no_conflict() -> None:
    world, selection = seeded_world()
    assert sum(map(len, sync(world, selection).values())) > 100
    before = world.writes()
    assert sync(world, selection).keys() == {"skipped"}

    world.catalogue = {
        name: of_the_next_release(entry, list(world.source.configs.get(name, {}).values()))
        for name, entry in RESOURCE_TYPES.items()
    }
    changed = [name for name, entry in RESOURCE_TYPES.items() if world.catalogue[name] != entry]
    assert len(changed) > 20, changed
    for _ in range(2):
        assert sync(world, selection).keys() == {"skipped"}
        assert world.writes() == before


def test_there_and_back_and_there_again_creates_nothing_and_writes_only_the_renames() -> None:
    world, selection = seeded_world()
    job = world.run(world.create_job(*selection))
    there = {
        key: ResourceKey(key.type, row.target_id or "")
        for key, row in world.rows(job.id).items()
        if row.status.value in ("created", "patched")
    }
    renamed = set()
    for key in sorted(there)[::7]:
        resource_type, config = RESOURCE_TYPES[key.type], world.target.configs[key.type][there[key].id]
        title = resource_type.fields.title[0]
        if resource_type.identity in (Identity.SERVER, Identity.CLIENT) and isinstance(config.get(title), str):
            config[title] += ", renamed"
            renamed.add(there[key])
    assert len({key.type for key in renamed}) > 5, renamed

    way_back = {"source_org_id": TARGET_ORG, "target_org_id": SOURCE_ORG}
    world.source, world.target = world.target, world.source
    back = sync(world, there.values(), **way_back)
    assert (back.keys(), back["patched"]) == ({"patched", "skipped"}, renamed)
    assert sync(world, there.values(), **way_back).keys() == {"skipped"}
    world.source, world.target = world.target, world.source
    assert sync(world, selection).keys() == {"skipped"}
