"""Workflow definition API: workflows of both generations and the reasons to close them."""

from functools import partial

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
)

_API = "workflow-definition"
_HOST = "workflows-definition.sls.epilot.io"
_SOURCE_API = "https://workflow-definition.sls.epilot.io"
_SDK_CLIENT = "@epilot/sdk/workflow-definition"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)


def _purposes(*paths: str) -> tuple[Reference, ...]:
    return tuple(Reference(to=("taxonomy_classification",), path=path, strength=Strength.SOFT) for path in paths)


def _step_references(step: str) -> tuple[Reference, ...]:
    return (
        Reference(to=("automation_flow",), path=f"{step}.automationConfig.flowId", unit=1),
        Reference(to=("journey",), path=f"{step}.journey.journeyId", unit=1),
        Reference(to=("journey",), path=f"{step}.ecp.journey.journeyId", strength=Strength.SOFT, unit=1),
        Reference(to=("journey",), path=f"{step}.installer.journey.journeyId", strength=Strength.SOFT, unit=1),
        *_purposes(f"{step}.taxonomies[]"),
    )


def _trigger_references(trigger: str) -> tuple[Reference, ...]:
    return (
        Reference(to=("automation_flow",), path=f"{trigger}.automation_id"),
        Reference(to=("journey",), path=f"{trigger}.journey_id", unit=1),
        Reference(to=("schema",), path=f"{trigger}.entity_schema", form=Form.SLUG),
    )


WORKFLOW_DEFINITION = ResourceType(
    name="workflow_definition",
    label="Workflows (linear)",
    icon="ListOrdered",
    source_api=_SOURCE_API,
    sdk_client=_SDK_CLIENT,
    list=_list(operation_id="getDefinitions", method="GET", path="/v1/workflows/definitions"),
    get=_call(operation_id="getDefinition", method="GET", path="/v1/workflows/definitions/{definitionId}"),
    create=_write(
        operation_id="createDefinition",
        method="POST",
        path="/v1/workflows/definitions",
        required=("name", "flow"),
        answer_id="id",
    ),
    update=_write(
        operation_id="updateDefinition",
        method="PUT",
        path="/v1/workflows/definitions/{definitionId}",
        required=("name", "flow"),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteDefinition", method="DELETE", path="/v1/workflows/definitions/{definitionId}"),
    fields=Fields(
        id="id",
        title=("name",),
        created_at="creationTime",
        updated_at="lastUpdateTime",
        purposes="taxonomies",
        manifest="_manifest",
    ),
    active=ActiveFlag(path="enabled"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("name",),)),
    references=(
        *_step_references("$.flow[].steps[]"),
        *_step_references("$.flow[]"),
        Reference(to=("closing_reason",), path="$.closingReasons[].id", unit=1),
        *_purposes("$.taxonomies[]"),
        Reference(to=("schema",), path="$.updateEntityAttributes[].target.entitySchema", form=Form.SLUG, unit=2),
    ),
    external=("assignedTo[]", "flow[].assignedTo[]", "flow[].steps[].assignedTo[]"),
    strip=("id", "creationTime", "lastUpdateTime", "_manifest", "dueDate"),
    external_strip=("userIds",),
    keep_target=("userIds", "_manifest"),
    sets=("taxonomies", "flow[].taxonomies", "flow[].steps[].taxonomies"),
    assumptions=(
        "The list is not paged.",
        "Ids of sections and steps are kept as they are; whether create keeps them too is not stated.",
        "A journey object also carries an `id` of unstated meaning; the scan for known ids takes care of it.",
        "An organisation may hold a limited number of definitions: beyond it create refuses and the row fails.",
    ),
)

