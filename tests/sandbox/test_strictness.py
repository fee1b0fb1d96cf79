"""Where the sandbox is as strict as the real APIs."""

import hashlib
from typing import Any

import pytest

from sandbox.server.definitions import read_endpoint
from sandbox.server.kinds import KIND_OF, KINDS
from tests.sandbox.conftest import Client, sign_in
from tests.sandbox.samples import APP, ORG, SAMPLES

DEAD = "00000000-0000-4000-8000-00000000dead"


def _planted(path: str, value: Any) -> Any:
    """Return the smallest structure that has a value at a path expression."""
    head, _, rest = path.partition(".")
    inner = _planted(rest, value) if rest else value
    if head == "**":
        return inner
    if head.startswith("{*}"):
        return {"any": [inner] if head.endswith("[]") else inner}
    name, where = head.replace("[]", ""), None
    if "(" in name:
        name, _, condition = name.partition("(")
        where = condition.rstrip(")").split("=")
    if where:
        inner = {**inner, where[0]: where[1]}
    return {name: [inner] if "[]" in head else inner}


REFERENCES = [
    (kind.type, reference.path, reference.form)
    for kind in KINDS
    for reference in kind.references
    if reference.path != "filter(keyToFilter=metadata.webhook_id).supportedValues[]"
]


@pytest.mark.parametrize(("type_", "path", "form"), REFERENCES)
def test_refuses_every_hard_reference_to_nothing(lenient: Client, type_: str, path: str, form: str) -> None:
    sample = SAMPLES[type_]
    value: Any = {"config_id": DEAD, "target_id": DEAD, "version": 1} if form == "mapping_slot" else DEAD
    body = {**sample.body, **_planted(path, value)}
    create = sample.create
    ident = (sample.slug or sample.ident,) if "{" in read_endpoint(*create).path else ()
    reply = lenient.call(*create, *ident, body={sample.wrap: body} if sample.wrap else body)
    assert reply.status == KIND_OF[type_].dead_reference_status, reply.body
    assert DEAD in reply.body.decode()
    assert lenient.send("GET", f"/_sandbox/orgs/{ORG}/resources?type={type_}").json()["resources"] == []


def test_refuses_a_webhook_filter_that_names_no_webhook(lenient: Client) -> None:
    body = {"name": "W", "eventName": "x", "filter": {"keyToFilter": "metadata.webhook_id", "supportedValues": ["no"]}}
    assert lenient.call("webhooks", "createConfig", body=body).status == 400
    body["filter"]["keyToFilter"] = "status"
    assert lenient.call("webhooks", "createConfig", body=body).status == 201


def test_reference_to_what_only_another_organisation_has_is_dead(client: Client, alpha: Client, beta: Client) -> None:
    tax = beta.call("entity", "createEntity", "tax", body=SAMPLES["tax"].body).json()["_id"]
    body = {**SAMPLES["price"].body, "tax": {"$relation": [{"entity_id": tax}]}}
    refused = alpha.call("entity", "createEntity", "price", body=body)
    assert refused.status == 422
    assert refused.json()["status"] == "error"
    assert beta.call("entity", "createEntity", "price", body=body).status == 201


def test_pinned_mapping_slot_must_agree_in_target_and_version(alpha: Client) -> None:
    mapping = {"id": "m-1", "source": {"type": "entity", "config": {"entity_id": "e"}}}
    target = {"id": "t-1", "target_schema": "contact", "mapping_attributes": []}
    alpha.call("entity-mapping", "putMappingConfig", "m-1", body={**mapping, "targets": [target]})

    def create(target_id: str, version: int) -> int:
        pinned = {"config_id": "m-1", "target_id": target_id, "version": version}
        config = {"target_schema": "contact", "mapping_config": pinned}
        body = {"flow_name": "F", "triggers": [], "actions": [{"type": "map-entity", "config": config}]}
        return alpha.call("automation", "createFlow", body=body).status

    assert create("t-1", 1) == 201
    assert create("t-2", 1) == 400
    assert create("t-1", 2) == 400


