"""Read and write the configs of one organisation, from what the catalogue says about their types."""

from __future__ import annotations

import mimetypes
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, override

from shared.adapters.downstream.paginators import PAGINATORS
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.config_node import Blueprint
from shared.domain.errors import (
    DownstreamUnavailableError,
    NotFoundError,
    OperationUnsupportedError,
    UnknownOutcomeError,
)
from shared.domain.paths import find_value, set_value
from shared.domain.ports.configs import ConfigPage, ConfigRepository, Payload, WrittenConfig
from shared.domain.resource_type import ResourceKey, ResourceType, UsageSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shared.adapters.downstream.client import DownstreamClient

_FILE_HOST = "file.sls.epilot.io"
DOWNLOAD_FILE = Operation(
    api="file", host=_FILE_HOST, operation_id="downloadFile", method="GET", path="/v1/files/{id}/download"
)
UPLOAD_FILE = WriteOperation(
    api="file", host=_FILE_HOST, operation_id="uploadFileV2", method="POST", path="/v2/files/upload"
)
COUNT_ENTITIES = ListOperation(
    api="entity",
    host="entity.sls.epilot.io",
    operation_id="searchEntities",
    method="POST",
    path="/v1/entity:search",
    items="results",
    total="hits",
)
_PERMISSIONS_HOST = "permissions.sls.epilot.io"
LIST_ASSIGNMENTS = ListOperation(
    api="permissions",
    host=_PERMISSIONS_HOST,
    operation_id="listAllAssignments",
    method="GET",
    path="/v1/permissions/assignments",
    items="assignments",
)
LIST_CURRENT_ROLES = ListOperation(
    api="permissions",
    host=_PERMISSIONS_HOST,
    operation_id="listCurrentRoles",
    method="GET",
    path="/v1/permissions/me",
    items="roles",
)
_BLUEPRINT_HOST = "blueprint-manifest.sls.epilot.io"
LIST_BLUEPRINTS = ListOperation(
    api="blueprint-manifest",
    host=_BLUEPRINT_HOST,
    operation_id="listBlueprints",
    method="GET",
    path="/v2/blueprint-manifest/blueprints",
    items="results",
)
GET_BLUEPRINT_LINEAGE = Operation(
    api="blueprint-manifest",
    host=_BLUEPRINT_HOST,
    operation_id="getBlueprintLineageV3",
    method="GET",
    path="/v3/blueprint-manifest/blueprints/{blueprint_id}/lineage",
)
_COUNTING_THREADS = 8
# Characters with a meaning in a Lucene query.
_LUCENE_SPECIAL = frozenset('+-&|!(){}[]^"~*?:\\/ ')


