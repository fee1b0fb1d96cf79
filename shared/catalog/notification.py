"""Notification API: templates of notifications."""

from functools import partial

from shared.catalog.entity import SDK_CLIENT, SOURCE_API
from shared.catalog.environments import env_templates
from shared.catalog.template_variables import variable_templates
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import Fields, Identity, NaturalKey, ResourceType, SystemManaged

_API = "notification"
_HOST = "notification.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

_TEXTS = ("$.notification_title", "$.message", "$.action_label", "$.action_url")

NOTIFICATION_TEMPLATE = ResourceType(
    name="notification_template",
    label="Notification templates",
    icon="Bell",
    source_api=SOURCE_API,
    sdk_client=SDK_CLIENT,
    list=_list(
        operation_id="listNotificationTemplates",
        method="GET",
        path="/v1/notification/templates",
        paging="from_size_query",
        page_size=1000,
        items="results",
        total="hits",
    ),
    get=_call(operation_id="getNotificationTemplate", method="GET", path="/v1/notification/templates/{id}"),
    create=_write(
        operation_id="createNotificationTemplate",
        method="POST",
        path="/v1/notification/templates",
        required=("name", "type"),
        answer_id="_id",
    ),
    update=_write(
        operation_id="patchNotificationTemplate",
        method="PATCH",
        path="/v1/notification/templates/{id}",
        omit=("type",),
        answer_id="_id",
        merge=True,
    ),
    delete=_call(operation_id="deleteNotificationTemplate", method="DELETE", path="/v1/notification/templates/{id}"),
    fields=Fields(
        id="_id",
        title=("name", "_title"),
        created_at="_created_at",
        updated_at="_updated_at",
        updated_by="updated_by",
        tags="_tags",
        manifest="_manifest",
    ),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("type", "name"),)),
    references=(*variable_templates(*_TEXTS, evidence="D"), *env_templates(*_TEXTS, evidence="I")),
    strip=(
        "_id",
        "_org",
        "_schema",
        "_owners",
        "_acl",
        "_created_at",
        "_updated_at",
        "_deleted_at",
        "_purpose",
        "_purpose_name",
        "_changesets",
        "_manifest",
        "system_template",
        "created_by",
        "updated_by",
    ),
    system_managed=(
        SystemManaged(path="system_template", reason="The template belongs to the platform and exists everywhere."),
    ),
    sets=("_tags",),
    stringified=("notification_title", "message"),
    assumptions=(
        "The type of a template is a word of the platform and can be chosen at creation only; it is no alias.",
        "Title and message are JSON of an editor kept as text; it is searched and rewritten in place.",
    ),
)