# ---------------------------------------------------------------- journeys and mappings


@pytest.mark.parametrize("field", ["canary", "isPublished", "status", "organizationSettings"])
def test_journey_v2_refuses_settings_of_v1(lenient: Client, field: str) -> None:
    body = {"name": "J", "steps": [], "settings": {field: None}}
    assert lenient.call("journey", "createJourneyV2", body=body).status == 400


def test_new_journey_brings_a_mapping_and_an_automation_unless_told_to_skip(alpha: Client) -> None:
    alpha.call("journey", "createJourneyV2", query={"skipAutomation": "true"}, body=SAMPLES["journey"].body)
    assert alpha.call("automation", "searchFlows").json()["total"] == 0
    journey = alpha.call("journey", "createJourneyV2", body=SAMPLES["journey"].body).json()
    mapping = alpha.call("entity-mapping", "getMappingConfig", journey["settings"]["mappingsAutomationId"]).json()
    assert mapping["source"]["config"]["journey_id"] == journey["journeyId"]
    query = {"trigger_source_id": journey["journeyId"]}
    assert alpha.call("automation", "searchFlows", query=query).json()["total"] == 1


def test_journey_list_is_a_summary_with_the_id_of_the_mirror_entity(alpha: Client) -> None:
    journey = alpha.call("journey", "createJourneyV2", body=SAMPLES["journey"].body).json()
    (item,) = alpha.call("journey", "searchJourneys", body={}).json()["results"]
    assert "steps" not in item
    assert item["_id"] == journey["settings"]["entityId"] != item["journey_id"] == journey["journeyId"]


def test_journey_patch_takes_deep_paths_and_keeps_what_the_server_owns(alpha: Client) -> None:
    created = alpha.call("journey", "createJourneyV2", body=SAMPLES["journey"].body).json()
    body = {"journeyId": created["journeyId"], "steps[0].title": "Hi", "settings.entityId": "mine", "settings": {}}
    patched = alpha.call("journey", "patchUpdateJourneyV2", body=body).json()
    assert patched["steps"][0]["title"] == "Hi"
    assert patched["settings"]["entityId"] == created["settings"]["entityId"]
    body = {"journeyId": created["journeyId"], "steps[7].title": "Hi"}
    assert alpha.call("journey", "patchUpdateJourneyV2", body=body).status == 400


def test_only_v1_answers_carry_the_journey_audit_fields(alpha: Client) -> None:
    ident = alpha.call("journey", "createJourneyV2", body=SAMPLES["journey"].body).json()["journeyId"]
    assert "lastModifiedAt" in alpha.call("journey", "getJourney", ident).json()
    assert "lastModifiedAt" not in alpha.call("journey", "getJourneyV2", ident).json()


def test_every_mapping_write_makes_a_version_and_names_its_targets(alpha: Client) -> None:
    sample = SAMPLES["entity_mapping"]
    versions = []
    for _ in range(3):
        mapping = alpha.call("entity-mapping", "putMappingConfig", "m-1", body=sample.body).json()
        versions.append(mapping["version"])
    assert versions == [1, 2, 3]
    assert mapping["targets"][0]["id"]
    assert alpha.call("entity-mapping", "putMappingConfig", "m-2", body=sample.body).status == 400


# ---------------------------------------------------------------- entity API


def test_schema_write_makes_a_version_with_an_id_of_its_own(alpha: Client) -> None:
    first = alpha.call("entity", "putSchema", "meter", body=SAMPLES["schema"].body).json()
    second = alpha.call("entity", "putSchema", "meter", body=SAMPLES["schema"].body).json()
    assert (first["version"], second["version"]) == (1, 2)
    assert first["id"] != second["id"]
    assert first["created_at"] == second["created_at"]


