"""Environments API: environment variables, named by their key in every other API."""

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
    SystemManaged,
)

_API = "environments"
_HOST = "environments.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)


def env_templates(*paths: str, evidence: str = "P") -> tuple[Reference, ...]:
    """Declare that the strings at these paths may hold `{{ env.key }}`.

    Args:
        paths: reference paths of the strings, from `$`.
        evidence: how well it is known that the API expands them.
    """
    return tuple(
        Reference(
            to=("environment_variable",),
            path=path,
            form=Form.ENV_TEMPLATE,
            strength=Strength.SOFT,
            evidence=evidence,
        )
        for path in paths
    )


ENVIRONMENT_VARIABLE = ResourceType(
    name="environment_variable",
    label="Environment variables",
    icon="KeyRound",
    source_api="https://environments.sls.epilot.io",
    sdk_client="@epilot/sdk/environments",
    list=_list(operation_id="listEnvironmentVariables", method="GET", path="/v1/environments", items="items"),
    get=_call(operation_id="getEnvironmentVariable", method="GET", path="/v1/environments/{key}"),
    create=_write(
        operation_id="createEnvironmentVariable",
        method="POST",
        path="/v1/environments",
        required=("key", "type"),
        answer_id="key",
        client_id=True,
    ),
    update=_write(
        operation_id="updateEnvironmentVariable",
        method="PUT",
        path="/v1/environments/{key}",
        omit=("key",),
        answer_id="key",
        client_id=True,
    ),
    delete=_call(operation_id="deleteEnvironmentVariable", method="DELETE", path="/v1/environments/{key}"),
    fields=Fields(id="key", title=("key",), created_at="created_at", updated_at="updated_at", tags="group"),
    identity=Identity.PORTABLE,
    natural_key=NaturalKey(fields=(("key",),), strong=True),
    strip=("created_at", "updated_at", "item_type"),
    secrets=("value",),
    secret_note="Set the value of the variable: values never leave the organisation they were entered in.",
    system_managed=(
        SystemManaged(
            path="protected", reason="The variable is protected: only a person may edit it in its environment."
        ),
    ),
    never_overwrite=True,
    assumptions=(
        "No value is copied, that of a plain string neither: only key, type, description and group travel.",
        "A variable may be created without a value, so whatever refers to it can be created before somebody sets one.",
        "The group is a single word and stands as the config's only tag; the API makes missing groups itself.",
    ),
)
