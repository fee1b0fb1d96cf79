"""Access token API: tokens, of which only the description can be read."""

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
)

_API = "access-token"
_HOST = "access-token.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

ACCESS_TOKEN = ResourceType(
    name="access_token",
    label="Access tokens",
    icon="Key",
    source_api="https://access-token.sls.epilot.io",
    sdk_client="@epilot/sdk/access-token",
    list=_list(operation_id="listAccessTokens", method="GET", path="/v1/access-tokens"),
    create=_write(
        operation_id="createAccessToken",
        method="POST",
        path="/v1/access-tokens",
        required=("name",),
        answer_id="id",
        mints_secret=True,
    ),
    delete=_call(operation_id="revokeAccessToken", method="DELETE", path="/v1/access-tokens/{id}"),
    missing={
        "get": "The API cannot read one token: the list is read and searched for the id.",
        "update": "The API cannot change a token: it can only be revoked and replaced.",
    },
    fields=Fields(id="id", title=("name",), created_at="created_at"),
    active=ActiveFlag(path="expires_at", settable=False, expiry=True),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("name",),), assumption="Names of tokens repeat; a match only helps to find one."),
    references=(
        Reference(to=("role",), path="$.assignments[]", form=Form.ROLE_ID),
        Reference(to=("journey",), path="$.journey_id", strength=Strength.SOFT),
        Reference(to=("portal_config",), path="$.portal_id", strength=Strength.SOFT),
    ),
    external=("portal_user_id", "contact_id"),
    skip_sync="Creating a token mints a live secret: a person has to do it in the target organisation.",
    system_managed=(
        SystemManaged(
            path="token_type",
            values=("journey", "portal", "assume", "app", "portal_preview", "contact_identification"),
            reason="The platform makes tokens of this kind itself.",
        ),
    ),
    sets=("assignments",),
    limited_view=True,
    deletable=False,
    undeletable_reason="Deleting a token revokes it for good, perhaps the very one that runs the job.",
    assumptions=(
        "The list shows the tokens of whoever asks, those that the platform makes left out.",
        "When a token was last used is known to the day only, so tokens have no usage number.",
    ),
)