def test_schema_list_is_a_summary_of_the_published_unless_asked(alpha: Client) -> None:
    attribute = {"name": "size", "label": "Size", "type": "string"}
    body = {**SAMPLES["schema"].body, "attributes": [attribute]}
    alpha.call("entity", "putSchema", "meter", body=body)
    alpha.call("entity", "putSchema", "draft", body={**body, "slug": "draft", "published": False})
    (item,) = alpha.call("entity", "listSchemasV2").json()["results"]
    assert item["attributes"] == []
    full = alpha.call("entity", "listSchemasV2", query={"full": "true", "unpublished": "true"}).json()["results"]
    assert [(item["slug"], len(item["attributes"])) for item in full] == [("meter", 1), ("draft", 1)]


def test_entity_tags_come_back_as_a_sorted_set(alpha: Client) -> None:
    body = {**SAMPLES["product"].body, "_tags": ["b", "a", "b"]}
    assert alpha.call("entity", "createEntity", "product", body=body).json()["_tags"] == ["a", "b"]


def test_stale_entity_patch_conflicts(lenient: Client) -> None:
    ident = lenient.call("entity", "createEntity", "product", body={"name": "A"}).json()["_id"]
    body = {"name": "B", "_updated_at": "2020-01-01T00:00:00.000Z"}
    assert lenient.call("entity", "patchEntity", "product", ident, body=body).status == 409


@pytest.mark.parametrize(("type_", "change"), [("taxonomy", {}), ("custom_variable", {}), ("environment_variable", {})])
def test_second_resource_under_a_natural_key_conflicts(alpha: Client, type_: str, change: dict[str, Any]) -> None:
    sample = SAMPLES[type_]
    assert alpha.call(*sample.create, body=sample.body).status == 201
    assert alpha.call(*sample.create, body=sample.body).status == 409


def test_soft_deleted_taxonomy_keeps_its_slug(alpha: Client) -> None:
    sample = SAMPLES["taxonomy"]
    alpha.call(*sample.create, body=sample.body)
    assert alpha.call("entity", "deleteTaxonomy", "region").status == 204
    assert alpha.call("entity", "getTaxonomy", "region").status == 404
    assert alpha.call(*sample.create, body=sample.body).status == 409


def test_purpose_gets_an_id_of_its_own_and_answers_to_its_slug_too(client: Client, alpha: Client) -> None:
    client.load(ORG, ("taxonomy", {"slug": "purpose", "name": "Purpose", "kind": "system", "type": "system"}))
    body = {"name": "Sales", "slug": "purpose:Sales"}
    purpose = alpha.call("entity", "createTaxonomyClassification", body=body).json()
    assert purpose["id"] != "purpose:Sales"
    for ident in (purpose["id"], "purpose:Sales"):
        assert alpha.call("entity", "getTaxonomyClassification", ident).json()["name"] == "Sales"
    assert alpha.call("entity", "createTaxonomyClassification", body={**body, "slug": "other:Sales"}).status == 400
    assert alpha.call("entity", "deleteTaxonomy", "purpose").status == 403


# ---------------------------------------------------------------- secrets


def test_webhook_shows_its_signing_secret_once_and_no_credential_ever(client: Client, alpha: Client) -> None:
    auth = {"authType": "BASIC", "basicAuthConfig": {"username": "u", "password": "s3cret"}}
    body = {**SAMPLES["webhook"].body, "auth": auth}
    created = alpha.call("webhooks", "createConfig", body=body).json()
    assert created["signingSecret"]
    assert created["status"] == "active"
    got = alpha.call("webhooks", "getConfig", created["id"])
    assert "signingSecret" not in got.json()
    assert got.json()["auth"]["basicAuthConfig"]["password"] is None
    assert b"s3cret" not in got.body + alpha.call("webhooks", "getConfigs").body


def test_webhook_secret_stays_when_omitted_and_goes_when_null(client: Client, alpha: Client) -> None:
    auth: dict[str, Any] = {"authType": "BASIC", "basicAuthConfig": {"username": "u", "password": "s3cret"}}
    body = {**SAMPLES["webhook"].body, "auth": auth}
    ident = alpha.call("webhooks", "createConfig", body=body).json()["id"]

    def stored_password() -> Any:
        (item,) = client.send("GET", f"/_sandbox/orgs/{ORG}/resources?type=webhook").json()["resources"]
        return item["payload"]["auth"]["basicAuthConfig"].get("password")

    auth["basicAuthConfig"] = {"username": "u2"}
    assert alpha.call("webhooks", "updateConfig", ident, body=body).json()["status"] == "active"
    assert stored_password() == "s3cret"
    auth["basicAuthConfig"] = {"username": "u2", "password": None}
    assert alpha.call("webhooks", "updateConfig", ident, body=body).json()["status"] == "incomplete"
    assert stored_password() is None


