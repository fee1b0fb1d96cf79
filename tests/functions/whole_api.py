"""The API as a caller meets it, in process: the authorizer first, then the route's function, the sandbox behind it.

Routes and operations are those of docs/openapi.json, storage is moto's, the downstream APIs are the sandbox's.
"""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt

from functions.api.authorizer import handler as authorizer
from sandbox.server.store import Store
from shared.adapters import functions, step_functions, tokens
from shared.bootstrap import downstream
from tests.fakes.issuer import ISSUER, key_set, sign
from tests.fakes.sandbox_api import SandboxClient

_DEFINITION = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
_ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine"
_SETTINGS = {
    "STATE_MACHINE_ARN": f"{_ARN}:sync",
    "DELETE_MACHINE_ARN": f"{_ARN}:delete",
    "BUILD_INDEX_FUNCTION": "build-index",
    "CONTINUE_INDEX_FUNCTION": "continue-index",
    "DOWNSTREAM_URL_TEMPLATE": "https://127.0.0.1:1/{host}",
    "TOKEN_ISSUER": ISSUER,
    "TOKEN_JWKS_URL": f"{ISSUER}/keys",
}


class Operation:
    """One operation of the definition.

    Attributes:
        fields: name -> where it goes (`path`, `query`, `header` or `body`).
        required: names of those that a request must have.
    """

    def __init__(self, definition: Mapping[str, Any], path: str, method: str, declared: Mapping[str, Any]) -> None:
        self.id: str = declared["operationId"]
        self.method = method.upper()
        self.path = path
        parameters = [_resolved(definition, one) for one in declared.get("parameters", ())]
        self.fields = {one["name"]: one["in"] for one in parameters}
        self.required = {one["name"] for one in parameters if one.get("required")}
        if "requestBody" in declared:
            content = declared["requestBody"]["content"]["application/json"]["schema"]
            schema = _resolved(definition, content)
            self.fields |= dict.fromkeys(schema["properties"], "body")
            self.required |= {*schema.get("required", ())}
        folder = re.sub("(?<!^)(?=[A-Z])", "_", self.id).lower()
        self.handler: Any = importlib.import_module(f"functions.api.{folder}.handler")


def _resolved(definition: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = definition
    if "$ref" not in node:
        return node
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


@cache
def operations() -> Mapping[str, Operation]:
    """Return every operation of docs/openapi.json."""
    definition = json.loads(_DEFINITION.read_text())
    found = [
        Operation(definition, path, method, declared)
        for path, methods in definition["paths"].items()
        for method, declared in methods.items()
        if "operationId" in declared
    ]
    return {operation.id: operation for operation in found}


class WholeApi:
    """Calls operations.

    Attributes:
        store: what the downstream APIs hold.
        started: input of every execution that was started.
        invoked: event of every function that was invoked.
        mixed: (organisation that was opened, organisation of the token that it was opened with), where they differ.
    """

    def __init__(self, monkeypatch: Any, context: Any) -> None:
        self.store = Store()
        self.started: list[Mapping[str, Any]] = []
        self.invoked: list[Mapping[str, Any]] = []
        self.mixed: list[tuple[str, str]] = []
        self._context = context
        for name, value in _SETTINGS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tokens, "_fetch_jwks", lambda _url: key_set("own"))
        monkeypatch.setattr(
            step_functions.SyncExecutions, "start", lambda _self, _id, value: self.started.append(value)
        )
        monkeypatch.setattr(functions.AsyncFunction, "invoke", lambda _self, event: self.invoked.append(event))
        monkeypatch.setattr(downstream, "DownstreamClient", self._client)
        opened = downstream.DownstreamRepository

        def open_checked(client: Any, org_id: str) -> Any:
            if client.org_id != org_id:
                self.mixed.append((org_id, client.org_id))
            return opened(client, org_id)

        monkeypatch.setattr(downstream, "DownstreamRepository", open_checked)

    def _client(self, token: str, *_: Any, **__: Any) -> SandboxClient:
        claims = jwt.decode(token, options={"verify_signature": False})
        return SandboxClient(self.store, claims["custom:ivy_org_id"], claims["custom:ivy_user_id"])

    def call(
        self,
        operation: Operation,
        token: str | None,
        fields: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Call an operation.

        Args:
            operation: the operation.
            token: bearer token; None sends none.
            fields: values by name, wherever they go.
            headers: further headers.

        Returns:
            Status and body.
        """
        given: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "body": {}}
        for name, value in fields.items():
            given[operation.fields[name]][name] = value
        context = self._authorized(token)
        if context is None:
            return 401, {"status": 401}
        answer = operation.handler.lambda_handler(
            {
                "resource": operation.path,
                "httpMethod": operation.method,
                "headers": {"Authorization": f"Bearer {token}", **given["header"], **(headers or {})},
                "multiValueQueryStringParameters": {name: [str(value)] for name, value in given["query"].items()},
                "pathParameters": {name: quote(value, safe="") for name, value in given["path"].items()},
                "requestContext": {"requestId": "request", "authorizer": context},
                "body": json.dumps(given["body"]) if "body" in operation.fields.values() else None,
            },
            self._context,
        )
        return answer["statusCode"], json.loads(answer["body"])

    def _authorized(self, token: str | None) -> Mapping[str, Any] | None:
        if token is None:
            return None
        arn = "arn:aws:execute-api:eu-central-1:123456789012:api/dev/GET/v1"
        try:
            policy = authorizer.lambda_handler(
                {"type": "TOKEN", "authorizationToken": f"Bearer {token}", "methodArn": arn}, self._context
            )
        except Exception as refused:
            if str(refused) != "Unauthorized":
                raise
            return None
        # The gateway hands every value on as a string.
        return {name: str(value) for name, value in policy["context"].items()}


def token_of(org_id: str, user_id: str, **changes: Any) -> str:
    """Return a user's token, valid unless the changes say otherwise."""
    return sign(**{"custom:ivy_org_id": org_id, "custom:ivy_user_id": user_id}, **changes)


@cache
def forged_tokens(org_id: str, user_id: str) -> dict[str, str]:
    """Return tokens that speak for somebody and do not verify, by what is wrong with them."""
    good = token_of(org_id, user_id)
    head, claims, _ = good.split(".")
    return {
        "another key": token_of(org_id, user_id, key="another", key_id="own"),
        "unknown key": token_of(org_id, user_id, key="another"),
        "expired": token_of(org_id, user_id, exp=int(time.time()) - 60),
        "another issuer": token_of(org_id, user_id, iss="https://elsewhere.example"),
        "no signature": f"{head}.{claims}.",
        "another's claims": ".".join([head, claims, token_of("org-mine", "me").rpartition(".")[2]]),
    }
