"""The sandbox's APIs in process, without HTTP: the same routes, verbs, checks and side effects, seeded and quick."""

from __future__ import annotations

import json
import random
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, Self
from unittest import mock
from urllib.parse import quote, urlencode, urlsplit

from sandbox.server import stamps
from sandbox.server.call import Answer, Call
from sandbox.server.errors import ApiError
from sandbox.server.files import serve_object
from sandbox.server.identifiers import NEW_ID
from sandbox.server.kinds import KIND_OF
from sandbox.server.operations import store_payload
from sandbox.server.routing import Router
from sandbox.server.store import DEFAULT_USER, Store
from shared.adapters.downstream.repository import DownstreamRepository
from shared.domain.api_operation import ListOperation, Operation
from shared.domain.errors import DownstreamMalformedError, DownstreamRejectedError, HubError, NotFoundError
from shared.domain.ports.configs import Payload, WrittenConfig
from shared.domain.resource_type import ResourceType

_BASE_URL = "https://sandbox"
_START = datetime(2026, 3, 2, 8, tzinfo=UTC)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@cache
def _router() -> Router:
    return Router()


class SandboxClient:
    """Stands where the HTTP client of an organisation stands.

    Attributes:
        writes: how often each operation that writes was called and did not fail.
    """

    def __init__(self, store: Store, org_id: str, user: str = DEFAULT_USER) -> None:
        self._store = store
        self.org_id = org_id
        self._user = user
        self.writes: Counter[str] = Counter()

    def call(
        self,
        operation: Operation,
        *,
        config_id: str | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        repeatable: bool = False,
        on_unanswered: Callable[[bool], None] = lambda _outlived: None,
    ) -> Any:
        before, brace, rest = operation.path.partition("{")
        path = before + quote(config_id or "", safe="") + rest.partition("}")[2] if brace else before
        matched = _router().match(operation.method, operation.host, path.strip("/").split("/"))
        assert matched is not None, operation
        route, parameters = matched
        call = Call(
            store=self._store,
            organisation=self._store.organisation(self.org_id),
            user=self._user,
            kind=route.kind_of(parameters),
            endpoint=route.endpoint,
            parameters=parameters,
            query_string=urlencode({**operation.query, **(query or {})}),
            body=None if body is None else json.loads(json.dumps(body)),
            base_url=_BASE_URL,
        )
        try:
            answer = route.verb(call)
        except ApiError as refusal:
            raise _error(operation, config_id, refusal) from None
        if operation.method != "GET" and not isinstance(operation, ListOperation) and not repeatable:
            self.writes[operation.operation_id] += 1
        return json.loads(answer.body) if answer.body else None

    @property
    def storage(self) -> SandboxClient:
        return self

    def fetch(self, url: str) -> bytes:
        return self._transfer("GET", url, b"", "").body

    def send(self, url: str, content: bytes, mime_type: str) -> None:
        self._transfer("PUT", url, content, mime_type)

    def _transfer(self, method: str, url: str, content: bytes, mime_type: str) -> Answer:
        split = urlsplit(url)
        signature = split.query.partition("=")[2]
        answer = serve_object(self._store, method, split.path.removeprefix("/_s3/"), signature, content, mime_type)
        assert answer.status == 200, url
        return answer


def _error(operation: Operation, config_id: str | None, refusal: ApiError) -> HubError:
    message = f"The {operation.api} API answered {refusal.status} to {operation.operation_id}: {refusal.message}."
    if refusal.status == 404 and config_id is not None:
        return NotFoundError(message)
    return (DownstreamMalformedError if refusal.status in (400, 422) else DownstreamRejectedError)(message)


