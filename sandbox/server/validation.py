"""Checks requests and answers against the published OpenAPI 3.0 definitions."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any
from urllib.parse import parse_qs

import jsonschema_rs

from sandbox.server.call import Answer, Call
from sandbox.server.definitions import Endpoint, Json, load_definition, resolve
from sandbox.server.errors import ApiError

REQUEST, ANSWER = "request", "answer"

# (api, schema name, property or keyword) -> why the definition cannot be taken at its word there.
RELAXED: dict[tuple[str, str, str], str] = {
    ("automation", "OperationNode", "oneOf"): "one branch is any JSON value, so an object always matches two",
    (
        "entity",
        "BaseEntity",
        "required",
    ): "a search with fields answers only those, and yet all of the envelope is required",
    ("entity-mapping", "OperationNode", "oneOf"): "one branch is any JSON value, so an object always matches two",
    ("automation", "AutomationFlow", "actions"): "marked read-only and yet required in the body of a create",
}

_DROPPED = {
    "default",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "nullable",
    "readOnly",
    "title",
    "writeOnly",
    "xml",
}
_HIDDEN = {REQUEST: "readOnly", ANSWER: "writeOnly"}
_LONGEST_MESSAGE = 400
_MOST_PROBLEMS = 3


def _is_hidden(schema: Any, direction: str) -> bool:
    flag = _HIDDEN[direction]
    return isinstance(schema, dict) and bool(
        schema.get(flag) or any(part.get(flag) for part in schema.get("allOf", ()) if isinstance(part, dict))
    )


def convert(schema: Any, direction: str, relaxed: tuple[str, ...] = ()) -> Any:
    """Turn an OpenAPI 3.0 schema into a JSON Schema for one direction.

    In 3.0 a reference ignores its siblings, null is a flag, and read-only properties do not belong into a request
    nor write-only ones into an answer.
    """
    if isinstance(schema, list):
        return [convert(item, direction) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    hidden = {
        name
        for name, item in schema.get("properties", {}).items()
        if _is_hidden(item, direction) and name not in relaxed
    }
    out: Json = {}
    for key, value in schema.items():
        match key:
            case _ if key in _DROPPED or key.startswith("x-"):
                continue
            case "properties":
                out[key] = {
                    name: {"not": {}} if name in hidden else convert(item, direction) for name, item in value.items()
                }
            case "required" if key in relaxed:
                continue
            case "required":
                out[key] = [name for name in value if name not in hidden]
            case "oneOf" if key in relaxed:
                out["anyOf"] = convert(value, direction)
            case "allOf":
                out[key] = [convert(part, direction, relaxed) for part in value]
            case "anyOf" | "oneOf" | "items" | "additionalProperties" | "not":
                out[key] = convert(value, direction)
            case _:
                out[key] = value
    return _or_null(out) if schema.get("nullable") else out


def _or_null(schema: Json) -> Json:
    if isinstance(schema.get("type"), str) and not any(key in schema for key in ("allOf", "anyOf", "oneOf")):
        values = {"enum": [*schema["enum"], None]} if "enum" in schema and None not in schema["enum"] else {}
        return {**schema, "type": [schema["type"], "null"], **values}
    return {"anyOf": [schema, {"type": "null"}]}


@cache
def _registry(api: str, direction: str) -> jsonschema_rs.Registry:
    components = load_definition(api).get("components", {})
    schemas = {
        name: convert(schema, direction, tuple(key for at, of, key in RELAXED if (at, of) == (api, name)))
        for name, schema in components.get("schemas", {}).items()
    }
    parameters = {
        name: {"schema": convert(item.get("schema", {}), direction)}
        for name, item in components.get("parameters", {}).items()
    }
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": {"schemas": schemas, "parameters": parameters},
    }
    return jsonschema_rs.Registry([(f"urn:sandbox:{api}", document)], draft=jsonschema_rs.Draft202012)


def _absolute(schema: Any, api: str) -> Any:
    """Point the references of an inline schema at the registered document."""
    if isinstance(schema, list):
        return [_absolute(item, api) for item in schema]
    if isinstance(schema, dict):
        return {
            key: f"urn:sandbox:{api}{value}" if key == "$ref" else _absolute(value, api)
            for key, value in schema.items()
        }
    return schema


class _Checks:
    """The compiled validators of one operation."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._api = endpoint.api
        self._definition = load_definition(endpoint.api)
        specification = endpoint.specification
        self.body: Any = None
        self.takes_body = "requestBody" in specification
        self.needs_body = False
        if self.takes_body:
            declared = resolve(self._definition, specification["requestBody"])
            self.needs_body = bool(declared.get("required"))
            schema = declared.get("content", {}).get("application/json", {}).get("schema")
            self.body = None if schema is None else self._compile(schema, REQUEST)
        parameters = [
            resolve(self._definition, item)
            for item in (*endpoint.shared_parameters, *specification.get("parameters", ()))
        ]
        self.query = {item["name"]: self._parameter(item) for item in parameters if item["in"] == "query"}
        # An id of another form names nothing: that is a 404 of the API's own, not a violation.
        self.path = {item["name"]: self._parameter(item, formats=False) for item in parameters if item["in"] == "path"}
        self.required_query = [item["name"] for item in parameters if item["in"] == "query" and item.get("required")]
        self.answers: dict[int, Any] = {}
        for code, item in specification["responses"].items():
            if code.isdigit():
                content = resolve(self._definition, item).get("content", {})
                schema = content.get("application/json", {}).get("schema")
                self.answers[int(code)] = None if schema is None else self._compile(schema, ANSWER)

    def _compile(self, schema: Json, direction: str, *, formats: bool = True) -> Any:
        return jsonschema_rs.Draft202012Validator(
            _absolute(convert(schema, direction), self._api),
            registry=_registry(self._api, direction),
            validate_formats=formats,
        )

    def _parameter(self, item: Json, *, formats: bool = True) -> tuple[str, Any]:
        schema = item.get("schema", {})
        type_ = str(resolve(self._definition, schema).get("type", "string"))
        return type_, self._compile(schema, REQUEST, formats=formats)


