"""With --validate, what does not conform to the published definitions is refused by name."""

from typing import Any

import pytest

from sandbox.server.definitions import load_definition
from sandbox.server.validation import RELAXED, convert
from tests.sandbox.conftest import Client
from tests.sandbox.samples import ORG


def _violations(client: Client) -> Any:
    return client.send("GET", "/_sandbox/violations").json()["violations"]


@pytest.mark.parametrize(
    ("operation", "path", "body", "query", "named"),
    [
        (("entity", "createEntity"), ("tax",), {"_org": "1"}, None, "/_org: must not be sent"),
        (("workflow-definition", "createClosingReason"), (), {"status": "MAYBE"}, None, "MAYBE"),
        (("webhooks", "createConfig"), (), {"name": "A"}, None, "eventName"),
        (("entity", "listTaxonomies"), (), None, {"colour": "red"}, "colour is not declared"),
        (("entity", "listTaxonomies"), (), None, {"type": "system"}, "system"),
        (("entity", "listTaxonomies"), (), {"a": 1}, None, "a body is not declared"),
        (("entity", "createEntity"), ("tax",), {"_manifest": ["no-uuid"]}, None, "/_manifest/0"),
        (("kanban", "createKanbanBoard"), (), None, None, "the body is required"),
        (("journey", "createJourneyV2"), (), {"name": "J", "steps": [{"name": "S"}]}, None, "/steps/0"),
    ],
)
def test_request_that_violates_the_definition_is_refused(
    client: Client, alpha: Client, operation: Any, path: Any, body: Any, query: Any, named: str
) -> None:
    reply = alpha.call(*operation, *path, body=body, query=query)
    assert reply.status == 400
    (violation,) = _violations(client)
    assert (violation["operation"], violation["direction"]) == (operation[1], "request")
    assert named in violation["problems"][0]
    assert named in reply.body.decode().replace("\\", "")


def test_answer_that_violates_the_definition_is_refused(client: Client, alpha: Client) -> None:
    client.load(ORG, ("closing_reason", {"id": "r", "title": 5}))
    assert alpha.call("workflow-definition", "getAllClosingReasons").status == 400
    (violation,) = _violations(client)
    assert violation["direction"] == "answer"
    assert "/reasons/0/title" in violation["problems"][0]
    client.send("POST", "/_sandbox/reset", {"what": "requests"})
    assert _violations(client) == [violation]


def test_violation_inside_alternatives_names_the_innermost_place(client: Client, alpha: Client) -> None:
    rule = {"type": "regex", "conditions": {"all": "none"}}
    alpha.call("validation-rules", "createValidationRule", body={"title": "R", "rule": rule})
    assert "/rule/conditions/all" in _violations(client)[0]["problems"][0]


def test_every_relaxation_is_about_something_that_the_definitions_have(client: Client) -> None:
    for api, schema, part in RELAXED:
        declared = load_definition(api)["components"]["schemas"][schema]
        parts = [declared, *declared.get("allOf", ())]
        assert any(part in item or part in item.get("properties", ()) for item in parts)
    listed = client.send("GET", "/_sandbox/violations").json()["relaxed"]
    assert all(item["reason"] for item in listed)
    assert len(listed) == len(RELAXED)


@pytest.mark.parametrize(
    ("schema", "converted"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "enum": ["a"], "nullable": True}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"$ref": "#/x", "description": "ignored"}, {"$ref": "#/x"}),
        ({"allOf": [{"$ref": "#/x"}], "nullable": True}, {"anyOf": [{"allOf": [{"$ref": "#/x"}]}, {"type": "null"}]}),
        (
            {"properties": {"a": {"type": "string", "readOnly": True}}, "required": ["a"]},
            {"properties": {"a": {"not": {}}}, "required": []},
        ),
        ({"properties": {"example": {"type": "string"}}}, {"properties": {"example": {"type": "string"}}}),
    ],
)
def test_openapi_schema_becomes_a_json_schema(schema: Any, converted: Any) -> None:
    assert convert(schema, "request") == converted


def test_read_only_belongs_into_answers_and_write_only_into_requests() -> None:
    schema = {"properties": {"a": {"readOnly": True}, "b": {"writeOnly": True}}}
    assert convert(schema, "request")["properties"] == {"a": {"not": {}}, "b": {}}
    assert convert(schema, "answer")["properties"] == {"a": {}, "b": {"not": {}}}


def test_relaxed_place_is_taken_loosely_and_no_other() -> None:
    schema = {"oneOf": [{"oneOf": [{}]}], "required": ["a"], "allOf": [{"required": ["b"]}]}
    relaxed = convert(schema, "answer", ("oneOf", "required"))
    assert relaxed == {"anyOf": [{"oneOf": [{}]}], "allOf": [{}]}


def test_mapping_operation_that_is_an_object_conforms(alpha: Client) -> None:
    operation = {"target": "name", "operation": {"_set": {"a": 1}}}
    target = {"target_schema": "contact", "mapping_attributes": [operation]}
    body = {"id": "m", "source": {"type": "entity", "config": {"entity_id": "e"}}, "targets": [target]}
    assert alpha.call("entity-mapping", "putMappingConfig", "m", body=body).status == 200