class SandboxRepository(DownstreamRepository):
    """An organisation of the sandbox as the product sees it; operations on a type can be made to fail.

    Attributes:
        faults: (list, get, create or update; type) -> makes the error that the next of these calls raises.
    """

    def __init__(self, store: Store, org_id: str) -> None:
        self.client = SandboxClient(store, org_id)
        super().__init__(self.client, org_id)
        self.faults: dict[tuple[str, str], Callable[[], HubError]] = {}

    def list_pages(self, resource_type: ResourceType, resume: Any | None = None) -> Iterator[Any]:
        self._fail("list", resource_type)
        return super().list_pages(resource_type, resume)

    def get_config(self, resource_type: ResourceType, config_id: str) -> Payload:
        self._fail("get", resource_type)
        return super().get_config(resource_type, config_id)

    def create_config(self, resource_type: ResourceType, *arguments: Any, **named: Any) -> WrittenConfig:
        self._fail("create", resource_type)
        return super().create_config(resource_type, *arguments, **named)

    def update_config(self, resource_type: ResourceType, *arguments: Any, **named: Any) -> WrittenConfig:
        self._fail("update", resource_type)
        return super().update_config(resource_type, *arguments, **named)

    def _fail(self, operation: str, resource_type: ResourceType) -> None:
        fault = self.faults.get((operation, resource_type.name))
        if fault is not None:
            raise fault()


def store_unchecked(store: Store, org_id: str, type_name: str, payload: Payload, user: str = DEFAULT_USER) -> Payload:
    """Store a config as the API would hold it, defaults and stamps filled in, dead references and all."""
    kind = KIND_OF[type_name]
    organisation = store.organisation(org_id)
    old = organisation.find(kind, str(payload[kind.id_field]))
    new = {**deepcopy(dict(kind.defaults)), **deepcopy(payload)}
    call = Call(store, organisation, user, kind, SimpleNamespace(), {}, "", None, _BASE_URL)  # type: ignore[arg-type]
    # An app's installation is stored by verbs of its own; expanded closing reasons would have to exist.
    effects = tuple(name for name in kind.effects if name != "expand_closing_reasons")
    call.kind = replace(kind, references=(), after=(), effects=effects)
    if type_name == "app":
        organisation.put(kind, new)
        store.apps.setdefault(new["app_id"], new)
        return new
    return store_payload(call, old.payload if old else None, new).payload


@contextmanager
def seeded(drawn: random.Random) -> Iterator[None]:
    """Let the sandbox draw its ids and its time from a generator: equal seeds give equal organisations."""
    made = 0

    def now(_zone: Any = None) -> datetime:
        nonlocal made
        made += 1
        return _START + timedelta(seconds=made)

    def short_id() -> str:
        """One short id in four has no digit here, so that such ids are met."""
        if drawn.random() < 0.25:
            return "".join(drawn.choices(_LETTERS, k=8))
        return "".join(drawn.choices(_LETTERS + "0123456789", k=7)) + str(drawn.randrange(10))

    def of(length: int, prefix: str = "") -> Callable[[], str]:
        return lambda: prefix + "".join(drawn.choices(_LETTERS + _LETTERS.upper() + "23456789", k=length))

    ids = {
        "uuid": lambda: str(uuid.UUID(int=drawn.getrandbits(128), version=4)),
        "short_id": short_id,
        "nanoid": of(21),
        "short_uuid": of(22),
        "access_token_id": of(22, "api_"),
        "secret": of(40),
    }
    with mock.patch.dict(NEW_ID, ids), mock.patch.object(stamps, "datetime", SimpleNamespace(now=now)):
        yield


class SerialExecutor:
    """Runs what is submitted at once: no order to depend on, and no thread to start."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def shutdown(self, **_: Any) -> None:
        pass

    def submit(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:  # noqa: BLE001 - a future holds whatever its work raises
            future.set_exception(error)
        return future

    def map(self, work: Callable[..., Any], *iterables: Any, **_: Any) -> Iterator[Any]:
        return iter([work(*arguments) for arguments in zip(*iterables, strict=False)])


@contextmanager
def without_threads() -> Iterator[None]:
    """Let the product's pools run one thing after the other."""
    modules = [module for name, module in [*sys.modules.items()] if name.startswith("shared.")]
    with mock.patch.multiple("concurrent.futures", ThreadPoolExecutor=SerialExecutor):
        pooled = [module for module in modules if hasattr(module, "ThreadPoolExecutor")]
        before = [module.ThreadPoolExecutor for module in pooled]
        for module in pooled:
            module.ThreadPoolExecutor = SerialExecutor
        try:
            yield
        finally:
            for module, executor in zip(pooled, before, strict=True):
                module.ThreadPoolExecutor = executor
