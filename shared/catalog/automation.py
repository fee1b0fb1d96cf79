"""Automation API: flows of trigger, conditions and actions."""

from functools import partial

from shared.catalog.environments import env_templates
from shared.catalog.template_variables import variable_templates
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
    UsageMetric,
    UsageSource,
)

_API = "automation"
_HOST = "automation.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

AUTOMATION_FLOW = ResourceType(
    name="automation_flow",
    label="Automations",
    icon="Zap",
    source_api="https://automation.sls.epilot.io",
    sdk_client="@epilot/sdk/automation",
    list=_list(
        operation_id="searchFlows",
        method="GET",
        path="/v1/automation/flows",
        query={"include_flows": "true"},
        paging="from_size_query",
        page_size=100,
        items="results",
        total="total",
    ),
    get=_call(operation_id="getFlow", method="GET", path="/v1/automation/flows/{flow_id}"),
    create=_write(
        operation_id="createFlow",
        method="POST",
        path="/v1/automation/flows",
        required=("flow_name", "triggers", "actions"),
        answer_id="id",
    ),
    update=_write(
        operation_id="putFlow",
        method="PUT",
        path="/v1/automation/flows/{flow_id}",
        required=("flow_name", "triggers", "actions"),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteFlow", method="DELETE", path="/v1/automation/flows/{flow_id}"),
    fields=Fields(
        id="id",
        title=("flow_name",),
        created_at="created_at",
        updated_at="updated_at",
        updated_by="last_updated_by",
        manifest="_manifest",
    ),
    active=ActiveFlag(path="enabled"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(
        fields=(("flow_name",),),
        assumption="Names are not unique; trigger and source are left for a person to compare.",
    ),
    references=(
        Reference(to=("journey",), path="$.triggers[].configuration.source_id", when=("type", "journey_submission")),
        Reference(to=("journey",), path="$.triggers[].configuration.journey_id"),
        Reference(to=("journey",), path="$.actions[].config.journey_id", strength=Strength.SOFT),
        Reference(
            to=("entity_mapping",),
            path="$.actions[].config.mapping_config.config_id",
            siblings={"version": "version"},
            unit=1,
        ),
        Reference(
            to=("flow_template", "workflow_definition"), path="$.actions[].config.target_workflow", deferrable=True
        ),
        Reference(to=("emailtemplate",), path="$.actions[].config.email_template_id"),
        Reference(
            to=("document_template", "file"),
            path="$.actions[].config.template_id",
            assumption="The template of a created document is taken to be a file of the kind document template.",
        ),
        Reference(to=("webhook",), path="$.actions[].config.target_webhook_id"),
        Reference(to=("app",), path="$.actions[].config.app_id", form=Form.SLUG),
        Reference(to=("closing_reason",), path="$.actions[].config.selected_reasons[].id", unit=1),
        Reference(
            to=("portal_config",),
            path="$.triggers[].configuration.ecp_config.portal_id",
            strength=Strength.SOFT,
        ),
        Reference(to=("usergroup",), path="$.actions[].config.assignees[].group_id", strength=Strength.SOFT, unit=1),
        Reference(
            to=("usergroup",), path="$.actions[].config.candidate_group.group_id", strength=Strength.SOFT, unit=1
        ),
        Reference(
            to=("usergroup",),
            path="$.actions[].config.fallback_assignees[].group_id",
            strength=Strength.SOFT,
            unit=1,
        ),
        Reference(to=("schema",), path="$.entity_schema", form=Form.SLUG),
        Reference(to=("schema",), path="$.triggers[].configuration.schema", form=Form.SLUG),
        Reference(to=("schema",), path="$.triggers[].configuration.entity_schema", form=Form.SLUG),
        Reference(to=("schema",), path="$.actions[].config.target_schema", form=Form.SLUG),
        Reference(to=("schema",), path="$.conditions[].statements[].source.schema", form=Form.SLUG),
        *env_templates("$.actions[].config.**"),
        *variable_templates("$.actions[].config.**", evidence="I"),
    ),
    external=(
        "actions[].config.assignees[].user_id",
        "actions[].config.fallback_assignees[].user_id",
        "actions[].config.assign_steps[].user_ids[]",
        "actions[].config.assignees[].partner_id",
        "triggers[].configuration.shared_inbox_ids[]",
    ),
    strip=(
        "id",
        "org_id",
        "created_at",
        "updated_at",
        "created_by",
        "last_updated_by",
        "runs",
        "version",
        "system_flow",
        "disable_details",
        "_manifest",
        "actions[].config.event_id",
        "actions[].execution_status",
        "actions[].started_at",
        "actions[].updated_at",
        "actions[].reason",
        "actions[].outputs",
        "actions[].error_output",
        "actions[].iterations",
    ),
    keep_target=("_manifest",),
    secret_note="Actions that call other systems may hold credentials as plain text: check them on the target.",
    system_managed=(
        SystemManaged(path="system_flow", reason="The platform generates this automation itself."),
        SystemManaged(path="protected", reason="The automation is protected: it must not be changed by a job."),
    ),
    usage=UsageMetric(name="runs", source=UsageSource.FIELD, path="runs"),
    assumptions=(
        "Automations that belong to a flow template are listed too: they are copied with their template.",
        "The definition calls `actions` read-only and requires it in the same breath: it is written.",
        "`source_id` names a journey only where the trigger is a journey submission.",
        "The id of an action's workflow may be of either generation; whichever type knows it is meant.",
        "Purpose ids stand as literals inside mapping operations; the scan for known ids finds and replaces them.",
        "`target_id` of a pinned mapping stays: a copied mapping keeps the ids of its targets.",
        "No maximum page size is stated: 100 is asked for, and paging goes by what an answer holds.",
    ),
)
