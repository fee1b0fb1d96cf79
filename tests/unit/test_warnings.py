"""What a plan tells a person about a row that goes through all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.resource_type import Fields, ResourceKey
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_types import ATTACHMENT, CATALOGUE, DESIGN, JOURNEY
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld

KEY = ResourceKey("journey", "journey-00000001")
URL = "https://files.example/source/logo.png"
FILE = replace(
    ATTACHMENT, fields=Fields(id="id", title=("name",), aliases=("public_url",)), strip=("id", "public_url", "version")
)


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
def test_an_address_whose_file_has_none_on_the_target_stays_and_is_told(public, dry_run):
    world = SyncWorld(MemoryDynamoDB(), {**CATALOGUE, "attachment": FILE})
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    world.source.add(FILE, {"id": "file-00000001", "name": "Logo", "public_url": URL})
    there = {"public_url": "https://files.example/target/logo.png"} if public else {}
    world.target.add(FILE, {"id": "file-target-1", "name": "Logo", **there})
    journey = {"id": KEY.id, "name": "A", "design": "design-00000001", "text": f"<img src='{URL}'>"}
    world.source.add(JOURNEY, journey)

    job = world.run(world.create_job(KEY, dry_run=dry_run))

    messages = [event.message for event in world.jobs.list_events(SOURCE_ORG, job.id, 100) if event.key == KEY]
    told = "/text names attachment:file-00000001, which has no public_url on the target: it is kept."
    assert (told in messages) is not public
    if not dry_run:
        [written] = world.target.configs["journey"].values()
        assert written["text"] == f"<img src='{there.get('public_url', URL)}'>"
