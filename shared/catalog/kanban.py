"""Kanban API: boards."""

from functools import partial

from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import Fields, Form, Identity, NaturalKey, Reference, ResourceType, Strength

_API = "kanban"
_HOST = "kanban.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)


def _filter_references(path: str) -> tuple[Reference, ...]:
    return (
        Reference(
            to=("flow_template", "workflow_definition"),
            path=path,
            form=Form.URL,
            strength=Strength.SOFT,
            when=("key", "flow"),
            evidence="I",
            assumption="A filter of the key `flow` was seen to hold ids of flow templates.",
        ),
        Reference(
            to=("flow_template", "usergroup", "workflow_definition"),
            path=path,
            form=Form.URL,
            strength=Strength.SOFT,
            evidence="I",
            assumption="Filter values are free-form, in groups too: only ids that the organisation knows count.",
        ),
    )


KANBAN = ResourceType(
    name="kanban",
    label="Kanban boards",
    icon="Kanban",
    source_api="https://kanban.sls.epilot.io",
    sdk_client="@epilot/sdk/kanban",
    list=_list(operation_id="getKanbanBoards", method="GET", path="/v1/kanban/boards", whole=False),
    get=_call(operation_id="getKanbanBoard", method="GET", path="/v1/kanban/board/{boardId}"),
    create=_write(
        operation_id="createKanbanBoard",
        method="POST",
        path="/v1/kanban/board",
        required=("title", "config"),
        answer_id="id",
    ),
    update=_write(
        operation_id="updateKanbanBoard",
        method="PUT",
        path="/v1/kanban/board/{boardId}",
        required=("title", "config"),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteKanbanBoard", method="DELETE", path="/v1/kanban/board/{boardId}"),
    fields=Fields(id="id", title=("title",), created_at="created_at", updated_at="updated_at", updated_by="updated_by"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("title",),), assumption="Titles are not unique, so a match is weak."),
    references=(
        *_filter_references("$.config.swimlanes[].filter.**"),
        *_filter_references("$.config.board_filter.**"),
    ),
    strip=("id", "org_id", "created_at", "created_by", "updated_at", "updated_by"),
    external_strip=("owners", "shared_with"),
    keep_target=("owners", "shared_with"),
    sets=("owners", "shared_with"),
    limited_view=True,
    assumptions=(
        "The list has no board contents: each board is read on its own.",
        "Which board is the organisation's default is kept outside of the boards and is not copied.",
        "Sharing with the whole organisation is copied; owners and single users belong to the source.",
    ),
)
