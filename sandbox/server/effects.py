"""What a write does besides storing the body: the downstream APIs' side effects, by name."""

from collections.abc import Callable
from typing import Any

from sandbox.server.call import Call
from sandbox.server.errors import ApiError
from sandbox.server.identifiers import NEW_ID
from sandbox.server.kinds import KIND_OF
from sandbox.server.paths import read_dotted
from sandbox.server.stamps import later, now
from sandbox.server.store import Payload
from sandbox.server.views import holds_secret

_WEBHOOK_SECRETS = (
    ("BASIC", "basicAuthConfig", "password"),
    ("OAUTH_CLIENT_CREDENTIALS", "oauthConfig", "clientSecret"),
    ("API_KEY", "apiKeyConfig", "keyValue"),
)


def _journey_settings(call: Call, _old: Payload | None, new: Payload) -> None:
    """A journey is active unless it says otherwise, and wears the organisation's default design."""
    settings = new["settings"]
    settings.setdefault("isActive", True)
    settings.setdefault("newMappings", False)
    if not settings.get("designId"):
        designs = call.organisation.collection("designbuilder").values()
        default = next((record.payload["id"] for record in designs if record.payload.get("is_default")), "")
        settings["designId"] = default


def _create_journey_automation(call: Call, old: Payload | None, new: Payload) -> None:
    """Unless told to skip it, a new journey gets an entity mapping and an automation that runs it."""
    if old is not None or call.query_text("skipAutomation") == "true":
        return
    at, org_id, journey_id = now(), call.organisation.id, new["journeyId"]
    owner = {"type": "internal_service", "org_id": org_id}
    mapping_id, target_id, flow_id = (NEW_ID["uuid"]() for _ in range(3))
    call.organisation.put(
        KIND_OF["entity_mapping"],
        {
            "id": mapping_id,
            "org_id": org_id,
            "version": 1,
            "source": {"type": "journey", "config": {"journey_id": journey_id}},
            "targets": [
                {"id": target_id, "name": "submission", "target_schema": "submission", "mapping_attributes": []}
            ],
            "created_at": at,
            "updated_at": at,
            "created_by": owner,
            "last_updated_by": owner,
        },
    )
    action_id = NEW_ID["uuid"]()
    call.organisation.put(
        KIND_OF["automation_flow"],
        {
            "id": flow_id,
            "org_id": org_id,
            "flow_name": f"Journey Automation: {new['name']}",
            "enabled": True,
            "entity_schema": "submission",
            "triggers": [{"type": "journey_submission", "configuration": {"source_id": journey_id}}],
            "actions": [
                {
                    "id": action_id,
                    "flow_action_id": action_id,
                    "name": "map-entity",
                    "type": "map-entity",
                    "config": {
                        "target_schema": "submission",
                        "mapping_config": {"config_id": mapping_id, "target_id": target_id, "version": 1},
                    },
                    "created_automatically": True,
                }
            ],
            "runs": 0,
            "version": 1,
            "system_flow": False,
            "created_at": at,
            "updated_at": at,
            "created_by": "system",
            "last_updated_by": "system",
        },
    )
    new["settings"]["mappingsAutomationId"] = mapping_id


def _identify_actions(_call: Call, _old: Payload | None, new: Payload) -> None:
    for action in new.get("actions") or ():
        action.setdefault("id", NEW_ID["uuid"]())
        action.setdefault("flow_action_id", action["id"])


def _identify_sections(_call: Call, _old: Payload | None, new: Payload) -> None:
    for section in new.get("flow") or ():
        section.setdefault("id", NEW_ID["short_id"]())
        for step in section.get("steps") or ():
            step.setdefault("id", NEW_ID["short_id"]())


def _automation_for(call: Call, name: str, configuration: Payload) -> str:
    flow_id = NEW_ID["uuid"]()
    at = now()
    call.organisation.put(
        KIND_OF["automation_flow"],
        {
            "id": flow_id,
            "org_id": call.organisation.id,
            "flow_name": name,
            "enabled": True,
            "runs": 0,
            "version": 1,
            "system_flow": False,
            "created_at": at,
            "updated_at": at,
            **configuration,
        },
    )
    return flow_id


def _flow_automations(call: Call, _old: Payload | None, new: Payload) -> None:
    """Transient configurations become automations; only the ids of those stay in the template."""
    for trigger in (new.get("trigger"), *(new.get("additional_triggers") or ())):
        if isinstance(trigger, dict) and "trigger_config" in trigger:
            configuration = {"triggers": trigger.pop("trigger_config"), "actions": []}
            trigger["automation_id"] = _automation_for(call, f"Trigger of {new['name']}", configuration)
    for task in new["tasks"]:
        config = task.get("automation_config")
        if isinstance(config, dict) and "action_config" in config:
            action = {"id": NEW_ID["uuid"](), **config.pop("action_config")}
            configuration = {"triggers": [{"type": "flows_trigger", "configuration": {}}], "actions": [action]}
            config["flow_id"] = _automation_for(call, task.get("name", "Task"), configuration)
        if isinstance(config, dict):
            config.pop("duplicated_flow_id", None)


