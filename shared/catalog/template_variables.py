"""Template variables API: custom variables that templates expand by their key."""

from functools import partial

from shared.catalog.environments import env_templates
from shared.catalog.journey import journey_links
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import Fields, Form, Identity, NaturalKey, Reference, ResourceType, Strength

_API = "template-variables"
_HOST = "template-variables-api.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)


def variable_templates(*paths: str, evidence: str = "P") -> tuple[Reference, ...]:
    """Declare that the strings at these paths may hold `{{key}}` or `{{~~key}}` of a custom variable.

    Args:
        paths: reference paths of the strings, from `$`.
        evidence: how well it is known that the API expands them.
    """
    return tuple(
        Reference(
            to=("custom_variable",),
            path=path,
            form=Form.HANDLEBARS,
            strength=Strength.SOFT,
            evidence=evidence,
        )
        for path in paths
    )


CUSTOM_VARIABLE = ResourceType(
    name="custom_variable",
    label="Custom variables",
    icon="Braces",
    source_api="https://entity.sls.epilot.io",
    sdk_client="@epilot/sdk/template-variables",
    list=_list(
        operation_id="searchCustomVariables",
        method="POST",
        path="/v1/custom-variables:search",
        paging="from_size_body",
        page_size=100,
        items="results",
        total="hits",
    ),
    get=_call(operation_id="getCustomVariable", method="GET", path="/v1/custom-variables/{id}"),
    create=_write(
        operation_id="createCustomVariable",
        method="POST",
        path="/v1/custom-variables",
        required=("key", "template"),
        answer_id="id",
    ),
    update=_write(
        operation_id="updateCustomVariable",
        method="PUT",
        path="/v1/custom-variables/{id}",
        required=("key", "template"),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteCustomVariable", method="DELETE", path="/v1/custom-variables/{id}"),
    fields=Fields(
        id="id",
        title=("name", "key"),
        created_at="created_at",
        updated_at="updated_at",
        updated_by="updated_by",
        tags="_tags",
        manifest="_manifest",
        aliases=("key",),
    ),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("key",),), strong=True),
    references=(
        *journey_links("$.template", "$.config.**"),
        *variable_templates("$.template", evidence="I"),
        *env_templates("$.template"),
    ),
    strip=("id", "created_at", "created_by", "updated_at", "updated_by", "_manifest"),
    keep_target=("_manifest",),
    sets=("_tags",),
    assumptions=(
        "The body of create has an `id`; nothing says that it is honoured, so the id is taken from the answer.",
        "How a journey link variable names its journey inside `config` is not documented: known ids in it are found.",
        "No maximum page size is stated: 100 is asked for, and paging goes by what an answer holds.",
    ),
)
