"""An organisation's downstream APIs in memory: a ConfigRepository with recorded calls and planted failures."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shared.domain.bounds import read_json
from shared.domain.config_node import Blueprint
from shared.domain.errors import NotFoundError, OperationUnsupportedError
from shared.domain.paths import find_value
from shared.domain.ports.configs import ConfigPage, Payload, WrittenConfig
from shared.domain.resource_type import ResourceKey, ResourceType


def _copy(payload: Any) -> Any:
    return json.loads(json.dumps(payload))


def _answered(payload: Any) -> Any:
    """Return what comes in when an API answers so."""
    return read_json(json.dumps(payload))


class FakeConfigRepository:
    """Configs by type and id.

    Args:
        org_id: organisation that the configs belong to.
        configs: payloads by type; each stands under the id that its type's `fields.id` names.
        page_size: items per list page.

    Attributes:
        unlisted: configs that lists leave out, as those that show only what a user may see.
        calls: (operation, type) -> how often.
        failures: (operation, type) -> the error that the operation raises, every time.
        usage: type -> id -> what `count_usage` answers.
        blueprints: what `list_blueprint_members` yields.
        contents: (type, id) -> bytes of a file.
        grants: what the user may do; everything unless a test says otherwise.
    """

    def __init__(self, org_id: str = "org-a", *, page_size: int = 2) -> None:
        self.org_id = org_id
        self.page_size = page_size
        self.configs: dict[str, dict[str, Payload]] = {}
        self.unlisted: set[ResourceKey] = set()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.failures: dict[tuple[str, str], Exception] = {}
        self.usage: dict[str, dict[str, float]] = {}
        self.blueprints: list[tuple[Blueprint, Sequence[ResourceKey]]] = []
        self.contents: dict[ResourceKey, bytes] = {}
        self.grants: list[dict[str, Any]] = [{"action": "*"}]
        self._lock = threading.Lock()

    def add(self, resource_type: ResourceType, *payloads: Payload) -> None:
        """Put configs as they are, without any side effect of an API."""
        for payload in payloads:
            config_id = str(find_value(payload, resource_type.fields.id))
            self.configs.setdefault(resource_type.name, {})[config_id] = _copy(payload)

    def fail(self, operation: str, type_name: str, error: Exception) -> None:
        """Let an operation (list, get, create, update, delete, content, usage, blueprints) of a type fail."""
        self.failures[operation, type_name] = error

    def list_pages(self, resource_type: ResourceType, resume: Any | None = None) -> Iterator[ConfigPage]:
        """Yield pages in order of insertion; `resume` is the number of items that are behind."""
        if resource_type.list is None:
            raise OperationUnsupportedError(f"{resource_type.name} cannot be listed.")
        listed = [
            payload
            for config_id, payload in self.configs.get(resource_type.name, {}).items()
            if ResourceKey(resource_type.name, config_id) not in self.unlisted
        ]
        start = int(resume or 0)
        while True:
            self._called("list", resource_type.name)
            end = start + self.page_size
            items = _answered(listed[start:end])
            yield ConfigPage(items, end if end < len(listed) else None)
            if end >= len(listed):
                return
            start = end

    def get_config(self, resource_type: ResourceType, config_id: str) -> Payload:
        """Return a copy of a payload."""
        if resource_type.get is None:
            raise OperationUnsupportedError(f"{resource_type.name} has no get.")
        self._called("get", resource_type.name)
        return _answered(self._stored(resource_type, config_id))

    def create_config(
        self, resource_type: ResourceType, payload: Payload, config_id: str | None = None, content: bytes | None = None
    ) -> WrittenConfig:
        """Store a payload under the given id, or under a new one."""
        if resource_type.create is None:
            raise OperationUnsupportedError(f"{resource_type.name} has no create.")
        self._called("create", resource_type.name)
        created = _copy(payload)
        id_path = resource_type.fields.id
        config_id = config_id or find_value(created, id_path) or str(uuid.uuid4())
        if "." not in id_path:
            created[id_path] = config_id
        with self._lock:
            self.configs.setdefault(resource_type.name, {})[config_id] = created
            if content is not None:
                self.contents[ResourceKey(resource_type.name, config_id)] = content
        return WrittenConfig(config_id, _copy(created))

    def update_config(
        self, resource_type: ResourceType, config_id: str, payload: Payload, content: bytes | None = None
    ) -> WrittenConfig:
        """Merge or replace, as the type's update operation says."""
        if resource_type.update is None:
            raise OperationUnsupportedError(f"{resource_type.name} has no update.")
        self._called("update", resource_type.name)
        before = self._stored(resource_type, config_id)
        after = {**before, **_copy(payload)} if resource_type.update.merge else _copy(payload)
        id_path = resource_type.fields.id
        if "." not in id_path:
            after[id_path] = config_id
        with self._lock:
            self.configs[resource_type.name][config_id] = after
            if content is not None:
                self.contents[ResourceKey(resource_type.name, config_id)] = content
        return WrittenConfig(config_id, _copy(after))

    def delete_config(self, resource_type: ResourceType, config_id: str) -> None:
        """Forget a config."""
        self._called("delete", resource_type.name)
        self._stored(resource_type, config_id)
        with self._lock:
            del self.configs[resource_type.name][config_id]

    def read_content(self, resource_type: ResourceType, config_id: str) -> bytes:
        """Return the bytes of a file; a file without planted bytes is empty."""
        self._called("content", resource_type.name)
        self._stored(resource_type, config_id)
        return self.contents.get(ResourceKey(resource_type.name, config_id), b"")

    def count_usage(self, resource_type: ResourceType, config_ids: Sequence[str]) -> Mapping[str, float]:
        """Return the planted usage of the given ids."""
        self._called("usage", resource_type.name)
        known = self.usage.get(resource_type.name, {})
        return {config_id: known[config_id] for config_id in config_ids if config_id in known}

    def list_own_grants(self) -> Sequence[Mapping[str, Any]]:
        return self.grants

    def list_blueprint_members(self) -> Iterable[tuple[Blueprint, Sequence[ResourceKey]]]:
        """Return the planted blueprints."""
        self._called("blueprints", "")
        return list(self.blueprints)

    def _stored(self, resource_type: ResourceType, config_id: str) -> Payload:
        try:
            return self.configs[resource_type.name][config_id]
        except KeyError:
            raise NotFoundError(f"There is no {resource_type.name} {config_id}.") from None

    def _called(self, operation: str, type_name: str) -> None:
        with self._lock:
            self.calls[operation, type_name] += 1
        error = self.failures.get((operation, type_name))
        if error is not None:
            raise error
