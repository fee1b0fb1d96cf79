"""Designs and customer portals."""

import json

from sandbox.seed.factory import Factory, Payload, global_id, public_url
from sandbox.seed.inventory import SharedBase, SolutionPack


def design(factory: Factory, name: str, logo: Payload | None, **extra: object) -> Payload:
    """Build a design; its logo is a file of the organisation."""
    created, updated = factory.stamps()
    style: Payload = {
        "palette": {
            "primary": "#005a8c",
            "secondary": factory.content.choice(["#f59e0b", "#16a34a", "#7c3aed"]),
            "error": "#dc2626",
            "background": "#ffffff",
            "paper": "#f8fafc",
            "navbar": "#0f172a",
        },
        "typography": {
            "font": {"font_id": "1", "font_name": "Inter", "font_family": "Inter", "urls": []},
            "primary": "#0f172a",
            "secondary": "#475569",
        },
        "shape": {"border_radius": 4},
        "consumer": {"widgets": [], "customer_portals": []},
    }
    if logo:
        main = {
            "name": logo["filename"],
            "display_name": logo["_title"],
            "file_type": "LOGO",
            "s3_object_key": logo["s3ref"]["key"],
            "url": public_url(logo),
            "file_id": logo["_id"],
        }
        style["logo"] = {"main": main}
    return {
        "id": factory.uuid(),
        "style_name": name,
        "style": style,
        "status": "published",
        "edited": True,
        "brand_id": "1",
        "is_default": False,
        "created_at": created,
        "created_by": factory.user(),
        "last_modified_at": updated,
        "user": {
            "userid": factory.user(),
            "name": "Redaktion",
            "fullname": "Redaktion",
            "emailaddress": "web@stadtwerke.example",
        },
        "use_custom_theme": False,
        "custom_theme": "",
        **extra,
    }


def add_base_designs(base: SharedBase) -> None:
    """Add the default design of the organisation."""
    base.add("designbuilder", design(base.factory, "Standarddesign", None, is_default=True))


def add_designs(pack: SolutionPack) -> None:
    """Add two designs, one of which lists who uses it."""
    used = design(pack.factory, pack.named("Hausfarben"), pack.payloads("file")[0], _manifest=pack.manifest)
    used["style"]["consumer"] = {
        "widgets": [{"id": identifier, "name": "Journey"} for identifier in pack.journey_ids[:2]],
        "customer_portals": [{"id": pack.portal_id, "name": "Portal"}],
    }
    pack.add("designbuilder", used)
    pack.add("designbuilder", design(pack.factory, pack.named("Dunkel"), pack.payloads("file")[0]))


