"""Integration toolkit API: integrations with their use cases."""

from functools import partial

from shared.catalog.environments import env_templates
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import (
    Fields,
    Form,
    Identity,
    NaturalKey,
    Reference,
    ResourceType,
    Strength,
    SystemManaged,
)

_API = "integration-toolkit"
_HOST = "integration-toolkit.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

_CONFIGURATION = "use_cases[].configuration"
_ENTITIES = f"$.{_CONFIGURATION}.entities[]"
#: Where credentials must be templates by contract. Literals there are credentials of the source organisation.
_CREDENTIALS = (
    "connector_config.auth.client_secret",
    "connector_config.auth.api_key",
    "connector_config.auth.token",
    "connector_config.auth.body_params.{*}",
    "connector_config.auth.headers.{*}",
    "connector_config.auth.query_params.{*}",
    f"{_CONFIGURATION}.auth.client_secret",
    f"{_CONFIGURATION}.auth.password",
    f"{_CONFIGURATION}.auth.body_params.{{*}}",
    f"{_CONFIGURATION}.auth.headers.{{*}}",
    f"{_CONFIGURATION}.auth.query_params.{{*}}",
    f"{_CONFIGURATION}.steps[].headers.{{*}}",
    f"{_CONFIGURATION}.operation.headers.{{*}}",
)

INTEGRATION = ResourceType(
    name="integration",
    label="Integrations",
    icon="Plug",
    source_api="https://entity.sls.epilot.io",
    sdk_client="@epilot/sdk/entity",
    list=_list(operation_id="listIntegrationsV2", method="GET", path="/v2/integrations", items="integrations"),
    get=_call(operation_id="getIntegrationV2", method="GET", path="/v2/integrations/{integrationId}"),
    create=_write(
        operation_id="createIntegrationV2",
        method="POST",
        path="/v2/integrations",
        required=("name",),
        answer_id="id",
    ),
    update=_write(
        operation_id="updateIntegrationV2",
        method="PUT",
        path="/v2/integrations/{integrationId}",
        required=("name",),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteIntegrationV2", method="DELETE", path="/v2/integrations/{integrationId}"),
    fields=Fields(
        id="id",
        title=("name",),
        created_at="created_at",
        updated_at="updated_at",
        manifest="_manifest",
        aliases=("use_cases[].id", "use_cases[].slug"),
    ),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("name",),)),
    references=(
        Reference(to=("webhook",), path=f"$.{_CONFIGURATION}.mappings[].delivery.webhook_id", unit=2),
        Reference(to=("app",), path="$.app_ids[]", form=Form.SLUG, strength=Strength.SOFT),
        Reference(to=("access_token",), path="$.access_token_ids[]", strength=Strength.SOFT),
        Reference(to=("environment_variable",), path="$.environment_config[].key", form=Form.KEY, unit=1),
        Reference(
            to=("environment_variable",),
            path="$.maps[].key",
            form=Form.KEY,
            strength=Strength.SOFT,
            assumption="The server itself keeps a JSON environment variable of that key for each map.",
        ),
        Reference(
            to=("environment_variable",),
            path=f"{_ENTITIES}.fields[].env_var_ref.key",
            form=Form.KEY,
            strength=Strength.SOFT,
        ),
        Reference(to=("schema",), path=f"{_ENTITIES}.entity_schema", form=Form.SLUG, unit=1),
        Reference(to=("schema",), path=f"{_ENTITIES}.scope.schema", form=Form.SLUG),
        Reference(to=("schema",), path=f"{_ENTITIES}.fields[].relations.items[].entity_schema", form=Form.SLUG, unit=1),
        Reference(
            to=("schema",), path=f"{_ENTITIES}.fields[].relation_refs.items[].entity_schema", form=Form.SLUG, unit=1
        ),
        *env_templates("$.connector_config.**", f"$.{_CONFIGURATION}.**", evidence="D"),
    ),
    external=("settings.notifications.recipients[].user_id",),
    strip=(
        "id",
        "orgId",
        "created_at",
        "updated_at",
        "_manifest",
        "use_cases[].integrationId",
        "use_cases[].created_at",
        "use_cases[].updated_at",
        "use_cases[].changed_by",
        "use_cases[].change_description",
        f"{_CONFIGURATION}.vpc_mode",
        f"{_CONFIGURATION}.allowed_domains",
        f"{_CONFIGURATION}.allowed_ips",
        f"{_CONFIGURATION}.mappings[].created_at",
        f"{_CONFIGURATION}.mappings[].updated_at",
        f"{_CONFIGURATION}.mappings[].delivery.webhook_name",
        f"{_CONFIGURATION}.mappings[].delivery.webhook_url",
        "connector_config.types_versions",
        "connector_config.latest_types_version",
        "connector_config.latest_types_package_name",
    ),
    external_strip=("settings.notifications.recipients[]",),
    keep_target=("_manifest", "settings.notifications.recipients"),
    secrets=_CREDENTIALS,
    secrets_sent_back=_CREDENTIALS,
    drop_without={f"{_CONFIGURATION}.auth": "client_secret"},
    secret_note=(
        "Credentials of an integration are environment variables: set their values, and enter those again that stood"
        " in it as plain text."
    ),
    system_managed=(
        SystemManaged(path="protected", reason="The integration is protected: it must not be changed by a job."),
    ),
    sets=("app_ids", "access_token_ids"),
    assumptions=(
        "An integration has no flag of its own: each use case has one, which is copied.",
        "The PUT is declarative: a use case that is missing from it is deleted, so it is always sent whole.",
        "Ids of use cases are chosen by the client and are kept.",
        "Secrets of connectors and proxies are environment templates by contract: plain text there is not copied.",
        "Headers and parameters of a sign-in may be secrets: plain text is copied under names such as Accept only.",
        "How a file proxy signs in is not sent without its secret, which the API requires.",
        "Query parameters of a managed call are arguments, not credentials, and are copied.",
        "A portal is looked up by a filter when the integration runs: there is no id to copy or to rewrite.",
        "Which network a secure proxy may reach is set by the platform's staff and is not copied.",
        "Which app belongs to which integration is kept outside of the payload and is not copied.",
    ),
)