def _typed(type_: str, values: list[str]) -> Any:
    if type_ == "array":
        return values
    value = values[0]
    if type_ in ("integer", "number"):
        try:
            return int(value) if type_ == "integer" else float(value)
        except ValueError:
            return value
    if type_ == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


class Validator:
    """Refuses what does not conform and remembers it."""

    def __init__(self) -> None:
        self.violations: list[Json] = []
        self._checks: dict[tuple[str, str], _Checks] = {}

    @staticmethod
    def relaxed() -> list[Json]:
        """Return where the definitions are not taken at their word, with the reasons."""
        return [
            {"api": api, "schema": schema, "part": part, "reason": reason}
            for (api, schema, part), reason in RELAXED.items()
        ]

    def _of(self, endpoint: Endpoint) -> _Checks:
        key = (endpoint.api, endpoint.operation)
        checks = self._checks.get(key)
        if checks is None:
            checks = self._checks[key] = _Checks(endpoint)
        return checks

    def _note(self, endpoint: Endpoint, direction: str, problems: list[str]) -> str:
        message = f"{direction} of {endpoint.operation} violates the published definition: {'; '.join(problems)}"
        self.violations.append(
            {"api": endpoint.api, "operation": endpoint.operation, "direction": direction, "problems": problems}
        )
        return message

    def check_request(self, call: Call, raw_body: bytes) -> None:
        """Check parameters and body of a request.

        Raises:
            ApiError: the request violates the definition.
        """
        problems = list(self._request_problems(call, raw_body))
        if problems:
            raise ApiError(400, self._note(call.endpoint, REQUEST, problems))

    def _request_problems(self, call: Call, raw_body: bytes) -> Iterator[str]:
        checks = self._of(call.endpoint)
        query = parse_qs(call.query_string, keep_blank_values=True)
        for name, values in query.items():
            if name not in checks.query:
                yield f"query parameter {name} is not declared"
                continue
            type_, validator = checks.query[name]
            if len(values) > 1 and type_ not in ("array", "string"):
                yield f"query parameter {name} is given twice"
            typed = values if len(values) > 1 else _typed(type_, values)
            yield from _problems(validator, typed, f"query parameter {name}")
        yield from (f"query parameter {name} is required" for name in checks.required_query if name not in query)
        for name, value in call.parameters.items():
            if name in checks.path:
                yield from _problems(checks.path[name][1], value, f"path parameter {name}")
        if raw_body and not checks.takes_body:
            yield "a body is not declared"
        elif not raw_body and checks.needs_body:
            yield "the body is required"
        elif raw_body and checks.body is not None:
            yield from _problems(checks.body, call.body, "body")

    def check_answer(self, endpoint: Endpoint, answer: Answer) -> str | None:
        """Return what is wrong with an answer, or None."""
        checks = self._of(endpoint)
        problems: list[str] = []
        if answer.status not in checks.answers:
            if answer.status < 400:
                problems.append(f"status {answer.status} is not declared")
        elif checks.answers[answer.status] is not None:
            try:
                problems.extend(_problems(checks.answers[answer.status], json.loads(answer.body), "body"))
            except ValueError:
                problems.append("the body is not JSON")
        elif answer.body and answer.status < 400:
            problems.append("a body is not declared")
        return self._note(endpoint, ANSWER, problems) if problems else None


def _root_cause(error: Any) -> Any:
    """Return the innermost failure of the branch that came furthest, for a value that no branch accepts."""
    while branches := [branch for branch in getattr(error.kind, "context", None) or () if branch]:
        closest = max(branches, key=lambda branch: (max(len(cause.instance_path) for cause in branch), -len(branch)))
        error = max(closest, key=lambda cause: len(cause.instance_path))
    return error


def _problems(validator: Any, value: Any, where: str) -> list[str]:
    if validator.is_valid(value):
        return []
    found = []
    for error in islice(validator.iter_errors(value), _MOST_PROBLEMS):
        cause = _root_cause(error)
        at = "/".join(str(step) for step in cause.instance_path)
        message = "must not be sent" if cause.schema_path[-1:] == ["not"] else cause.message[:_LONGEST_MESSAGE]
        found.append(f"{where} at /{at}: {message}")
    return found
