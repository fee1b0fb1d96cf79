"""List a large source live in this process, and print what that took: steps, seconds, requests, peak memory.

    python -m tests.workflow.large_listing JOURNEYS TEMPLATES SECONDS

Every answer takes 50 ms, a payload has about 12 KB, stored payloads lie on the disk. SECONDS are what an invocation has
before it hands back.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from uuid import UUID

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.errors import NotFoundError
from shared.domain.ports.configs import ConfigPage, Payload
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.use_cases.jobs.payloads import source_key
from shared.use_cases.jobs.step import HAND_BACK_S
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_world import SOURCE_ORG, MemoryPayloads, SyncWorld, VersionedRepository

LATENCY_S = 0.05
PAGE_SIZES = {"journey": 100, "emailtemplate": 1000}


def payload_of(type_name: str, number: int) -> Payload:
    """Return a payload of about 12 KB that no two configs share."""
    chance = random.Random(f"{type_name}-{number}")

    def uuid() -> str:
        return str(UUID(int=chance.getrandbits(128)))

    config_id = uuid()
    steps = [
        {"name": f"Step {step}", "id": uuid(), "schema": {"title": uuid(), "text": "What is your address? " * 11}}
        for step in range(30)
    ]
    if type_name != "journey":
        return {"_id": config_id, "_schema": type_name, "name": f"Template {number}", "body": json.dumps(steps)}
    return {"journeyId": config_id, "name": f"Journey {number}", "settings": {"entityId": uuid()}, "steps": steps}


class LargeSource(VersionedRepository):
    """An organisation whose payloads are made as they are asked for."""

    def __init__(self, numbers: dict[str, int]) -> None:
        super().__init__(SOURCE_ORG)
        self.numbers = numbers
        self.ids = {name: [self._id(name, number) for number in range(count)] for name, count in numbers.items()}
        self.position = {one: number for number, one in enumerate(self.ids["journey"])}
        self.gets: Counter[str] = Counter()
        self.pages = 0

    @staticmethod
    def _id(name: str, number: int) -> str:
        return str(UUID(int=random.Random(f"{name}-{number}").getrandbits(128)))

    def list_pages(self, resource_type: ResourceType, resume: Any | None = None) -> Iterator[ConfigPage]:
        """Yield pages as the API has them: summaries of journeys, else payloads."""
        name, start = resource_type.name, int(resume or 0)
        size, count = PAGE_SIZES.get(name, 100), self.numbers.get(name, 0)
        while True:
            time.sleep(LATENCY_S)
            self.pages += 1
            end = min(start + size, count)
            if name == "journey":
                items: list[Payload] = [{"journey_id": one} for one in self.ids[name][start:end]]
            else:
                items = [payload_of(name, number) for number in range(start, end)]
            yield ConfigPage(items, end if end < count else None)
            if end >= count:
                return
            start = end

    def get_config(self, resource_type: ResourceType, config_id: str) -> Payload:
        """Return a journey."""
        time.sleep(LATENCY_S)
        with self._lock:
            self.gets[config_id] += 1
        return payload_of(resource_type.name, self.position[config_id])


class DiskPayloads(MemoryPayloads):
    """JSON values in files."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = Path(folder)

    def put(self, key: str, value: Any) -> None:
        (self.folder / quote(key, safe="")).write_text(json.dumps(value))

    def put_once(self, key: str, value: Any) -> Any:
        if not (self.folder / quote(key, safe="")).exists():
            self.put(key, value)
        return self.get(key)

    def get(self, key: str) -> Any:
        try:
            return json.loads((self.folder / quote(key, safe="")).read_text())
        except FileNotFoundError:
            raise NotFoundError("gone") from None


def peak_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def list_live(journeys: int, templates: int, seconds: float) -> dict[str, Any]:
    """Run FetchSources of a job of one journey to its end and return what it took."""
    with TemporaryDirectory() as folder:
        world = SyncWorld(MemoryDynamoDB(), RESOURCE_TYPES)
        world.payloads = DiskPayloads(folder)
        world.source = source = LargeSource({"journey": journeys, "emailtemplate": templates})
        world.time_left_s = HAND_BACK_S + seconds
        before_mb = peak_mb()
        job_id = world.create_job(ResourceKey("journey", source.ids["journey"][0]))
        took: list[float] = []
        statuses: list[str] = []
        while not statuses or statuses[-1] in ("more", "wait"):
            began = time.monotonic()
            statuses.append(world.step(job_id, "FetchSources")["status"])
            took.append(time.monotonic() - began)
        return {
            "statuses": statuses,
            "longest_step_s": round(max(took), 1),
            "seconds": round(sum(took), 1),
            "pages": source.pages,
            "gets": source.gets.total(),
            "most_gets_of_one": max(source.gets.values()),
            "identifiers": len(world.payloads.get(source_key(SOURCE_ORG, job_id, "identifiers"))),
            "before_mb": round(before_mb),
            "peak_mb": round(peak_mb()),
        }


if __name__ == "__main__":
    print(json.dumps(list_live(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