def add_portal(pack: SolutionPack) -> None:
    """Add a customer portal with pages, blocks, surfaces, hooks and its own credentials."""
    factory, key, files = pack.factory, pack.key, pack.payloads("file")
    emails, targets, org = pack.ids("emailtemplate"), pack.ids("target"), factory.org_id
    design_id = pack.ids("designbuilder")[0]
    host = f"{pack.slug.replace('_', '-')}.{org}.portal.example"
    links = [{"title": "Anfrage", "url": f"https://portal.example/anfrage?journeyId={pack.journey_ids[1]}"}]
    slots = ("confirmAccount", "forgotPassword", "invitation", "onNewQuote", "onDocUpload")
    slot_ids = (pack.base.ids("emailtemplate")[0], emails[8], pack.base.ids("emailtemplate")[1], emails[1], emails[5])
    provider = {
        "slug": "konzernlogin",
        "display_name": "Konzernanmeldung",
        "provider_type": "OIDC",
        "oidc_config": {
            "type": "authorization_code",
            "oidc_issuer": "https://login.example",
            "client_id": f"{{{{ env.{key('portal_client')} }}}}",
            "client_secret": f"{{{{ env.{key('netz_token')} }}}}",
            "scope": "openid",
            "metadata": {"test_auth_username": "test", "test_auth_password": f"SECRET-OIDC-{pack.slug}-{org}"},
        },
        "mobile_oidc_config": {
            "client_id": f"{{{{ env.{key('portal_client')} }}}}",
            "client_secret": f"SECRET-MOBILE-{pack.slug}-{org}",
        },
    }
    surface = {
        "id": "zaehler",
        "name": "Zählerstand ohne Anmeldung",
        "authentication": "registration_identifiers",
        "token_ttl_seconds": 600,
        "data_access": {
            "entities": [{"schema": "contract", "target_ids": [targets[1]]}],
            "role_id": f"{org}:portal_user",
        },
    }
    pack.add(
        "portal_config",
        {
            "portal_id": pack.portal_id,
            "portal_sk_v3": f"PORTAL#{pack.portal_id}",
            "organization_id": org,
            "origin": "END_CUSTOMER_PORTAL",
            "enabled": True,
            "is_v3_item": True,
            "is_dummy": False,
            "name": pack.named("Kundenportal"),
            "domain": host,
            "epilot_domain": f"{pack.slug.replace('_', '-')}-{org}",
            "is_epilot_domain": True,
            "design_id": design_id,
            "accessToken": f"SECRET-PORTAL-{pack.portal_id}",
            "allowed_portal_entities": ["contact", "contract", key("vorgang")],
            "config": json.dumps({"navigation": {"externalLinks": links}}, ensure_ascii=False),
            "email_templates": dict(zip(slots, slot_ids, strict=True)),
            "entity_actions": [
                {
                    "journey_id": pack.journey_ids[4],
                    "slug": "contract",
                    "action_Label": {"de": "Zählerstand", "en": "Meter"},
                }
            ],
            "triggered_journeys": [{"trigger_name": "FIRST_LOGIN", "journey_id": pack.journey_ids[5]}],
            "extension_hooks": {
                "meterReadingPlausibilityCheck": {
                    "app_id": pack.app_id,
                    "extension_id": pack.component_id,
                    "hook_id": "zaehler",
                }
            },
            "contract_identifiers": [{"name": "contract_number", "schema": "contract"}],
            "registration_identifiers": [{"name": "contract_number", "schema": "contract"}],
            "contact_identifiers_for_account": [{"name": "email", "schema": "contact"}],
            "entity_edit_rules": [{"slug": "contract", "attribute": "abschlag", "rule_type": "cadence"}],
            "surfaces": [surface],
            "images": {"welcomeBanner": public_url(files[8]), "orderLeftTeaser": None},
            "identity_providers": [provider],
            "feature_settings": {"start_page": True, "billing": True, "new_design": True},
            "cognito_details": {"cognito_user_pool_id": f"pool-{org}"},
            "global_blocks": {
                global_id("block footer"): {
                    "id": global_id("block footer"),
                    "type": "footer",
                    "order": 1,
                    "props": {
                        "content": {"text": "Impressum", "image": public_url(files[8])},
                        "visibility": {"visible_for_targets": [targets[2]], "hidden_for_targets": [targets[0]]},
                    },
                }
            },
            "pages": _pages(pack),
            "org_settings": {"canary": {"enabled": False}},
            "feature_flags": {},
            "grants": [],
        },
    )


def _pages(pack: SolutionPack) -> list[Payload]:
    targets, banner = pack.ids("target"), public_url(pack.payloads("file")[8])
    _, modified = pack.factory.stamps()
    teaser = {
        "id": global_id("block teaser"),
        "type": "teaser",
        "order": 1,
        "props": {
            "content": {"journeyId": pack.journey_ids[6], "image": banner},
            "visibility": {"visible_for_targets": [targets[3]], "hidden_for_targets": [targets[1]]},
        },
    }
    link = {
        "id": global_id("block link"),
        "parentId": global_id("block teaser"),
        "type": "link",
        "order": 2,
        "props": {"content": {"href": f"https://portal.example/start?journeyId={pack.journey_ids[7]}&lang=de"}},
    }
    extension = {
        "id": global_id("block app"),
        "type": "app",
        "order": 3,
        "props": {"content": {"app_id": pack.app_id}},
    }
    home = {
        "id": pack.factory.uuid(),
        "slug": "start",
        "path": "/",
        "order": 1,
        "schema": ["contact"],
        "is_system": True,
        "is_entry_route": True,
        "visibility": {"visible_for_targets": [targets[0]], "hidden_for_targets": [targets[2]]},
        "blocks": {element["id"]: element for element in (teaser, link, extension)},
        "last_modified_at": modified,
        "portal_id": pack.portal_id,
    }
    detail = {
        "id": pack.factory.uuid(),
        "slug": "vertrag",
        "path": "/vertrag/:id",
        "order": 2,
        "is_detail": True,
        "detail_schema": "contract",
        "parentId": None,
        "blocks": {},
        "last_modified_at": modified,
        "portal_id": pack.portal_id,
    }
    return [home, detail]
