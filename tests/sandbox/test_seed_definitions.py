"""Every seeded payload conforms to the published answer schemas of the API that would return it."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from sandbox.seed.organisations import build

DEFINITIONS = Path(__file__).parents[2] / "node_modules" / "@epilot" / "sdk" / "definitions"

Wrap = Callable[[dict[str, Any]], Any]


def bare(payload: dict[str, Any]) -> Any:
    return payload


def inside(name: str, **extra: Any) -> Wrap:
    return lambda payload: {name: payload, **extra}


def listed(name: str, **extra: Any) -> Wrap:
    return lambda payload: {name: [payload], **extra}


PAGINATION = {"total": 1, "limit": 200, "offset": 0, "has_more": False}

ANSWERS: dict[str, list[tuple[str, str, Wrap]]] = {
    "journey": [("journey", "getJourney", bare)],
    "automation_flow": [("automation", "getFlow", bare), ("automation", "searchFlows", listed("results", total=1))],
    "workflow_definition": [
        ("workflow-definition", "getDefinition", bare),
        ("workflow-definition", "getDefinitions", lambda payload: [payload]),
    ],
    "closing_reason": [
        ("workflow-definition", "getClosingReason", bare),
        ("workflow-definition", "getAllClosingReasons", listed("reasons")),
    ],
    "flow_template": [
        ("workflow-definition", "getFlowTemplate", bare),
        ("workflow-definition", "searchFlowTemplates", listed("results", hits=1)),
    ],
    "schema": [("entity", "getSchema", bare), ("entity", "listSchemasV2", listed("results"))],
    "emailtemplate": [
        ("email-template", "getTemplateDetail", inside("entity", relations=[])),
        ("entity", "searchEntities", listed("results", hits=1)),
    ],
    **{
        kind: [
            ("entity", "getEntityV2", bare),
            ("entity", "searchEntities", listed("results", hits=1)),
            ("pricing", f"#{schema}", bare),
        ]
        for kind, schema in (
            ("product", "Product"),
            ("tax", "Tax"),
            ("coupon", "Coupon"),
            ("product_recommendation", "ProductRecommendation"),
        )
    },
    "price": [("entity", "getEntityV2", bare), ("entity", "searchEntities", listed("results", hits=1))],
    "target": [
        ("entity", "getEntityV2", bare),
        ("entity", "searchEntities", listed("results", hits=1)),
        ("targeting", "#Target", bare),
    ],
    **{
        kind: [("file", "getFile", bare), ("entity", "searchEntities", listed("results", hits=1))]
        for kind in ("file", "document_template")
    },
    "webhook": [("webhooks", "getConfig", bare), ("webhooks", "getConfigs", lambda payload: [payload])],
    "saved_view": [("entity", "getSavedView", bare), ("entity", "listSavedViews", listed("results", hits=1))],
    "dashboard": [
        ("dashboard", "getDashboard", bare),
        ("dashboard", "listDashboards", listed("results", pagination=PAGINATION)),
    ],
    "kanban": [("kanban", "getKanbanBoard", bare)],
    "role": [("permissions", "getRole", bare), ("permissions", "listAllRoles", listed("roles"))],
    "usergroup": [("user", "getGroup", bare), ("user", "getGroups", listed("groups", hits=1))],
    "validation_rule": [
        ("validation-rules", "getValidationRuleById", bare),
        ("validation-rules", "getValidationRules", listed("results")),
    ],
    "integration": [
        ("integration-toolkit", "getIntegrationV2", bare),
        ("integration-toolkit", "listIntegrationsV2", listed("integrations")),
    ],
    "app": [
        ("app", "getInstallation", bare),
        ("app", "listInstallations", listed("apps", pagination={"page": 1, "pageSize": 20, "total": 1})),
    ],
    "designbuilder": [("design", "getDesign", inside("design")), ("design", "getAllDesigns", listed("designs"))],
    "notification_template": [
        ("notification", "getNotificationTemplate", bare),
        ("notification", "listNotificationTemplates", listed("results", hits=1)),
    ],
    "custom_variable": [
        ("template-variables", "getCustomVariable", bare),
        ("template-variables", "searchCustomVariables", listed("results", hits=1)),
    ],
    "environment_variable": [
        ("environments", "getEnvironmentVariable", bare),
        ("environments", "listEnvironmentVariables", listed("items")),
    ],
    "taxonomy": [("entity", "getTaxonomy", bare), ("entity", "listTaxonomies", listed("results"))],
    "taxonomy_classification": [
        ("entity", "getTaxonomyClassification", bare),
        ("entity", "taxonomiesClassificationsSearch", listed("results", hits=1)),
    ],
    "entity_mapping": [("entity-mapping", "getMappingConfig", bare)],
    "portal_config": [
        ("customer-portal", "getPortalConfigV3", bare),
        ("customer-portal", "listAllPortalConfigs", listed("data")),
    ],
    "access_token": [("access-token", "listAccessTokens", lambda payload: [payload])],
}


def as_json_schema(node: Any) -> Any:
    """Turn an OpenAPI 3.0 schema into JSON Schema 2020-12."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return {"$ref": node["$ref"]}
    converted = {
        key: as_json_schema(value) for key, value in node.items() if key not in ("nullable", "example", "discriminator")
    }
    if node.get("nullable") is True:
        return {"anyOf": [converted, {"type": "null"}]}
    return converted


def relaxed(api: str, components: dict[str, Any]) -> dict[str, Any]:
    """Lift the places where a definition contradicts itself (section 10 of the catalogue)."""
    if api in ("entity-mapping", "automation"):
        for schema in components.values():
            options = schema.get("oneOf") if isinstance(schema, dict) else None
            if options and any("PrimitiveJSONValue" in str(option.get("$ref")) for option in options):
                schema["anyOf"] = schema.pop("oneOf")
    return components


@cache
def definition(api: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DEFINITIONS / f"{api}.json").read_text())
    document["components"]["schemas"] = relaxed(api, as_json_schema(document["components"]["schemas"]))
    return document


@cache
def validator(api: str, answer: str) -> jsonschema_rs.Draft202012Validator:
    document = definition(api)
    components = {"schemas": document["components"]["schemas"]}
    if answer.startswith("#"):
        schema: Any = {"$ref": f"#/components/schemas/{answer[1:]}"}
    else:
        operation = next(
            operation
            for path in document["paths"].values()
            for operation in path.values()
            if isinstance(operation, dict) and operation.get("operationId") == answer
        )
        schema = as_json_schema(operation["responses"]["200"]["content"]["application/json"]["schema"])
    return jsonschema_rs.Draft202012Validator({**schema, "components": components}, validate_formats=True)


SEED = build("739224", "911210", 1, 42)


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_payloads_conform_to_the_answers_of_their_api(kind: str) -> None:
    payloads = [r.payload for r in (*SEED.source, *SEED.target) if r.type == kind]
    assert payloads
    for api, answer, wrap in ANSWERS[kind]:
        check = validator(api, answer)
        problems = [
            f"{api} {answer}: {error.instance_path} {error.message[:300]}"
            for payload in payloads
            for error in check.iter_errors(wrap(payload))
        ]
        assert not problems, problems[:5]


def test_simple_and_composite_prices_conform_to_their_own_schemas() -> None:
    for resource in (*SEED.source, *SEED.target):
        if resource.type == "price":
            schema = "NonHydratedCompositePrice" if resource.payload["is_composite_price"] else "Price"
            assert not list(validator("pricing", f"#{schema}").iter_errors(resource.payload))