class DownstreamRepository(ConfigRepository):
    """The configs of one organisation, through its downstream APIs.

    Args:
        client: calls the APIs with a token of the organisation.
        org_id: the organisation.
    """

    def __init__(self, client: DownstreamClient, org_id: str) -> None:
        self._client = client
        self.org_id = org_id

    @override
    def list_pages(self, resource_type: ResourceType, resume: Any | None = None) -> Iterator[ConfigPage]:
        operation = resource_type.list
        if operation is None:
            raise _unsupported(resource_type, "list")
        variants = operation.variants or ({},)
        begin, inside = (resume["variant"], resume["page"]) if resume else (0, None)
        for number in range(begin, len(variants)):

            def fetch(
                query: Mapping[str, Any], body: Mapping[str, Any], variant: Mapping[str, str] = variants[number]
            ) -> Any:
                whole_body = {k: v for k, v in {**operation.body, **body}.items() if v is not None}
                return self._client.call(operation, query={**variant, **query}, body=whole_body or None)

            for items, page in PAGINATORS[operation.paging](fetch, operation, inside):
                after: Any = {"variant": number, "page": page}
                if page is None:
                    after = {"variant": number + 1, "page": None} if number + 1 < len(variants) else None
                yield ConfigPage(self._own(operation, items), after)
            inside = None

    @override
    def get_config(self, resource_type: ResourceType, config_id: str) -> Payload:
        if resource_type.get is None:
            return self._find_in_list(resource_type, config_id)
        answer = self._client.call(resource_type.get, config_id=config_id)
        payload = find_value(answer, resource_type.get.answer) if resource_type.get.answer else answer
        if not isinstance(payload, dict):
            raise DownstreamUnavailableError(
                f"The {resource_type.get.api} API answered {resource_type.get.operation_id} without a payload."
            )
        return payload

    @override
    def create_config(
        self, resource_type: ResourceType, payload: Payload, config_id: str | None = None, content: bytes | None = None
    ) -> WrittenConfig:
        operation = resource_type.create
        if operation is None:
            raise _unsupported(resource_type, "create")
        answer = self._write(resource_type, operation, payload, config_id, content)
        written_id = (find_value(answer, operation.answer_id) if operation.answer_id else None) or config_id
        if not written_id:
            raise UnknownOutcomeError(
                f"The {operation.api} API answered {operation.operation_id} without an id.", ended=True
            )
        return WrittenConfig(str(written_id), _written_payload(operation, answer))

    @override
    def update_config(
        self, resource_type: ResourceType, config_id: str, payload: Payload, content: bytes | None = None
    ) -> WrittenConfig:
        operation = resource_type.update
        if operation is None:
            raise _unsupported(resource_type, "update")
        outlived: list[bool] = []
        answer = self._write(resource_type, operation, payload, config_id, content, on_unanswered=outlived.append)
        written = _written_payload(operation, answer)
        return WrittenConfig(config_id, written, unanswered=bool(outlived), outlived=any(outlived))

    @override
    def delete_config(self, resource_type: ResourceType, config_id: str) -> None:
        if resource_type.delete is None:
            raise _unsupported(resource_type, "delete")
        self._client.call(resource_type.delete, config_id=config_id)

    @override
    def read_content(self, resource_type: ResourceType, config_id: str) -> bytes:
        if not resource_type.bytes_field:
            raise _unsupported(resource_type, "read_content")
        url = find_value(self._client.call(DOWNLOAD_FILE, config_id=config_id), "download_url")
        if not isinstance(url, str):
            raise DownstreamUnavailableError("The file API answered downloadFile without a URL.")
        return self._client.storage.fetch(url)

    @override
    def count_usage(self, resource_type: ResourceType, config_ids: Sequence[str]) -> Mapping[str, float]:
        source = resource_type.usage.source if resource_type.usage else None
        if source is UsageSource.ASSIGNMENTS:
            return self._count_assignments(config_ids)
        if source is UsageSource.ENTITY_COUNT:
            with ThreadPoolExecutor(_COUNTING_THREADS) as pool:
                return dict(zip(config_ids, pool.map(self._count_entities, config_ids), strict=True))
        return {}

    @override
    def list_own_grants(self) -> Sequence[Mapping[str, Any]]:
        roles = find_value(self._client.call(LIST_CURRENT_ROLES), LIST_CURRENT_ROLES.items) or []
        return [grant for role in roles for grant in role.get("grants") or []]

    @override
    def list_blueprint_members(self) -> Iterator[tuple[Blueprint, Sequence[ResourceKey]]]:
        for item in find_value(self._client.call(LIST_BLUEPRINTS), LIST_BLUEPRINTS.items) or []:
            blueprint_id = item.get("id")
            if not blueprint_id:
                continue
            members = {(entry.get("type"), entry.get("id")) for entry in item.get("resources") or []}
            try:
                lineage = self._client.call(GET_BLUEPRINT_LINEAGE, config_id=blueprint_id)
            except NotFoundError:
                lineage = None
            for entry in find_value(lineage, "entries") or []:
                members.add((entry.get("resource_type"), entry.get("target_id")))
            named = sorted(ResourceKey(kind, config_id) for kind, config_id in members if kind and config_id)
            yield Blueprint(blueprint_id, item.get("title") or blueprint_id), named

    def _own(self, operation: ListOperation, items: list[Payload]) -> list[Payload]:
        if not operation.only_own_org:
            return items
        return [item for item in items if find_value(item, operation.only_own_org) in (None, self.org_id)]

    def _find_in_list(self, resource_type: ResourceType, config_id: str) -> Payload:
        if resource_type.list is None:
            raise _unsupported(resource_type, "get")
        for page in self.list_pages(resource_type):
            for item in page.items:
                if find_value(item, resource_type.listed_fields.id) == config_id:
                    return item
        raise NotFoundError(
            f"The {resource_type.list.api} API lists no {resource_type.label} with the id {config_id!r}."
        )

    def _write(
        self,
        resource_type: ResourceType,
        operation: WriteOperation,
        payload: Payload,
        config_id: str | None,
        content: bytes | None,
        on_unanswered: Callable[[bool], None] = lambda _outlived: None,
    ) -> Any:
        body = {operation.rename.get(name, name): value for name, value in payload.items()}
        if content is not None:
            if not resource_type.bytes_field:
                raise _unsupported(resource_type, "write_content")
            set_value(body, resource_type.bytes_field, self._upload(payload, content))
        for name, value in operation.body.items():
            filled = _fill(value, {"{id}": config_id, "{org_id}": self.org_id})
            if filled is not None:
                body[name] = filled
        return self._client.call(
            operation,
            config_id=config_id,
            body={operation.wrapper: body} if operation.wrapper else body,
            on_unanswered=on_unanswered,
        )

    def _upload(self, payload: Payload, content: bytes) -> Any:
        """Store the bytes of a file and return the reference that makes them the content of a file."""
        filename = str(payload.get("filename") or "file")
        mime_type = str(payload.get("mime_type") or mimetypes.guess_type(filename)[0] or "application/octet-stream")
        upload = self._client.call(UPLOAD_FILE, body={"filename": filename, "mime_type": mime_type}, repeatable=True)
        url, reference = find_value(upload, "upload_url"), find_value(upload, "s3ref")
        if not isinstance(url, str) or reference is None:
            raise DownstreamUnavailableError("The file API answered uploadFileV2 without a place to upload to.")
        self._client.storage.send(url, content, mime_type)
        return reference

    def _count_entities(self, slug: str) -> float:
        query = "_schema:" + "".join(f"\\{char}" if char in _LUCENE_SPECIAL else char for char in slug)
        hits = find_value(self._client.call(COUNT_ENTITIES, body={"q": query, "size": 0}), "hits")
        if not isinstance(hits, int | float):
            raise DownstreamUnavailableError("The entity API answered searchEntities without a number of hits.")
        return hits

    def _count_assignments(self, config_ids: Sequence[str]) -> Mapping[str, float]:
        counts = dict.fromkeys(config_ids, 0.0)
        for assignment in find_value(self._client.call(LIST_ASSIGNMENTS), LIST_ASSIGNMENTS.items) or []:
            for role_id in assignment.get("roles") or []:
                if role_id in counts:
                    counts[role_id] += 1
        return counts


def _unsupported(resource_type: ResourceType, operation: str) -> OperationUnsupportedError:
    reason = resource_type.missing.get(operation) or f"Its API cannot {operation.replace('_', ' ')} it."
    return OperationUnsupportedError(f"{resource_type.label}: {reason}")


def _written_payload(operation: WriteOperation, answer: Any) -> Payload | None:
    """Return the payload that a write answered; never one with a fresh secret in it."""
    if operation.mints_secret:
        return None
    payload = find_value(answer, operation.answer) if operation.answer else answer
    return payload if isinstance(payload, dict) else None


def _fill(value: Any, known: Mapping[str, str | None]) -> Any:
    """Fill placeholders into the strings of a constant; None where one has no value."""
    if not isinstance(value, str):
        return value
    for placeholder, text in known.items():
        if placeholder in value:
            if text is None:
                return None
            value = value.replace(placeholder, text)
    return value
