"""What an API shows of a stored resource."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from sandbox.server.paths import drop_dotted, find_values

Payload = dict[str, Any]

_V1_ONLY = (
    "organizationId",
    "createdAt",
    "createdBy",
    "lastModifiedAt",
    "updatedBy",
    "deletedAt",
    "version",
    "revisions",
    "revision_id",
    "featureFlags",
    "settings.canary",
    "settings.isPublished",
    "settings.status",
    "settings.organizationSettings",
)
_WEBHOOK_SECRETS = (
    ("basicAuthConfig", "password", "passwordIsEnvVar"),
    ("oauthConfig", "clientSecret", "clientSecretIsEnvVar"),
    ("apiKeyConfig", "keyValue", "keyValueIsEnvVar"),
)


def _public(payload: Payload) -> Payload:
    return {key: value for key, value in payload.items() if key not in ("_user_id", "_token", "_lineage")}


def _without(payload: Payload, *paths: str) -> Payload:
    shown = deepcopy(payload) if any("." in path for path in paths) else dict(payload)
    for path in paths:
        drop_dotted(shown, path)
    return shown


def _journey_summary(payload: Payload) -> Payload:
    settings = payload.get("settings") or {}
    shown = {
        "_id": settings.get("entityId"),
        "_schema": "journey",
        "_title": payload.get("name"),
        "_org": payload.get("organizationId"),
        "_created_at": payload.get("createdAt"),
        "_updated_at": payload.get("lastModifiedAt"),
        "_tags": settings.get("entityTags") or [],
        "_manifest": payload.get("_manifest") or [],
        "journey_name": payload.get("name"),
        "journey_id": payload.get("journeyId"),
        "journey_type": payload.get("journey_type"),
        "design": settings.get("designId"),
        "created_by": [{"id": payload["createdBy"]}] if payload.get("createdBy") else None,
        "journey_version": "Flex",
    }
    return {key: value for key, value in shown.items() if value is not None}


def _schema_summary(payload: Payload) -> Payload:
    shown: Payload = {
        key: payload[key]
        for key in ("id", "slug", "name", "plural", "icon", "version", "published", "draft", "created_at", "updated_at")
        if key in payload
    }
    return {**shown, "_summary": True, "attributes": [], "capabilities": []}


def _kanban_summary(payload: Payload) -> Payload:
    return _without(payload, "config")


def _webhook(payload: Payload) -> Payload:
    shown = _without(payload, "signingSecret")
    auth = shown.get("auth")
    if not isinstance(auth, dict):
        return shown
    shown["auth"] = auth = deepcopy(auth)
    for config_name, secret, flag in _WEBHOOK_SECRETS:
        config = auth.get(config_name)
        if isinstance(config, dict) and secret in config and not config.get(flag):
            config[secret] = None
    return shown


def _webhook_created(payload: Payload) -> Payload:
    return {**_webhook(payload), "signingSecret": payload["signingSecret"]}


def holds_secret(variable: Payload) -> bool:
    """Tell whether an environment variable's value is write-only."""
    return "SecretString" in (variable.get("type"), variable.get("item_type"))


def _environment_variable(payload: Payload) -> Payload:
    return _without(payload, "value") if holds_secret(payload) else payload


def secret_options(installation: Payload) -> set[tuple[str | None, str]]:
    """Return (component id, option key) of an installation's secret options; component None is the app itself."""
    return {
        (owner, option["key"])
        for owner, options in _option_declarations(installation)
        for option in options
        if option.get("type") == "secret"
    }


def _option_declarations(installation: Payload) -> list[tuple[str | None, list[Payload]]]:
    return [
        (None, installation.get("options") or []),
        *((part.get("id"), part.get("options") or []) for part in installation.get("components") or []),
    ]


def _app(payload: Payload) -> Payload:
    hidden = secret_options(payload)
    if not hidden:
        return payload
    shown = deepcopy(payload)
    configured = set()
    for entry in shown.get("option_values") or []:
        owner = entry["component_id"]
        for option in entry["options"]:
            if (owner, option["key"]) in hidden and option.get("value") not in (None, ""):
                configured.add((owner, option["key"]))
        entry["options"] = [option for option in entry["options"] if (owner, option["key"]) not in hidden]
    changed_at = (payload.get("installation_audit") or {}).get("updated_at")
    for owner, options in _option_declarations(shown):
        for option in options:
            if (owner, option["key"]) in hidden:
                option.pop("value", None)
                option["configured"] = (owner, option["key"]) in configured
                if option["configured"] and changed_at:
                    option["value_updated_at"] = changed_at
    return shown


def _validation_rule(payload: Payload) -> Payload:
    return {"type": (payload.get("rule") or {}).get("type"), **payload}


def _portal(payload: Payload) -> Payload:
    if not payload.get("identity_providers") and not payload.get("mobile_oidc_config"):
        return payload
    shown = deepcopy(payload)
    for path in ("identity_providers[].oidc_config", "mobile_oidc_config"):
        for config in find_values(shown, path):
            if not isinstance(config, dict):
                continue
            if "{{" not in str(config.get("client_secret", "{{")):
                config.pop("client_secret")
            if isinstance(config.get("metadata"), dict):
                config["metadata"].pop("test_auth_password", None)
    return shown


VIEWS: dict[str, Callable[[Payload], Any]] = {
    "payload": lambda payload: payload,
    "public": _public,
    "journey_v2": lambda payload: _without(payload, *_V1_ONLY),
    "journey_summary": _journey_summary,
    "schema_summary": _schema_summary,
    "kanban_summary": _kanban_summary,
    "webhook": _webhook,
    "webhook_created": _webhook_created,
    "environment_variable": _environment_variable,
    "app": _app,
    "validation_rule": _validation_rule,
    "portal": _portal,
    "design_wrapped": lambda payload: {"design": payload},
    "entity_detail": lambda payload: {"entity": payload, "relations": []},
    "deletion_notice": lambda _payload: {"message": "Integration deleted"},
    "access_token": _public,
    "access_token_created": lambda payload: {**_public(payload), "token": payload["_token"]},
}
