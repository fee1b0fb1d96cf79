"""One invocation at work on a build: what it knows, until when, and what it leaves to the next."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any

from shared.domain.config_node import Blueprint
from shared.domain.index_state import SupersededError
from shared.domain.read_config import ReadConfig
from shared.domain.resource_type import Catalogue, ResourceKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.index import Checkpoints, IndexWriter


#: Left of an invocation's time when it hands over: what runs then still ends, and a checkpoint is written.
HANDOVER_S = 120.0
# A stored object ends at 64 MB; what is kept of the largest payloads has some ten kilobytes.
_CONFIGS_PER_CHECKPOINT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRun:
    """One invocation of a build.

    Attributes:
        continuation: how many invocations of the same build came before.
        deadline: when the invocation ends, epoch seconds.
        app_url: base of deep links; empty leaves them out.
    """

    org_id: str
    build_token: str
    user_id: str
    deadline: float
    continuation: int = 0
    app_url: str = ""

    @property
    def checkpoint_prefix(self) -> str:
        """Where the build keeps its checkpoints."""
        return f"index/{self.org_id}/{self.build_token}/"

    @property
    def next_event(self) -> dict[str, Any]:
        """What the next invocation of the build is started with."""
        who = {"org_id": self.org_id, "build_token": self.build_token, "user_id": self.user_id}
        return {**who, "continuation": self.continuation + 1}


@dataclass(slots=True)
class BuildReport:
    """What an invocation did.

    Attributes:
        status: done, more (handed over), superseded or failed.
        code, reason: why it failed.
        indexed: nodes of a finished build.
        failed_types: type -> why.
        warnings: what was left out besides, one sentence each.
        timings_ms: step -> milliseconds.
        writes: items written or deleted.
    """

    status: str = "done"
    code: str = ""
    reason: str = ""
    indexed: int = 0
    failed_types: Mapping[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)
    writes: int = 0


@dataclass(slots=True)
class TypeReading:
    """How far the reading of one type is.

    Attributes:
        configs: by id.
        resume: where its list goes on.
        listed: its list is at its end.
        done: it is read.
        failure: why it could not be read.
        capped: it has more configs than are read.
    """

    configs: dict[str, ReadConfig] = field(default_factory=dict)
    resume: Any = None
    listed: bool = False
    done: bool = False
    failure: str = ""
    capped: bool = False


#: The attributes of a TypeReading that a checkpoint keeps beside the configs.
_PROGRESS = ("resume", "listed", "done", "failure", "capped")


class OutOfTimeError(Exception):
    """The invocation must hand over."""


@dataclass(kw_only=True)
class Build:
    """What the stages of an invocation share.

    Attributes:
        repository: the organisation's configs as the build's user sees them.
        now: epoch seconds.
        stop: set where the invocation is at its end: nothing further begins.
        readings: how far the reading of each type is.
        blueprints: each with its members; None: they are not read, or could not be.
        unseen: configs that a limited view may hide, which therefore stay.
    """

    run: BuildRun
    catalogue: Catalogue
    index: IndexWriter
    repository: ConfigRepository
    now: Callable[[], float]
    report: BuildReport
    readings: dict[str, TypeReading]
    stop: threading.Event = field(default_factory=threading.Event)
    blueprints: list[tuple[Blueprint, list[ResourceKey]]] | None = None
    unseen: set[ResourceKey] = field(default_factory=set)

    def measured(self, step: str, work: Callable[[], None]) -> None:
        """Do the work of a stage and note how long it took."""
        start = time.perf_counter()
        try:
            work()
        finally:
            self.report.timings_ms[step] = (time.perf_counter() - start) * 1000

    def check(self) -> None:
        """Stop where the build is superseded or out of time; called between pages and rounds of writes."""
        self.check_time()
        if not self.index.is_latest(self.run.org_id, self.run.build_token):
            raise SupersededError("A newer build of this index has begun.")

    def check_time(self) -> None:
        """Stop where the invocation is out of time."""
        if self.stop.is_set() or self.now() > self.run.deadline - HANDOVER_S:
            raise OutOfTimeError

    def is_kept(self, key: ResourceKey) -> bool:
        """Tell whether a config stays in the index although the build did not read it."""
        entry = self.catalogue.get(key.type)
        if entry is None:
            return False
        if self.readings[key.type].failure or key in self.unseen:
            return True
        return entry.indexed_when_used and any(reading.failure for reading in self.readings.values())

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint of everything read."""
        prefix = self.run.checkpoint_prefix
        for name, reading in self.readings.items():
            parts = list(batched(reading.configs.values(), _CONFIGS_PER_CHECKPOINT, strict=False))
            for number, configs in enumerate(parts):
                checkpoints.put(f"{prefix}{name}/{number}", [config.to_json() for config in configs])
            progress = {field_name: getattr(reading, field_name) for field_name in _PROGRESS}
            checkpoints.put(f"{prefix}{name}", {**progress, "parts": len(parts)})
        blueprints: Any = self.blueprints and [
            [blueprint.id, blueprint.title, [list(member) for member in members]]
            for blueprint, members in self.blueprints
        ]
        checkpoints.put(f"{prefix}_blueprints", blueprints)

    def load(self, checkpoints: Checkpoints) -> None:
        """Go on from what the invocation before left."""
        prefix = self.run.checkpoint_prefix
        for name in self.readings:
            progress = checkpoints.get(f"{prefix}{name}")
            parts = (checkpoints.get(f"{prefix}{name}/{number}") for number in range(progress.pop("parts")))
            configs = [ReadConfig.from_json(value) for part in parts for value in part]
            self.readings[name] = TypeReading(configs={config.key.id: config for config in configs}, **progress)
        blueprints: Any = checkpoints.get(f"{prefix}_blueprints")
        self.blueprints = blueprints and [
            (Blueprint(blueprint_id, title), [ResourceKey(*member) for member in members])
            for blueprint_id, title, members in blueprints
        ]
