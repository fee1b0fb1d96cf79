"""Webhooks API: calls to other systems when an event happens."""

from functools import partial

from shared.catalog.environments import env_templates
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import ActiveFlag, Fields, Identity, NaturalKey, Reference, ResourceType, SystemManaged

_API = "webhooks"
_HOST = "webhooks.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

WEBHOOK = ResourceType(
    name="webhook",
    label="Webhooks",
    icon="Webhook",
    source_api="https://webhooks.sls.epilot.io",
    sdk_client="@epilot/sdk/webhooks",
    list=_list(operation_id="getConfigs", method="GET", path="/v1/webhooks/configs"),
    get=_call(operation_id="getConfig", method="GET", path="/v1/webhooks/configs/{configId}"),
    create=_write(
        operation_id="createConfig",
        method="POST",
        path="/v1/webhooks/configs",
        required=("name", "eventName"),
        answer_id="id",
        mints_secret=True,
    ),
    update=_write(
        operation_id="updateConfig",
        method="PUT",
        path="/v1/webhooks/configs/{configId}",
        required=("name", "eventName"),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteConfig", method="DELETE", path="/v1/webhooks/configs/{configId}"),
    fields=Fields(id="id", title=("name",), created_at="creationTime", updated_at="updatedTime", manifest="_manifest"),
    active=ActiveFlag(path="enabled"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("name", "eventName"),)),
    references=(
        Reference(to=("integration",), path="$.secureProxy.integration_id", deferrable=True, unit=1),
        Reference(
            to=("webhook",),
            path="$.filter.supportedValues[]",
            when=("keyToFilter", "metadata.webhook_id"),
            deferrable=True,
            evidence="P",
        ),
        *env_templates(
            "$.url",
            "$.auth.basicAuthConfig.username",
            "$.auth.basicAuthConfig.password",
            "$.auth.oauthConfig.**",
            "$.auth.apiKeyConfig.keyValue",
            "$.payloadConfiguration.custom_headers.{*}",
            "$.multipartConfig.extraFields.{*}",
            evidence="D",
        ),
    ),
    strip=("id", "creationTime", "updatedTime", "status", "_manifest"),
    keep_target=("_manifest",),
    secrets=(
        "signingSecret",
        "auth.basicAuthConfig.password",
        "auth.oauthConfig.clientSecret",
        "auth.apiKeyConfig.keyValue",
        "auth.oauthConfig.customParameterList[].value",
        "payloadConfiguration.custom_headers.{*}",
    ),
    secrets_sent_back=("auth.oauthConfig.customParameterList[].value", "payloadConfiguration.custom_headers.{*}"),
    drop_without={"auth.oauthConfig.customParameterList[]": "value"},
    secret_note=(
        "Enter the password, client secret or API key again, headers and OAuth parameters that held credentials as"
        " plain text, too, and give the receiver the new signing secret."
    ),
    system_managed=(
        SystemManaged(path="protected", reason="The webhook is protected: it must not be changed by a job."),
    ),
    sets=("filter.supportedValues",),
    assumptions=(
        "On an update a secret that is left out stays, and null would clear it: a secret is never sent.",
        "What get answers for a stored secret is not stated: whatever stands there is removed.",
        "Headers and OAuth parameters are shown in clear: plain text is copied under names such as Content-Type only.",
        "An extra OAuth parameter without a value is not sent: the API requires one.",
        "Extra fields of a multipart body are expressions over the event, not credentials, and are copied.",
        "The values of the filter name webhooks only where it filters by `metadata.webhook_id`.",
    ),
)