def test_secret_variable_is_never_answered_and_survives_an_update_without_value(client: Client, alpha: Client) -> None:
    body = {"key": "erp.token", "type": "SecretString", "value": "s3cret"}
    assert "value" not in alpha.call("environments", "createEnvironmentVariable", body=body).json()
    alpha.call("environments", "updateEnvironmentVariable", "erp.token", body={"description": "ERP"})
    assert b"s3cret" not in alpha.call("environments", "listEnvironmentVariables").body
    (item,) = client.send("GET", f"/_sandbox/orgs/{ORG}/resources?type=environment_variable").json()["resources"]
    assert item["payload"]["value"] == "s3cret"


def test_type_of_a_variable_with_a_value_cannot_change(alpha: Client) -> None:
    alpha.call("environments", "createEnvironmentVariable", body=SAMPLES["environment_variable"].body)
    reply = alpha.call("environments", "updateEnvironmentVariable", "erp.url", body={"type": "Number"})
    assert reply.status == 409


def test_secret_app_option_is_configured_but_not_answered(client: Client, alpha: Client) -> None:
    client.load("900", ("app", APP))
    options = [{"key": "url", "value": "u"}, {"key": "token", "value": "s3cret"}]
    body = {"version": "1.0.0", "option_values": [{"component_id": "c1", "options": options}]}
    installed = alpha.call("app", "install", "app-1", body=body)
    assert b"s3cret" not in installed.body
    assert installed.json()["option_values"] == [{"component_id": "c1", "options": [{"key": "url", "value": "u"}]}]
    assert installed.json()["components"][0]["options"][1]["configured"] is True
    assert installed.json()["enabled"] is True
    assert alpha.call("app", "install", "app-2", body=body).status == 404


def test_access_tokens_are_listed_to_their_user_only_and_shown_once(client: Client, alpha: Client) -> None:
    created = alpha.call("access-token", "createAccessToken", body={"name": "CI"}).json()
    listed = alpha.call("access-token", "listAccessTokens")
    assert [item["id"] for item in listed.json()] == [created["id"]]
    assert created["token"].encode() not in listed.body
    colleague = sign_in(client, ORG, user_id="7")
    assert colleague.call("access-token", "listAccessTokens").json() == []


# ---------------------------------------------------------------- side effects


def test_role_grants_are_stored_with_their_dependencies_beside_them(alpha: Client) -> None:
    grants = [{"action": "entity:edit", "dependencies": [{"action": "entity:view"}]}]
    body = {**SAMPLES["role"].body, "grants": grants}
    stored = alpha.call("permissions", "putRole", f"{ORG}:clerk", body=body).json()["grants"]
    assert stored == [
        {"action": "entity:edit", "effect": "allow"},
        {"action": "entity:view", "effect": "allow"},
    ]


@pytest.mark.parametrize("change", [{"id": "200:clerk"}, {"organization_id": "200"}, {"slug": "other"}])
def test_role_id_must_belong_to_the_organisation_and_slug(lenient: Client, change: dict[str, str]) -> None:
    body = {**SAMPLES["role"].body, **change}
    assert lenient.call("permissions", "putRole", body["id"], body=body).status == 400


def test_use_case_missing_from_an_integration_put_is_deleted(alpha: Client) -> None:
    case = {"name": "In", "type": "inbound", "enabled": True}
    body = {"name": "SAP", "use_cases": [{**case, "slug": "one"}, {**case, "slug": "two"}]}
    created = alpha.call("integration-toolkit", "createIntegrationV2", body=body).json()
    first = created["use_cases"][0]
    body = {"name": "SAP", "use_cases": [{**case, "id": first["id"], "slug": "one"}]}
    updated = alpha.call("integration-toolkit", "updateIntegrationV2", created["id"], body=body).json()
    assert [(item["id"], item["created_at"]) for item in updated["use_cases"]] == [(first["id"], first["created_at"])]


