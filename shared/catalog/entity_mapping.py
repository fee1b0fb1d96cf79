"""Entity mapping API: how a journey's answers become entities."""

from functools import partial

from shared.catalog.environments import env_templates
from shared.catalog.template_variables import variable_templates
from shared.domain.api_operation import Operation, WriteOperation
from shared.domain.resource_type import Fields, Form, Identity, NaturalKey, Reference, ResourceType

_API = "entity-mapping"
_HOST = "entity-mapping.sls.epilot.io"
_call = partial(Operation, api=_API, host=_HOST)

_PUT_MAPPING = WriteOperation(
    api=_API,
    host=_HOST,
    operation_id="putMappingConfig",
    method="PUT",
    path="/v2/mappings/{id}",
    body={"id": "{id}"},
    required=("id", "source", "targets"),
    answer_id="id",
    client_id=True,
)

ENTITY_MAPPING = ResourceType(
    name="entity_mapping",
    label="Entity mappings",
    icon="ArrowLeftRight",
    source_api="https://entity-mapping.sls.epilot.io",
    sdk_client="@epilot/sdk/entity-mapping",
    list=None,
    get=_call(operation_id="getMappingConfig", method="GET", path="/v2/mappings/{id}"),
    create=_PUT_MAPPING,
    update=_PUT_MAPPING,
    delete=_call(operation_id="deleteConfig", method="DELETE", path="/v1/mappings/{id}"),
    collected_from=("journey", "automation_flow"),
    missing={
        "list": "The API cannot list mappings: they are collected from the journeys and automations that name one, "
        "so a mapping that nothing uses is not seen."
    },
    fields=Fields(
        id="id",
        title=("targets[].name", "targets[].target_schema", "id"),
        created_at="created_at",
        updated_at="updated_at",
        updated_by="last_updated_by.user_id",
        aliases=("targets[].id",),
    ),
    identity=Identity.CLIENT,
    natural_key=NaturalKey(
        fields=(("source.config.journey_id",),),
        assumption="A journey has one mapping by habit, not by contract, and is itself matched by its name at best.",
    ),
    references=(
        Reference(to=("journey",), path="$.source.config.journey_id", required=True),
        Reference(to=("schema",), path="$.source.config.entity_schema", form=Form.SLUG),
        Reference(to=("schema",), path="$.targets[].target_schema", form=Form.SLUG, unit=1),
        *env_templates("$.targets[].**"),
        *variable_templates("$.targets[].mapping_attributes[].operation._template", evidence="I"),
    ),
    external=("source.config.entity_id",),
    strip=("id", "org_id", "version", "created_at", "updated_at", "created_by", "last_updated_by"),
    derived_fields=("version",),
    deletable=False,
    undeletable_reason="A mapping belongs to its journey, and automations pin its version.",
    assumptions=(
        "The id in the path of the PUT may be chosen by the client; public exports do so.",
        "Ids of targets are kept, so an automation's `target_id` stays valid.",
        "Every write makes a new version; the version that automations pin is read back from the target.",
        "Purpose ids stand as literals inside mapping operations; the scan for known ids finds and replaces them.",
        "A mapping has no title: the name of its first target stands for it.",
    ),
)