def _expand_closing_reasons(call: Call, _old: Payload | None, new: Payload) -> None:
    reasons = call.organisation.collection("closing_reason")
    if "closing_reasons" in new:
        new["closing_reasons"] = [dict(reasons[reason["id"]].payload) for reason in new["closing_reasons"]]


def _entity_title(call: Call, _old: Payload | None, new: Payload) -> None:
    names = (new.get(field) for field in (*call.kind.title, "name", "title"))
    new["_title"] = next((str(name) for name in names if name), new.get("_id"))


def _purpose_names(call: Call, _old: Payload | None, new: Payload) -> None:
    purposes = call.organisation.collection("taxonomy_classification")
    known = [purposes[ident].payload["name"] for ident in new.get("_purpose") or () if ident in purposes]
    if known:
        new["_purpose_name"] = known
    else:
        new.pop("_purpose_name", None)


def _tax_title(_call: Call, _old: Payload | None, new: Payload) -> None:
    new["_title"] = " ".join(str(new[field]) for field in ("type", "rate", "region") if new.get(field) is not None)


def _keep_webhook_secrets(_call: Call, old: Payload | None, new: Payload) -> None:
    """An omitted secret stays, null clears it."""
    for _, config_name, secret in _WEBHOOK_SECRETS:
        config = read_dotted(new, f"auth.{config_name}")
        if not isinstance(config, dict):
            continue
        kept = read_dotted(old or {}, f"auth.{config_name}.{secret}")
        if secret not in config and kept is not None:
            config[secret] = kept
        elif secret in config and config[secret] is None:
            del config[secret]


def _webhook_status(_call: Call, _old: Payload | None, new: Payload) -> None:
    auth = new.get("auth") or {}
    missing = not new.get("url") or any(
        auth.get("authType") == auth_type and not read_dotted(auth, f"{config}.{secret}")
        for auth_type, config, secret in _WEBHOOK_SECRETS
    )
    new["status"] = "incomplete" if missing else "active" if new.get("enabled") else "inactive"


def _owned_by_creator(call: Call, _old: Payload | None, new: Payload) -> None:
    if not new.get("owners"):
        new["owners"] = [call.user]


def _own_role(call: Call, _old: Payload | None, new: Payload) -> None:
    org_id = call.organisation.id
    if new.get("organization_id") != org_id or new["id"] != f"{org_id}:{new.get('slug')}":
        raise ApiError(400, "id must be <organization_id>:<slug> of the caller's organization")


def _explode_grants(_call: Call, _old: Payload | None, new: Payload) -> None:
    """Dependencies of a grant are stored as grants of their own."""
    grants: list[Payload] = []
    for grant in new["grants"]:
        dependencies = grant.pop("dependencies", ())
        for item in (grant, *dependencies):
            item.setdefault("effect", "allow")
            if item not in grants:
                grants.append(item)
    new["grants"] = grants


def _group_members(_call: Call, _old: Payload | None, new: Payload) -> None:
    if "user_ids" in new:
        new["users"] = [{"id": user_id} for user_id in new.pop("user_ids")]


# Only epilot's staff open a secure proxy to hosts; a body cannot.
_NEW_PROXY = {"vpc_mode": "static_ip", "allowed_domains": [], "allowed_ips": []}


def _own_use_cases(call: Call, old: Payload | None, new: Payload) -> None:
    """Use cases keep their identity by id; those that the body leaves out are gone."""
    known = {case["id"]: case for case in (old or {}).get("use_cases") or ()}
    at = now()
    for case in new["use_cases"]:
        case.setdefault("id", NEW_ID["uuid"]())
        before = known.get(case["id"], {})
        case.setdefault("enabled", True)
        case["integrationId"] = new["id"]
        case["created_at"] = before.get("created_at", at)
        case["updated_at"] = at
        case["changed_by"] = call.user
        if case.get("type") == "secure_proxy":
            case["configuration"] = before.get("configuration", dict(_NEW_PROXY))


def _maps_to_environment(call: Call, _old: Payload | None, new: Payload) -> None:
    """Each map of an integration is kept as a JSON environment variable of the same key."""
    kind = KIND_OF["environment_variable"]
    for entry in new.get("maps") or ():
        key = entry.get("key")
        if key and call.organisation.find(kind, key) is None:
            at = now()
            value = {"key": key, "type": "JSON", "value": entry.get("entries", {}), "protected": False}
            call.organisation.put(kind, {**value, "created_at": at, "updated_at": at})


def _environment_value(_call: Call, old: Payload | None, new: Payload) -> None:
    if old is not None and new["type"] != old["type"] and old.get("value") is not None:
        raise ApiError(409, "the type of a variable that holds a value cannot change")
    if new["type"] == "List" and isinstance(new.get("value"), dict):
        new["item_type"] = new["value"].get("itemType", new["value"].get("item_type"))
        if new["item_type"] is None:
            del new["item_type"]
    if holds_secret(new) and old is not None and new.get("value") is None and old.get("value") is not None:
        new["value"] = old["value"]


