"""Dashboard API: dashboards and their tiles."""

from functools import partial

from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import Fields, Form, Identity, NaturalKey, Reference, ResourceType

_API = "dashboard"
_HOST = "dashboard.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

DASHBOARD = ResourceType(
    name="dashboard",
    label="Dashboards",
    icon="LayoutDashboard",
    source_api="https://entity.sls.epilot.io",
    sdk_client="@epilot/sdk/entity",
    list=_list(
        operation_id="listDashboards",
        method="GET",
        path="/v1/dashboard/dashboards",
        query={"sort": "created_at", "order": "asc"},
        paging="limit_offset",
        page_size=200,
        items="results",
        total="pagination.total",
    ),
    get=_call(operation_id="getDashboard", method="GET", path="/v1/dashboard/dashboards/{id}"),
    create=_write(
        operation_id="createDashboard",
        method="POST",
        path="/v1/dashboard/dashboards",
        required=("title", "tiles"),
        answer_id="id",
    ),
    update=_write(
        operation_id="putDashboard",
        method="PUT",
        path="/v1/dashboard/dashboards/{id}",
        required=("title", "tiles"),
        answer_id="id",
    ),
    delete=_call(operation_id="deleteDashboard", method="DELETE", path="/v1/dashboard/dashboards/{id}"),
    fields=Fields(id="id", title=("title",), created_at="created_at", updated_at="updated_at", updated_by="updated_by"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("title",),), assumption="Titles are not unique, so a match is weak."),
    references=(
        Reference(
            to=("schema",),
            path="$.tiles[].visualisation_config.query.filters[].entity_schema",
            form=Form.SLUG,
            assumption="Filters are free-form; an example shows that they name a schema.",
        ),
    ),
    external=("tiles[].insight_id",),
    strip=("id", "created_at", "created_by", "updated_at", "updated_by", "owner_org_id", "favorited"),
    external_strip=("owners", "shared_with"),
    keep_target=("owners", "shared_with"),
    sets=("owners", "shared_with"),
    limited_view=True,
    assumptions=(
        "A new dashboard is private to its maker unless the copied `org_access` says otherwise.",
        "Tiles name insights, which are no resource type: their ids are kept and reported.",
        "Whether the PUT merges or replaces is not stated: it is sent whole, with the target's own sharing.",
    ),
)
