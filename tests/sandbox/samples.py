"""For each resource kind: the operations that serve it and bodies that the definitions allow."""

from typing import Any, NamedTuple

ORG = "100"
DESIGN_STYLE = {
    "palette": dict.fromkeys(("primary", "secondary", "error", "background", "paper", "navbar"), "#123456"),
    "typography": {
        "font": {"font_id": "inter", "font_name": "Inter", "urls": []},
        "primary": "#000000",
        "secondary": "#111111",
    },
    "consumer": {"widgets": [], "customer_portals": []},
}

APP = {
    "app_id": "app-1",
    "installer_org_id": "900",
    "enabled": True,
    "name": "Maps",
    "installed_version": "1.0.0",
    "components": [
        {
            "id": "c1",
            "component_type": "CUSTOM_CAPABILITY",
            "configuration": {"type": "tab"},
            "options": [
                {"key": "url", "type": "text", "required": True},
                {"key": "token", "type": "secret"},
            ],
        }
    ],
    "option_values": [],
}


class Sample(NamedTuple):
    """How a kind is reached: (api, operation) pairs, a body to create, a change, where the id stands.

    A ``slug`` is passed before the id; an ``ident`` is the id that the client chooses.
    """

    body: dict[str, Any]
    change: dict[str, Any]
    create: tuple[str, str]
    list: tuple[str, str] | None
    get: tuple[str, str] | None
    update: tuple[str, str] | None
    delete: tuple[str, str]
    id_field: str = "id"
    items: str | None = None
    list_body: dict[str, Any] | None = None
    list_id: str | None = None
    slug: str | None = None
    ident: str | None = None
    wrap: str | None = None
    get_wrap: str | None = None
    partial: bool = False
    id_in_body: bool = False
    list_query: dict[str, Any] | None = None


def _entity(slug: str, body: dict[str, Any], change: dict[str, Any]) -> Sample:
    return Sample(
        body,
        change,
        ("entity", "createEntity"),
        ("entity", "searchEntities"),
        ("entity", "getEntityV2"),
        ("entity", "patchEntity"),
        ("entity", "deleteEntity"),
        id_field="_id",
        items="results",
        list_body={"q": f"_schema:{slug}", "size": 1000},
        slug=slug,
        partial=True,
    )


def _file(type_: str) -> Sample:
    query = "_schema:file AND type:document_template"
    if type_ != "document_template":
        query = "_schema:file AND NOT type:document_template"
    return Sample(
        {"filename": "a.pdf", "type": type_, "custom_download_url": "https://files.example/a.pdf"},
        {"filename": "b.pdf"},
        ("file", "saveFileV2"),
        ("entity", "searchEntities"),
        ("file", "getFile"),
        ("file", "saveFileV2"),
        ("file", "deleteFile"),
        id_field="_id",
        items="results",
        list_body={"q": query},
        partial=True,
        id_in_body=True,
    )


