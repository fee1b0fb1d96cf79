"""E-mail template API: templates, which are listed and deleted as entities."""

from functools import partial

from shared.catalog.entity import (
    ENVELOPE,
    SDK_CLIENT,
    SOURCE_API,
    delete_entity,
    entity_fields,
    list_entities,
    purpose_references,
)
from shared.catalog.environments import env_templates
from shared.catalog.template_variables import variable_templates
from shared.domain.api_operation import Operation, WriteOperation
from shared.domain.resource_type import Form, Identity, NaturalKey, Reference, ResourceType, Strength, SystemManaged

_API = "email-template"
_HOST = "email-template.sls.epilot.io"
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

_TEXTS = ("$.subject", "$.body", "$.json_template")


def _links(path: str) -> Reference:
    return Reference(
        to=("journey", "file", "document_template"),
        path=path,
        form=Form.URL,
        strength=Strength.SOFT,
        field="public_url",
        evidence="P",
    )


EMAIL_TEMPLATE = ResourceType(
    name="emailtemplate",
    label="Email templates",
    icon="Mail",
    source_api=SOURCE_API,
    sdk_client=SDK_CLIENT,
    list=list_entities("_schema:email_template"),
    get=_call(
        operation_id="getTemplateDetail", method="GET", path="/v1/email-template/templates/{id}", answer="entity"
    ),
    create=_write(
        operation_id="saveTemplate",
        method="POST",
        path="/v1/email-template/templates",
        required=("name", "subject"),
        answer_id="_id",
    ),
    update=_write(
        operation_id="updateTemplateDetail",
        method="PUT",
        path="/v1/email-template/templates/{id}",
        required=("name", "subject"),
        answer_id="_id",
    ),
    delete=delete_entity("email_template"),
    fields=entity_fields("name", "_title", updated_by="updated_by"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("name",),)),
    references=(
        Reference(to=("file", "document_template"), path="$.file.$relation[].entity_id", unit=1),
        Reference(
            to=("document_template", "file"),
            path="$.attachments[].object_key",
            form=Form.CONTENT,
            field="s3ref.key",
            siblings={"bucket": "s3ref.bucket"},
            unit=1,
        ),
        *purpose_references("$._purpose[]"),
        *variable_templates(*_TEXTS),
        *env_templates(*_TEXTS),
        _links("$.body"),
        _links("$.json_template"),
    ),
    external=("from.email", "to[].email", "cc[].email", "bcc[].email"),
    strip=(*ENVELOPE, "_schema", "created_by", "updated_by", "system_template", "attachments[].url"),
    external_strip=("brand_id",),
    keep_target=("brand_id", "_manifest"),
    system_managed=(
        SystemManaged(path="system_template", reason="The template belongs to the platform and exists everywhere."),
    ),
    sets=("_tags", "_purpose"),
    assumptions=(
        "Templates are listed and deleted as entities of the schema `email_template`.",
        "Whether the PUT merges or replaces is not stated: it is sent whole.",
        "An attachment names its file by storage key, not by id: both are read from the copied file.",
        "HTML body and editor document are both rewritten, since one is derived from the other.",
        "The sender address must be provisioned in the target organisation; it is kept and reported.",
    ),
)
