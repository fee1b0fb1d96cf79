"""Webhooks, integrations and installed apps."""

from sandbox.seed.factory import Factory, Payload
from sandbox.seed.inventory import SharedBase, SolutionPack


def webhook(factory: Factory, name: str, event: str, **extra: object) -> Payload:
    """Build a webhook as the API shows it: secrets that were set read as null."""
    created, updated = factory.stamps()
    return {
        "id": factory.short_uuid(),
        "name": name,
        "eventName": event,
        "url": "https://empfang.example/ereignisse",
        "httpMethod": "POST",
        "enabled": True,
        "status": "active",
        "creationTime": created,
        "updatedTime": updated,
        "auth": {"authType": "NONE"},
        "payloadConfiguration": {"hydrate_entity": True, "include_relations": False, "custom_headers": {}},
        "retryPolicy": {"enabled": True, "maxAttempts": 3},
        **extra,
    }


def add_base_integrations(base: SharedBase) -> None:
    """Add a webhook that the organisation has locked."""
    base.add("webhook", webhook(base.factory, "Revision (gesperrt)", "entity.updated", protected=True))


def add_app(pack: SolutionPack) -> None:
    """Add an installed app with an ordinary and a secret option."""
    created, updated = pack.factory.stamps()
    secret = {"key": "api_key", "label": "Schlüssel", "type": "secret", "required": False, "configured": True}
    options = [
        {"key": "region", "label": "Region", "type": "text", "required": True},
        {"key": "basis", "label": "Adresse", "type": "text"},
        secret | {"value_updated_at": updated},
    ]
    values = [
        {"key": "region", "value": pack.region},
        {"key": "basis", "value": f"{{{{ env.{pack.key('netz.url')} }}}}"},
        {"key": "api_key", "value": f"SECRET-APP-{pack.slug}-{pack.factory.org_id}"},
    ]
    text = {"de": "Netzauskunft", "en": "Grid information"}
    component = {
        "id": pack.component_id,
        "name": text,
        "component_type": "CUSTOM_JOURNEY_BLOCK",
        "configuration": {"component_url": "https://apps.example/netz.js", "component_tag": "netz-auskunft"},
        "options": options,
    }
    pack.add(
        "app",
        {
            "app_id": pack.app_id,
            "installer_org_id": pack.factory.org_id,
            "owner_org_id": "apps",
            "enabled": True,
            "name": pack.named("Netzauskunft"),
            "option_values": [{"component_id": pack.component_id, "options": values}],
            "components": [component],
            "functions": [],
            "options": [],
            "installed_version": "1.4.0",
            "role": "Sachbearbeitung",
            "installation_audit": {
                "created_at": created,
                "created_by": pack.factory.user(),
                "updated_at": updated,
                "updated_by": pack.factory.user(),
            },
        },
    )


def add_webhooks(pack: SolutionPack) -> None:
    """Add webhooks with every kind of credentials, one behind an integration's proxy, one that filters for itself."""
    factory, key = pack.factory, pack.key
    oauth = {
        "clientId": "netzportal",
        "clientSecret": None,
        "endpoint": f"{{{{ env.{key('netz.url')} }}}}/token",
        "httpMethod": "POST",
        "customParameterList": [{"type": "body", "key": "scope", "value": "netz"}],
    }
    basic = {"authType": "BASIC", "basicAuthConfig": {"username": "stadtwerk", "password": None}}
    api_key = {"keyName": "X-Schluessel", "keyValue": f"{{{{ env.{key('netz_token')} }}}}", "keyValueIsEnvVar": True}
    headers = {"X-Ziel": f"{{{{ env.{key('netz.url')} }}}}", "X-Mandant": pack.slug}
    own = webhook(factory, pack.named("Eigene Meldungen"), "webhook.failed")
    variable = f"{{{{ env.{key('netz_token')} }}}}"
    named = {"username": f"{{{{ env.{key('portal_client')} }}}}", "password": variable, "passwordIsEnvVar": True}
    own["auth"] = {"authType": "BASIC", "basicAuthConfig": named}
    own["deliveryMode"] = "binary_multipart"
    own["multipartConfig"] = {"fileFieldName": "datei", "extraFields": {"ziel": headers["X-Ziel"]}}
    own["filter"] = {"keyToFilter": "metadata.webhook_id", "supportedValues": [own["id"]]}
    proxy = {"integration_id": pack.integration_ids[0], "use_case_slug": key("proxy").replace("_", "-")}
    for payload in (
        webhook(factory, pack.named("Auftrag an Netz"), "order.created", auth=basic, secureProxy=proxy),
        webhook(
            factory,
            pack.named("Auftrag an ERP"),
            "order.created",
            url=f"{{{{ env.{key('netz.url')} }}}}/auftraege",
            auth={"authType": "API_KEY", "apiKeyConfig": api_key},
            payloadConfiguration={"hydrate_entity": True, "custom_headers": headers},
            _manifest=pack.manifest,
        ),
        webhook(
            factory,
            pack.named("Vertrag an Netz"),
            "contract.created",
            auth={"authType": "OAUTH_CLIENT_CREDENTIALS", "oauthConfig": oauth},
            filter={"keyToFilter": "entity.status", "supportedValues": ["aktiv"]},
        ),
        own,
    ):
        pack.add("webhook", payload)