def test_flow_template_makes_the_automations_it_describes(alpha: Client) -> None:
    trigger = {"type": "automation", "trigger_config": [{"type": "entity_manual", "configuration": {}}]}
    body = {**SAMPLES["flow_template"].body, "trigger": trigger}
    template = alpha.call("workflow-definition", "createFlowTemplate", body=body).json()
    assert template["trigger"].keys() == {"type", "automation_id"}
    assert alpha.call("automation", "searchFlows").json()["total"] == 0
    assert alpha.call("automation", "searchFlows", query={"include_flows": "true"}).json()["total"] == 1


def test_group_members_are_written_as_ids_and_read_as_users(alpha: Client) -> None:
    group = alpha.call("user", "createGroup", body={"name": "Sales", "user_ids": ["7"]}).json()
    assert group["users"] == [{"id": "7"}]


def test_portal_domain_belongs_to_one_portal_everywhere(alpha: Client, beta: Client) -> None:
    assert alpha.call("customer-portal", "createPortalConfig", body=SAMPLES["portal_config"].body).status == 201
    assert beta.call("customer-portal", "createPortalConfig", body=SAMPLES["portal_config"].body).status == 409


def test_system_template_can_be_changed_but_not_deleted(client: Client, alpha: Client) -> None:
    ident = alpha.call("email-template", "saveTemplate", body=SAMPLES["emailtemplate"].body).json()["_id"]
    (item,) = client.send("GET", f"/_sandbox/orgs/{ORG}/resources?type=emailtemplate").json()["resources"]
    client.load(ORG, ("emailtemplate", {**item["payload"], "system_template": True}))
    body = {**SAMPLES["emailtemplate"].body, "subject": "New", "system_template": False}
    changed = alpha.call("email-template", "updateTemplateDetail", ident, body=body).json()
    assert (changed["subject"], changed["system_template"]) == ("New", True)
    assert alpha.call("entity", "deleteEntity", "email_template", ident).status == 403


def test_boards_and_dashboards_are_seen_by_owner_and_shared_organisation_only(client: Client, alpha: Client) -> None:
    colleague = sign_in(client, ORG, user_id="7")
    for type_, shared in (("kanban", {"shared_with_org": True}), ("dashboard", {"org_access": "view"})):
        sample = SAMPLES[type_]
        assert sample.list is not None
        alpha.call(*sample.create, body={**sample.body, "title": "Private"})
        alpha.call(*sample.create, body={**sample.body, "title": "Shared", **shared})
        answer = colleague.call(*sample.list).json()
        items = answer[sample.items] if sample.items else answer
        assert [item["title"] for item in items] == ["Shared"]


# ---------------------------------------------------------------- files


def test_file_travels_from_upload_to_download(client: Client, alpha: Client, beta: Client) -> None:
    content = b"%PDF \xff"
    upload = alpha.call("file", "uploadFileV2", body={"filename": "t\u00e4riff 1.pdf"}).json()
    path = upload["upload_url"].removeprefix("http://sandbox.test")
    assert client.send("PUT", path, content, content_type="application/pdf").status == 200
    assert client.send("PUT", path[:-3] + "xxx", content).status == 403
    assert beta.call("file", "saveFileV2", body={"s3ref": upload["s3ref"]}).status == 404
    file = alpha.call("file", "saveFileV2", body={"s3ref": upload["s3ref"], "filename": "t\u00e4riff 1.pdf"}).json()
    assert file["etag"] == hashlib.md5(content).hexdigest()
    assert f"/{ORG}/{file['_id']}/" in file["public_url"]
    assert (file["size_bytes"], len(file["versions"])) == (len(content), 1)
    url = alpha.call("file", "downloadFile", file["_id"]).json()["download_url"]
    assert client.send("GET", url.removeprefix("http://sandbox.test")).body == content
    again = alpha.call("file", "saveFileV2", body={"_id": file["_id"], "s3ref": upload["s3ref"], "_tags": ["x"]}).json()
    assert (again["_id"], len(again["versions"]), again["_tags"]) == (file["_id"], 2, ["x"])


