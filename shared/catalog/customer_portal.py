"""Customer portal API: portals with their pages."""

from functools import partial

from shared.catalog.environments import env_templates
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import (
    ActiveFlag,
    Fields,
    Form,
    Identity,
    NaturalKey,
    Reference,
    ResourceType,
    Strength,
    SystemManaged,
)

_API = "customer-portal"
_HOST = "customer-portal-api.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

_OWN_TO_THE_TARGET = (
    "org_settings",
    "feature_flags",
    "grants",
    "cognito_details",
    "mobile_config",
)
_DOMAIN = ("domain", "epilot_domain", "domain_settings", "is_epilot_domain")


def _schemas(*paths: str, unit: int = 0) -> tuple[Reference, ...]:
    return tuple(Reference(to=("schema",), path=path, form=Form.SLUG, unit=unit) for path in paths)


def _targets(*visibilities: str) -> tuple[Reference, ...]:
    return tuple(
        Reference(to=("target",), path=f"{visibility}.{side}_for_targets[]", strength=Strength.SOFT)
        for visibility in visibilities
        for side in ("visible", "hidden")
    )


def _links(*paths: str) -> tuple[Reference, ...]:
    return tuple(
        Reference(
            to=("journey", "file", "document_template"),
            path=path,
            form=Form.URL,
            strength=Strength.SOFT,
            field="public_url",
            evidence="P",
        )
        for path in paths
    )


PORTAL_CONFIG = ResourceType(
    name="portal_config",
    label="Portals",
    icon="Globe",
    source_api="https://customer-portal.sls.epilot.io",
    sdk_client="@epilot/sdk/customer-portal",
    list=_list(operation_id="listAllPortalConfigs", method="GET", path="/v3/portal/configs", items="data", whole=False),
    get=_call(operation_id="getPortalConfigV3", method="GET", path="/v3/portal/config/{portal_id}"),
    create=_write(operation_id="createPortalConfig", method="POST", path="/v3/portal/config", answer_id="portal_id"),
    update=_write(
        operation_id="putPortalConfig",
        method="PUT",
        path="/v3/portal/config/{portal_id}",
        query={"page_upsert_mode": "slug"},
        answer_id="portal_id",
    ),
    delete=_call(operation_id="deletePortalConfig", method="DELETE", path="/v3/portal/config/{portal_id}"),
    fields=Fields(
        id="portal_id",
        title=("name", "domain"),
        updated_at="pages[].last_modified_at",
        aliases=("domain", "epilot_domain", "portal_sk_v3"),
    ),
    active=ActiveFlag(path="enabled"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(
        fields=(("name", "origin"), ("name",)),
        assumption="A portal's domain is its only unique field and differs per organisation by nature.",
    ),
    references=(
        Reference(to=("designbuilder",), path="$.design_id"),
        Reference(to=("journey",), path="$.entity_actions[].journey_id", unit=1),
        Reference(to=("journey",), path="$.triggered_journeys[].journey_id", unit=1),
        Reference(to=("emailtemplate",), path="$.email_templates.{*}"),
        Reference(to=("app",), path="$.extension_hooks.{*}.app_id", form=Form.SLUG, unit=1),
        Reference(to=("role",), path="$.surfaces[].data_access.role_id", form=Form.ROLE_ID),
        Reference(to=("target",), path="$.surfaces[].data_access.entities[].target_ids[]"),
        *_targets(
            "$.pages[].visibility", "$.pages[].blocks.{*}.props.visibility", "$.global_blocks.{*}.props.visibility"
        ),
        *_schemas("$.allowed_portal_entities[]", "$.pages[].schema[]", "$.pages[].detail_schema"),
        *_schemas(
            "$.entity_actions[].slug",
            "$.contract_identifiers[].schema",
            "$.registration_identifiers[].schema",
            "$.contact_identifiers_for_account[].schema",
            "$.entity_edit_rules[].slug",
            "$.surfaces[].data_access.entities[].schema",
            unit=1,
        ),
        *env_templates(
            "$.identity_providers[].oidc_config.client_id",
            "$.identity_providers[].oidc_config.client_secret",
            "$.identity_providers[].mobile_oidc_config.{*}",
            evidence="D",
        ),
        *_links("$.config", "$.pages[].blocks.{*}.props.**", "$.global_blocks.{*}.props.**", "$.images.{*}"),
    ),
    strip=(
        "portal_id",
        "portal_sk_v3",
        "organization_id",
        *_OWN_TO_THE_TARGET,
        "is_v3_item",
        "is_dummy",
        "published_revision_id",
        "certificate_details",
        "feature_settings.mcp_grant_version",
        "pages[].portal_id",
        "pages[].last_modified_at",
        "pages[].past_routes",
    ),
    external_strip=(*_DOMAIN, "identity_providers", "default_user_to_notify"),
    keep_target=(*_OWN_TO_THE_TARGET, *_DOMAIN, "default_user_to_notify"),
    secrets=(
        "accessToken",
        "identity_providers[].oidc_config.client_secret",
        "identity_providers[].oidc_config.metadata.test_auth_password",
        "identity_providers[].mobile_oidc_config.client_secret",
    ),
    secret_note="Set domain, sign-in providers with their secrets, and mobile app of the portal by hand.",
    system_managed=(SystemManaged(path="is_dummy", reason="The platform made this portal as a placeholder."),),
    sets=("allowed_portal_entities",),
    stringified=("config",),
    assumptions=(
        "Whether the list has the pages is not stated: each portal is read on its own.",
        "A portal carries no timestamp: the latest change of one of its pages stands for it.",
        "Sign-in providers are left out of every write, which keeps the target's own.",
        "Pages are matched by slug on an update, as the API offers for writes across organisations.",
        "Whether the PUT merges or replaces is not stated: it is sent whole, with what the target manages itself.",
        "The origin of a portal is one of a few words that repeat: it is no alias.",
        "Blocks name apps, campaigns and journeys in free form: the scan for known ids finds what it knows.",
        "Widgets and mobile settings have operations of their own and are not copied.",
        "Revisions are never published by a job: that would delete live pages.",
    ),
)
