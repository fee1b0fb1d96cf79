"""Validation rules API: rules that journey blocks and entity attributes check input with."""

from functools import partial

from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import (
    Fields,
    Form,
    Identity,
    NaturalKey,
    Reference,
    ResourceType,
    Strength,
    UsageMetric,
    UsageSource,
)

_API = "validation-rules"
_HOST = "validation-rules.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

VALIDATION_RULE = ResourceType(
    name="validation_rule",
    label="Validation rules",
    icon="ShieldCheck",
    source_api="https://entity.sls.epilot.io",
    sdk_client="@epilot/sdk/validation-rules",
    list=_list(operation_id="getValidationRules", method="GET", path="/v1/validation-rules", items="results"),
    get=_call(operation_id="getValidationRuleById", method="GET", path="/v1/validation-rules/{ruleId}"),
    create=_write(
        operation_id="createValidationRule",
        method="POST",
        path="/v1/validation-rules",
        required=("title", "rule"),
        answer_id="_id",
    ),
    update=_write(
        operation_id="updateValidationRule",
        method="PATCH",
        path="/v1/validation-rules/{ruleId}",
        answer_id="_id",
        merge=True,
    ),
    delete=_call(operation_id="deleteValidationRule", method="DELETE", path="/v1/validation-rules/{ruleId}"),
    fields=Fields(
        id="_id", title=("title",), created_at="created_at", updated_at="updated_at", updated_by="updated_by"
    ),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("title",),)),
    references=(
        Reference(to=("environment_variable",), path="$.rule.**.key", form=Form.KEY, when=("source", "environment")),
        Reference(to=("app",), path="$.rule.**.app_id", form=Form.SLUG, when=("source", "external")),
        Reference(to=("schema",), path="$.contexts[].schema", form=Form.SLUG),
        Reference(to=("journey",), path="$.used_by[].source_id", strength=Strength.BACK_REFERENCE),
        Reference(to=("schema",), path="$.used_by[].schema_slug", form=Form.SLUG, strength=Strength.BACK_REFERENCE),
    ),
    strip=(
        "_id",
        "_organization_id",
        "_schema_version",
        "type",
        "created_at",
        "updated_at",
        "created_by",
        "updated_by",
        "used_by",
    ),
    usage=UsageMetric(name="used_by", source=UsageSource.LENGTH, path="used_by"),
    assumptions=(
        "Every value of a condition says where it comes from; wherever one comes from the environment, its key counts.",
        "Create refuses a rule whose environment variable or app does not exist yet, so those go first.",
        "`used_by` is bookkeeping of the API and is not copied.",
        "The answer requires a `type` that it does not declare; it is not sent.",
    ),
)