CLOSING_REASON = ResourceType(
    name="closing_reason",
    label="Closing reasons",
    icon="CircleCheck",
    source_api=_SOURCE_API,
    sdk_client=_SDK_CLIENT,
    list=_list(
        operation_id="getAllClosingReasons",
        method="GET",
        path="/v1/workflows/closing-reasons",
        query={"includeInactive": "true"},
        items="reasons",
    ),
    get=_call(operation_id="getClosingReason", method="GET", path="/v2/workflows/closing-reasons/{reasonId}"),
    create=_write(
        operation_id="createClosingReason",
        method="POST",
        path="/v1/workflows/closing-reasons",
        answer_id="id",
    ),
    update=_write(
        operation_id="updateClosingReason",
        method="PATCH",
        path="/v2/workflows/closing-reasons/{reasonId}",
        answer_id="id",
        merge=True,
    ),
    delete=_call(operation_id="deleteClosingReason", method="DELETE", path="/v2/workflows/closing-reasons/{reasonId}"),
    fields=Fields(id="id", title=("title",), created_at="creationTime", updated_at="lastUpdateTime"),
    active=ActiveFlag(path="status", active="ACTIVE", inactive="INACTIVE"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("title",),)),
    strip=("id", "creationTime", "lastUpdateTime"),
    assumptions=(
        "The body of create has an `id`; nothing says that it is honoured, so the id is taken from the answer.",
        "Delete is permanent; setting the status to inactive is what the API recommends instead.",
    ),
)

FLOW_TEMPLATE = ResourceType(
    name="flow_template",
    label="Workflows",
    icon="Workflow",
    source_api=_SOURCE_API,
    sdk_client=_SDK_CLIENT,
    list=_list(
        operation_id="searchFlowTemplates",
        method="POST",
        path="/v2/flows/templates:search",
        paging="from_size_body",
        page_size=100,
        items="results",
        total="hits",
        body={"sort_by": "created_at", "sort_order": "asc"},
    ),
    get=_call(operation_id="getFlowTemplate", method="GET", path="/v2/flows/templates/{flowId}"),
    create=_write(
        operation_id="createFlowTemplate",
        method="POST",
        path="/v2/flows/templates",
        required=("name", "tasks", "edges"),
        answer_id="id",
    ),
    update=_write(
        operation_id="updateFlowTemplate",
        method="PUT",
        path="/v2/flows/templates/{flowId}",
        required=("name", "tasks", "edges"),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteFlowTemplate", method="DELETE", path="/v2/flows/templates/{flowId}"),
    fields=Fields(
        id="id",
        title=("name",),
        created_at="created_at",
        updated_at="updated_at",
        purposes="taxonomies",
        manifest="_manifest",
    ),
    active=ActiveFlag(path="enabled"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("name",),)),
    references=(
        Reference(to=("automation_flow",), path="$.tasks[].automation_config.flow_id"),
        *_trigger_references("$.trigger"),
        *_trigger_references("$.additional_triggers[]"),
        Reference(to=("journey",), path="$.tasks[].journey.journeyId", unit=1),
        Reference(to=("journey",), path="$.tasks[].ecp.journey.journeyId", strength=Strength.SOFT, unit=1),
        Reference(to=("journey",), path="$.tasks[].installer.journey.journeyId", strength=Strength.SOFT, unit=1),
        Reference(to=("closing_reason",), path="$.closing_reasons[].id", unit=1),
        *_purposes("$.taxonomies[]", "$.phases[].taxonomies[]", "$.tasks[].taxonomies[]"),
        Reference(to=("schema",), path="$.tasks[].schedule.reference.schema", form=Form.SLUG),
        Reference(to=("schema",), path="$.entity_sync[].target.entitySchema", form=Form.SLUG, unit=2),
        Reference(to=("schema",), path="$.tasks[].conditions[].statements[].source.schema", form=Form.SLUG),
    ),
    external=("assigned_to[]", "phases[].assigned_to[]", "tasks[].assigned_to[]", "tasks[].agent_config.agent_id"),
    strip=(
        "id",
        "org_id",
        "created_at",
        "updated_at",
        "limit_warnings",
        "_manifest",
        "closing_reasons[].title",
        "closing_reasons[].status",
        "closing_reasons[].creationTime",
        "closing_reasons[].lastUpdateTime",
        "trigger.journey_name",
        "additional_triggers[].journey_name",
    ),
    keep_target=("_manifest",),
    sets=("taxonomies", "phases[].taxonomies", "tasks[].taxonomies", "closing_reasons"),
    assumptions=(
        "`enforce_limits` stays off, as the API asks of tools that copy whole configurations.",
        "`version` is the generation of the schema, not a revision counter, and is copied.",
        "Ids of tasks, phases and edges are chosen by the author and are kept.",
        "Trigger automations are copied as automations of their own; the write-only shortcut fields are never sent.",
        "No maximum page size is stated: 100 is asked for, and paging goes by what an answer holds.",
    ),
)