def _identify_targets(_call: Call, _old: Payload | None, new: Payload) -> None:
    for target in new["targets"]:
        target.setdefault("id", NEW_ID["uuid"]())


def _portal_domain(call: Call, _old: Payload | None, new: Payload) -> None:
    """A domain belongs to one portal of one organisation."""
    domain = new.get("domain")
    if not domain:
        return
    for organisation in call.store.organisations.values():
        for record in organisation.collection("portal_config").values():
            if record.payload.get("domain") == domain and record.payload["portal_id"] != new["portal_id"]:
                raise ApiError(409, f"the domain {domain} is taken")


def _portal_pages(call: Call, old: Payload | None, new: Payload) -> None:
    """Pages get ids; in slug mode a page keeps the id that the portal has under that slug."""
    ids = {page.get("slug"): page["id"] for page in (old or {}).get("pages") or () if page.get("slug")}
    at = now()
    for page in new.get("pages") or ():
        if call.query_text("page_upsert_mode") == "slug" and page.get("slug") in ids:
            page["id"] = ids[page["slug"]]
        page.setdefault("id", NEW_ID["uuid"]())
        page["portal_id"] = new["portal_id"]
        page["last_modified_at"] = at


def _keep_portal_secrets(_call: Call, old: Payload | None, new: Payload) -> None:
    """A redacted client secret is not a new one: the stored one stays."""
    known = {item.get("provider_slug", item.get("slug")): item for item in (old or {}).get("identity_providers") or ()}
    for provider in new.get("identity_providers") or ():
        before = known.get(provider.get("provider_slug", provider.get("slug")))
        config = provider.get("oidc_config")
        if before and isinstance(config, dict) and "client_secret" not in config:
            kept = read_dotted(before, "oidc_config.client_secret")
            if kept is not None:
                config["client_secret"] = kept


def _token_expiry(_call: Call, _old: Payload | None, new: Payload) -> None:
    seconds = new.pop("expires_in", None)
    if seconds:
        new["expires_at"] = later(seconds)


Effect = Callable[[Call, Payload | None, Payload], None]

EFFECTS: dict[str, Effect] = {
    "journey_settings": _journey_settings,
    "identify_actions": _identify_actions,
    "identify_sections": _identify_sections,
    "flow_automations": _flow_automations,
    "expand_closing_reasons": _expand_closing_reasons,
    "entity_title": _entity_title,
    "purpose_names": _purpose_names,
    "tax_title": _tax_title,
    "keep_webhook_secrets": _keep_webhook_secrets,
    "webhook_status": _webhook_status,
    "owned_by_creator": _owned_by_creator,
    "own_role": _own_role,
    "explode_grants": _explode_grants,
    "group_members": _group_members,
    "own_use_cases": _own_use_cases,
    "environment_value": _environment_value,
    "identify_targets": _identify_targets,
    "portal_domain": _portal_domain,
    "portal_pages": _portal_pages,
    "keep_portal_secrets": _keep_portal_secrets,
    "token_expiry": _token_expiry,
}

AFTER: dict[str, Effect] = {
    "create_journey_automation": _create_journey_automation,
    "maps_to_environment": _maps_to_environment,
}

# A guard says why a stored resource must not be written (True) or deleted (False), or None.
Guard = Callable[[Payload, bool], str | None]


def _only_delete(test: Callable[[Payload], Any], reason: str) -> Guard:
    return lambda payload, writing: reason if not writing and test(payload) else None


def _always(test: Callable[[Payload], Any], reason: str) -> Guard:
    return lambda payload, _writing: reason if test(payload) else None


_BUILT_IN_ROLES = ("org_role", "portal_role")

GUARDS: dict[str, Guard] = {
    "system_flow": _only_delete(lambda payload: payload.get("system_flow"), "a system flow cannot be deleted"),
    "built_in_schema": _only_delete(lambda payload: payload.get("blueprint"), "a built-in schema cannot be deleted"),
    "system_template": _only_delete(
        lambda payload: payload.get("system_template"), "a system template cannot be deleted"
    ),
    "system_view": _only_delete(
        lambda payload: (payload.get("created_by") or {}).get("source") == "SYSTEM", "a system view cannot be deleted"
    ),
    "built_in_role": _always(
        lambda payload: payload.get("type") in _BUILT_IN_ROLES or payload.get("slug") == "owner",
        "a built-in role cannot be changed",
    ),
    "default_design": _only_delete(lambda payload: payload.get("is_default"), "the default design cannot be deleted"),
    "protected_variable": _always(lambda payload: payload.get("protected"), "the variable is protected"),
    "system_taxonomy": _always(lambda payload: payload.get("kind") == "system", "a system taxonomy cannot be changed"),
}