def test_file_can_be_fetched_from_another_organisation_by_its_download_url(client: Client, alpha: Client) -> None:
    client.load("200", ("file", {"_id": DEAD, "filename": "a.txt", "mime_type": "text/plain", "type": "text"}))
    client.load("200", ("_file_bytes", {"file_id": DEAD, "content_base64": "aGVsbG8="}))
    url = sign_in(client, "200").call("file", "downloadFile", DEAD).json()["download_url"]
    copy = alpha.call("file", "saveFileV2", body={"source_url": url, "filename": "a.txt"}).json()
    assert copy["etag"] == hashlib.md5(b"hello").hexdigest()
    assert copy["s3ref"]["key"].startswith(f"{ORG}/")


def test_file_needs_content(alpha: Client) -> None:
    assert alpha.call("file", "saveFileV2", body={"filename": "a.txt"}).status == 400


def test_purpose_names_are_computed_from_the_purposes(client: Client, alpha: Client) -> None:
    client.load(ORG, ("taxonomy_classification", {"id": DEAD, "slug": "purpose:Sales", "name": "Sales"}))
    body = {**SAMPLES["product"].body, "_purpose": [DEAD]}
    product = alpha.call("entity", "createEntity", "product", body=body).json()
    assert product["_purpose_name"] == ["Sales"]
    changed = alpha.call("entity", "patchEntity", "product", product["_id"], body={"_purpose": []}).json()
    assert "_purpose_name" not in changed


def test_portal_page_adopts_its_id_by_slug_when_asked(alpha: Client) -> None:
    page = {"slug": "home", "name": "Home", "blocks": {}, "order": 1, "path": "/", "design": {}, "content": {}}
    body = {**SAMPLES["portal_config"].body, "pages": [page]}
    portal = alpha.call("customer-portal", "createPortalConfig", body=body).json()
    page_id = portal["pages"][0]["id"]
    foreign = {**body, "pages": [{**page, "id": DEAD}]}

    def put(query: dict[str, str] | None) -> str:
        answer = alpha.call("customer-portal", "putPortalConfig", portal["portal_id"], body=foreign, query=query)
        return str(answer.json()["pages"][0]["id"])

    assert put({"page_upsert_mode": "slug"}) == page_id
    assert put(None) == DEAD


def test_portal_secrets_stay_behind(client: Client, alpha: Client) -> None:
    provider = {
        "slug": "b2b",
        "provider_type": "OIDC",
        "oidc_config": {"client_id": "c", "client_secret": "s3cret", "type": "authorization_code"},
    }
    client.load(ORG, ("portal_config", {"portal_id": DEAD, "name": "P", "identity_providers": [provider]}))
    assert b"s3cret" not in alpha.call("customer-portal", "listAllPortalConfigs").body


def test_access_token_with_a_lifetime_names_its_end(alpha: Client) -> None:
    body = {"name": "CI", "expires_in": 3600}
    created = alpha.call("access-token", "createAccessToken", body=body).json()
    assert created["expires_at"] > created["created_at"]


def test_secure_proxy_is_opened_by_staff_only(alpha: Client) -> None:
    case = {"name": "Proxy", "type": "secure_proxy", "enabled": True, "slug": "proxy"}
    body = {"name": "SAP", "use_cases": [case]}
    created = alpha.call("integration-toolkit", "createIntegrationV2", body=body).json()
    assert created["use_cases"][0]["configuration"]["allowed_domains"] == []


def test_text_of_any_kind_comes_back_as_it_was(alpha: Client) -> None:
    name = "Gr\u00fc\u00dfe \U0001f600 \u0000 \ud800"
    ident = alpha.call("entity", "createEntity", "product", body={"name": name}).json()["_id"]
    assert alpha.call("entity", "getEntityV2", "product", ident).json()["name"] == name
