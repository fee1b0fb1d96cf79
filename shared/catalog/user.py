"""User API: groups of users."""

from functools import partial

from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import Fields, Identity, NaturalKey, ResourceType, UsageMetric, UsageSource

_API = "user"
_HOST = "user.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

USERGROUP = ResourceType(
    name="usergroup",
    label="User groups",
    icon="Users",
    source_api="https://user.sls.epilot.io",
    sdk_client="@epilot/sdk/user",
    list=_list(
        operation_id="getGroups",
        method="GET",
        path="/v1/groups",
        paging="limit_offset",
        page_size=100,
        items="groups",
        total="hits",
        only_own_org="org_id",
    ),
    get=_call(operation_id="getGroup", method="GET", path="/v1/groups/{id}"),
    create=_write(operation_id="createGroup", method="POST", path="/v1/groups", required=("name",), answer_id="id"),
    update=_write(operation_id="updateGroup", method="PATCH", path="/v1/groups/{id}", answer_id="id", merge=True),
    delete=_call(operation_id="deleteGroup", method="DELETE", path="/v1/groups/{id}"),
    fields=Fields(id="id", title=("name",), created_at="created_at", updated_at="updated_at"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("name",),)),
    strip=("id", "org_id", "created_at", "updated_at", "created_by", "crt_assignee"),
    external_strip=("users",),
    usage=UsageMetric(name="users", source=UsageSource.LENGTH, path="users"),
    assumptions=(
        "A group is created empty: its users belong to the source organisation.",
        "Users are never hydrated, so no personal data is read.",
        "The list also shows groups of other organisations that the caller may enter; they are left out.",
        "No maximum page size is stated: 100 is asked for, and paging goes by what an answer holds.",
    ),
)
