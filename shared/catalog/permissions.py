"""Permissions API: roles and their grants."""

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
    SystemManaged,
    UsageMetric,
    UsageSource,
)

_API = "permissions"
_HOST = "permissions.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)

_PUT_ROLE = WriteOperation(
    api=_API,
    host=_HOST,
    operation_id="putRole",
    method="PUT",
    path="/v1/permissions/roles/{roleId}",
    body={"id": "{id}", "organization_id": "{org_id}"},
    required=("id", "name", "slug", "type", "organization_id", "grants"),
    answer_id="id",
    client_id=True,
)

ROLE = ResourceType(
    name="role",
    label="Roles",
    icon="Shield",
    source_api="https://permissions.sls.epilot.io",
    sdk_client="@epilot/sdk/permissions",
    list=_list(
        operation_id="listAllRoles",
        method="GET",
        path="/v1/permissions/roles",
        items="roles",
        only_own_org="organization_id",
    ),
    get=_call(operation_id="getRole", method="GET", path="/v1/permissions/roles/{roleId}"),
    create=_PUT_ROLE,
    update=_PUT_ROLE,
    delete=_call(operation_id="deleteRole", method="DELETE", path="/v1/permissions/roles/{roleId}"),
    fields=Fields(id="id", title=("name",), aliases=("slug",)),
    active=ActiveFlag(path="expires_at", settable=False, expiry=True),
    identity=Identity.ORG_PREFIXED,
    natural_key=NaturalKey(fields=(("slug",),), strong=True),
    references=(
        Reference(to=("role",), path="$.parent_role", form=Form.ROLE_ID),
        Reference(
            to=("schema",),
            path="$.grants[].resource",
            form=Form.SLUG_PREFIX,
            strength=Strength.SOFT,
            evidence="P",
            assumption="What stands before the first colon is a schema or a kind of resource.",
        ),
    ),
    external=("grants[].conditions[].values[]",),
    strip=(
        "id",
        "organization_id",
        "expires_at",
        "pricing_tier",
        "vendor_created",
        "vendor_enforced_user_limit",
        "partner_org_id",
    ),
    system_managed=(
        SystemManaged(
            path="type",
            values=("org_role", "portal_role", "partner_role"),
            reason="The platform, a portal or a partner organisation owns the role.",
        ),
        SystemManaged(path="slug", values=("owner",), reason="Every organisation has its own owner role."),
        SystemManaged(
            path="organization_id", foreign_org=True, reason="Another organisation owns the role and shares it."
        ),
    ),
    sets=("grants",),
    usage=UsageMetric(name="assignments", source=UsageSource.ASSIGNMENTS),
    assumptions=(
        "Only roles of users and roles for sharing are copied.",
        "A role carries no timestamps: changes show in its fingerprint alone.",
        "Grants may be stored in an expanded form, so what is read back can differ from what was written.",
        "Grants that name an organisation or a single entity are kept as they are and reported.",
    ),
)