SAMPLES: dict[str, Sample] = {
    "journey": Sample(
        {"name": "Sign up", "steps": [{"name": "One", "schema": {}, "uischema": {}}], "settings": {"designId": ""}},
        {"name": "Move"},
        ("journey", "createJourneyV2"),
        ("journey", "searchJourneys"),
        ("journey", "getJourneyV2"),
        ("journey", "patchUpdateJourneyV2"),
        ("journey", "removeJourneyV2"),
        id_field="journeyId",
        items="results",
        list_body={},
        list_id="journey_id",
        partial=True,
        id_in_body=True,
    ),
    "automation_flow": Sample(
        {"flow_name": "Mail", "triggers": [], "actions": []},
        {"flow_name": "Letter"},
        ("automation", "createFlow"),
        ("automation", "searchFlows"),
        ("automation", "getFlow"),
        ("automation", "putFlow"),
        ("automation", "deleteFlow"),
        items="results",
    ),
    "workflow_definition": Sample(
        {"name": "Solar", "flow": []},
        {"name": "Wind"},
        ("workflow-definition", "createDefinition"),
        ("workflow-definition", "getDefinitions"),
        ("workflow-definition", "getDefinition"),
        ("workflow-definition", "updateDefinition"),
        ("workflow-definition", "deleteDefinition"),
    ),
    "closing_reason": Sample(
        {"title": "Done"},
        {"title": "Lost"},
        ("workflow-definition", "createClosingReason"),
        ("workflow-definition", "getAllClosingReasons"),
        ("workflow-definition", "getClosingReason"),
        ("workflow-definition", "updateClosingReason"),
        ("workflow-definition", "deleteClosingReason"),
        items="reasons",
        partial=True,
    ),
    "flow_template": Sample(
        {"name": "Solar", "tasks": [], "edges": []},
        {"name": "Wind"},
        ("workflow-definition", "createFlowTemplate"),
        ("workflow-definition", "searchFlowTemplates"),
        ("workflow-definition", "getFlowTemplate"),
        ("workflow-definition", "updateFlowTemplate"),
        ("workflow-definition", "deleteFlowTemplate"),
        items="results",
        list_body={},
    ),
    "schema": Sample(
        {"slug": "meter", "name": "Meter", "plural": "Meters", "attributes": [], "capabilities": [], "published": True},
        {"name": "Counter"},
        ("entity", "putSchema"),
        ("entity", "listSchemasV2"),
        ("entity", "getSchema"),
        ("entity", "putSchema"),
        ("entity", "deleteSchema"),
        id_field="slug",
        items="results",
        ident="meter",
    ),
    "emailtemplate": Sample(
        {"name": "Hello", "subject": "Hi"},
        {"name": "Bye"},
        ("email-template", "saveTemplate"),
        ("entity", "searchEntities"),
        ("email-template", "getTemplateDetail"),
        ("email-template", "updateTemplateDetail"),
        ("entity", "deleteEntity"),
        id_field="_id",
        items="results",
        list_body={"q": "_schema:email_template"},
        slug="email_template",
        get_wrap="entity",
    ),
    "product": _entity("product", {"name": "Power"}, {"name": "Gas"}),
    "price": _entity("price", {"pricing_model": "per_unit", "description": "A"}, {"description": "B"}),
    "tax": _entity("tax", {"type": "VAT", "rate": 19, "region": "DE"}, {"rate": 7}),
    "coupon": _entity("coupon", {"name": "A", "type": "fixed", "category": "discount"}, {"name": "B"}),
    "file": _file("document"),
    "document_template": _file("document_template"),
    "webhook": Sample(
        {"name": "ERP", "eventName": "x", "url": "https://erp.example"},
        {"name": "CRM"},
        ("webhooks", "createConfig"),
        ("webhooks", "getConfigs"),
        ("webhooks", "getConfig"),
        ("webhooks", "updateConfig"),
        ("webhooks", "deleteConfig"),
    ),
    "saved_view": Sample(
        {"slug": ["contact"], "name": "Mine", "ui_config": {}},
        {"name": "Ours"},
        ("entity", "createSavedView"),
        ("entity", "listSavedViews"),
        ("entity", "getSavedView"),
        ("entity", "patchSavedView"),
        ("entity", "deleteSavedView"),
        items="results",
        partial=True,
    ),
    "dashboard": Sample(
        {"title": "Sales", "tiles": []},
        {"title": "Service"},
        ("dashboard", "createDashboard"),
        ("dashboard", "listDashboards"),
        ("dashboard", "getDashboard"),
        ("dashboard", "putDashboard"),
        ("dashboard", "deleteDashboard"),
        items="results",
    ),
    "kanban": Sample(
        {"title": "Sales", "config": {"swimlanes": []}},
        {"title": "Service"},
        ("kanban", "createKanbanBoard"),
        ("kanban", "getKanbanBoards"),
        ("kanban", "getKanbanBoard"),
        ("kanban", "updateKanbanBoard"),
        ("kanban", "deleteKanbanBoard"),
    ),
    "role": Sample(
        {
            "id": f"{ORG}:clerk",
            "name": "Clerk",
            "slug": "clerk",
            "type": "user_role",
            "organization_id": ORG,
            "grants": [{"action": "entity:view", "resource": "contact:*"}],
        },
        {"name": "Officer"},
        ("permissions", "putRole"),
        ("permissions", "listAllRoles"),
        ("permissions", "getRole"),
        ("permissions", "putRole"),
        ("permissions", "deleteRole"),
        items="roles",
        ident=f"{ORG}:clerk",
    ),
    "usergroup": Sample(
        {"name": "Sales"},
        {"name": "Service"},
        ("user", "createGroup"),
        ("user", "getGroups"),
        ("user", "getGroup"),
        ("user", "updateGroup"),
        ("user", "deleteGroup"),
        items="groups",
        partial=True,
    ),
    "validation_rule": Sample(
        {"title": "IBAN", "rule": {"type": "regex", "conditions": {"all": []}}},
        {"title": "BIC"},
        ("validation-rules", "createValidationRule"),
        ("validation-rules", "getValidationRules"),
        ("validation-rules", "getValidationRuleById"),
        ("validation-rules", "updateValidationRule"),
        ("validation-rules", "deleteValidationRule"),
        id_field="_id",
        items="results",
        partial=True,
    ),
    "integration": Sample(
        {"name": "SAP"},
        {"name": "Navision"},
        ("integration-toolkit", "createIntegrationV2"),
        ("integration-toolkit", "listIntegrationsV2"),
        ("integration-toolkit", "getIntegrationV2"),
        ("integration-toolkit", "updateIntegrationV2"),
        ("integration-toolkit", "deleteIntegrationV2"),
        items="integrations",
    ),
    "app": Sample(
        {"version": "1.0.0", "option_values": []},
        {"option_values": [{"component_id": "c1", "options": [{"key": "url", "value": "https://x.example"}]}]},
        ("app", "install"),
        ("app", "listInstallations"),
        ("app", "getInstallation"),
        ("app", "patchInstallation"),
        ("app", "uninstall"),
        id_field="app_id",
        items="apps",
        ident="app-1",
        partial=True,
    ),
    "designbuilder": Sample(
        {"style_name": "Blue", "status": "active", "edited": False, "style": DESIGN_STYLE},
        {"style_name": "Green"},
        ("design", "addDesign"),
        ("design", "getAllDesigns"),
        ("design", "getDesign"),
        ("design", "updateDesign"),
        ("design", "deleteDesign"),
        items="designs",
        wrap="design",
        get_wrap="design",
    ),
    "notification_template": Sample(
        {"name": "News", "type": "workflow.started"},
        {"name": "Olds"},
        ("notification", "createNotificationTemplate"),
        ("notification", "listNotificationTemplates"),
        ("notification", "getNotificationTemplate"),
        ("notification", "patchNotificationTemplate"),
        ("notification", "deleteNotificationTemplate"),
        id_field="_id",
        items="results",
        partial=True,
    ),
    "custom_variable": Sample(
        {"key": "greeting", "template": "Hi"},
        {"template": "Hello"},
        ("template-variables", "createCustomVariable"),
        ("template-variables", "searchCustomVariables"),
        ("template-variables", "getCustomVariable"),
        ("template-variables", "updateCustomVariable"),
        ("template-variables", "deleteCustomVariable"),
        items="results",
        list_body={},
    ),
    "environment_variable": Sample(
        {"key": "erp.url", "type": "String", "value": "https://erp.example"},
        {"value": "https://erp2.example"},
        ("environments", "createEnvironmentVariable"),
        ("environments", "listEnvironmentVariables"),
        ("environments", "getEnvironmentVariable"),
        ("environments", "updateEnvironmentVariable"),
        ("environments", "deleteEnvironmentVariable"),
        id_field="key",
        items="items",
        partial=True,
    ),
    "taxonomy": Sample(
        {"slug": "region", "name": "Region"},
        {"name": "Area"},
        ("entity", "createTaxonomy"),
        ("entity", "listTaxonomies"),
        ("entity", "getTaxonomy"),
        ("entity", "updateTaxonomy"),
        ("entity", "deleteTaxonomy"),
        id_field="slug",
        items="results",
    ),
    "taxonomy_classification": Sample(
        {"name": "North", "slug": "zone:North"},
        {"name": "Far North"},
        ("entity", "createTaxonomyClassification"),
        ("entity", "taxonomiesClassificationsSearch"),
        ("entity", "getTaxonomyClassification"),
        ("entity", "updateTaxonomyClassification"),
        ("entity", "deleteTaxonomyClassification"),
        items="results",
    ),
    "entity_mapping": Sample(
        {
            "id": "m-1",
            "source": {"type": "entity", "config": {"entity_id": "e-1"}},
            "targets": [{"target_schema": "contact", "mapping_attributes": []}],
        },
        {"targets": []},
        ("entity-mapping", "putMappingConfig"),
        None,
        ("entity-mapping", "getMappingConfig"),
        ("entity-mapping", "putMappingConfig"),
        ("entity-mapping", "deleteConfig"),
        ident="m-1",
    ),
    "portal_config": Sample(
        {"name": "Portal", "domain": "portal.example"},
        {"name": "Installers"},
        ("customer-portal", "createPortalConfig"),
        ("customer-portal", "listAllPortalConfigs"),
        ("customer-portal", "getPortalConfigV3"),
        ("customer-portal", "putPortalConfig"),
        ("customer-portal", "deletePortalConfig"),
        id_field="portal_id",
        items="data",
    ),
    "target": _entity("target", {"name": "Owners"}, {"name": "Tenants"}),
    "product_recommendation": _entity("product_recommendation", {"type": "offer"}, {"type": "upsell"}),
    "access_token": Sample(
        {"name": "CI"},
        {},
        ("access-token", "createAccessToken"),
        ("access-token", "listAccessTokens"),
        None,
        None,
        ("access-token", "revokeAccessToken"),
    ),
}