def _use_case(pack: SolutionPack, integration_id: str, name: str, kind: str, configuration: Payload) -> Payload:
    created, updated = pack.factory.stamps()
    slug = pack.key(name).replace("_", "-")
    return {
        "id": pack.factory.uuid(),
        "integrationId": integration_id,
        "name": pack.named(name.capitalize()),
        "slug": slug,
        "type": kind,
        "enabled": True,
        "changed_by": pack.factory.user(),
        "created_at": created,
        "updated_at": updated,
        "configuration": configuration,
    }


def add_integrations(pack: SolutionPack) -> None:
    """Add an ERP integration with a use case of every kind, and a connector."""
    factory, key = pack.factory, pack.key
    created, updated = factory.stamps()
    first, second = pack.integration_ids
    webhooks = pack.payloads("webhook")
    contact: Payload = {
        "entity_schema": "contact",
        "unique_ids": [{"attribute": "customer_number", "field": "kundennummer"}],
    }
    reference: Payload = {"entity_schema": "contact", "unique_ids": contact["unique_ids"], "path": "address"}
    reference["value"] = {"attribute": "address", "field": "anschrift"}
    entity = {
        "entity_schema": key("vorgang"),
        "unique_ids": ["external_id"],
        "mode": "upsert-prune-scope-delete",
        "scope": {"scope_mode": "query", "schema": "contract", "query": []},
        "fields": [
            {"attribute": "name", "field": "bezeichnung"},
            {"attribute": "typ", "env_var_ref": {"key": key("anlagentypen"), "return": "value"}},
            {"attribute": "portal", "portal_ref": {"filter": {"origin": "END_CUSTOMER_PORTAL"}, "return": "portal_id"}},
            {"attribute": "kontakt", "relations": {"operation": "_set", "items": [contact]}},
            {"attribute": "adresse", "relation_refs": {"operation": "_set", "items": [reference]}},
        ],
    }
    delivery = {
        "type": "webhook",
        "webhook_id": webhooks[0]["id"],
        "webhook_name": webhooks[0]["name"],
        "webhook_url": webhooks[0]["url"],
    }
    outbound = {
        "event_catalog_event": "contract_created",
        "mappings": [
            {
                "id": factory.uuid(),
                "name": "Vertrag",
                "enabled": True,
                "jsonata_expression": "$",
                "delivery": delivery,
                "created_at": created,
                "updated_at": updated,
            }
        ],
    }
    file_proxy = {
        "auth": {
            "type": "oauth2_client_credentials",
            "token_url": "https://login.example/token",
            "client_id": "archiv",
            "client_secret": f"{{{{ env.{key('netz_token')} }}}}",
        },
        "params": [{"name": "id", "required": True}],
        "steps": [{"url": f"{{{{ env.{key('netz.url')} }}}}/archiv", "method": "GET", "response_type": "binary"}],
        "response": {"body": "$", "encoding": "binary"},
    }
    use_cases = [
        _use_case(pack, first, "eingang", "inbound", {"entities": [entity]}),
        _use_case(pack, first, "ausgang", "outbound", outbound),
        _use_case(pack, first, "archiv", "file_proxy", file_proxy),
        _use_case(
            pack,
            first,
            "proxy",
            "secure_proxy",
            {"vpc_mode": "static_ip", "allowed_domains": ["netz.example"], "allowed_ips": []},
        ),
    ]
    maps = [{"key": key("anlagentypen"), "label": "Anlagentypen", "value": {"A1": "Neubau"}}]
    settings_key = {"key": key("netz_token"), "label": "Zugang", "type": "SecretString", "required": True}
    common = {"orgId": factory.org_id, "created_at": created, "updated_at": updated}
    pack.add(
        "integration",
        {
            "id": first,
            **common,
            "name": pack.named("ERP-Anbindung"),
            "description": "Stammdaten, Verträge und Aufträge",
            "integration_type": "erp",
            "access_token_ids": [pack.ids("access_token")[0]],
            "app_ids": [pack.app_id],
            "environment_config": [settings_key],
            "maps": maps,
            "settings": {"autoRefresh": {"enabled": True, "freshnessThresholdMinutes": 30}},
            "use_cases": use_cases,
            "_manifest": pack.manifest,
        },
    )
    call = {"operation": {"method": "GET", "path": "/zaehler"}, "request_mapping": "$", "response_mapping": "$"}
    connector = {
        "base_url": f"{{{{ env.{key('netz.url')} }}}}",
        "auth": {"type": "bearer", "token": f"{{{{ env.{key('netz_token')} }}}}"},
    }
    pack.add(
        "integration",
        {
            "id": second,
            **common,
            "name": pack.named("Zählerportal"),
            "integration_type": "connector",
            "connector_config": connector,
            "use_cases": [_use_case(pack, second, "abruf", "managed_call", call)],
        },
    )
