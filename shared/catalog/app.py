"""App API: installations of apps."""

from functools import partial

from shared.catalog.environments import env_templates
from shared.domain.api_operation import ListOperation, Operation, Removal, WriteOperation
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

_API = "app"
_HOST = "app.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

APP = ResourceType(
    name="app",
    label="Apps",
    icon="AppWindow",
    source_api="https://entity.sls.epilot.io",
    sdk_client="@epilot/sdk/entity",
    list=_list(
        operation_id="listInstallations",
        method="GET",
        path="/v1/app",
        paging="page_number",
        page_size=100,
        items="apps",
        total="pagination.total",
    ),
    get=_call(operation_id="getInstallation", method="GET", path="/v1/app/{appId}"),
    create=_write(
        operation_id="install",
        method="POST",
        path="/v1/app/{appId}",
        rename={"installed_version": "version"},
        answer_id="app_id",
        client_id=True,
    ),
    update=_write(
        operation_id="patchInstallation",
        method="PATCH",
        path="/v1/app/{appId}",
        rename={"installed_version": "version"},
        merge=True,
        removal=Removal.IMPOSSIBLE,
        client_id=True,
    ),
    delete=_call(operation_id="uninstall", method="DELETE", path="/v1/app/{appId}"),
    fields=Fields(
        id="app_id",
        title=("name",),
        created_at="installation_audit.created_at",
        updated_at="installation_audit.updated_at",
        updated_by="installation_audit.updated_by",
        manifest="_manifest",
        aliases=("components[].id",),
    ),
    active=ActiveFlag(path="enabled", settable=False),
    identity=Identity.PORTABLE,
    natural_key=NaturalKey(fields=(("app_id",),), strong=True),
    references=(
        Reference(to=("role",), path="$.role", form=Form.NAME, strength=Strength.SOFT),
        *env_templates("$.option_values[].options[].value.**", evidence="I"),
    ),
    keep_only=("installed_version", "option_values"),
    drop_without={"option_values[].options[]": "value"},
    secret_note="Enter the secret options of the app: their values are never shown and cannot be copied.",
    assumptions=(
        "The type is the installation in an organisation, not the app as its developer configures it.",
        "Only version and option values are sent; everything else follows from the version of the app.",
        "The flag turns true by itself once all required options are set.",
        "A private app can be installed only where its owner allows it: elsewhere the row fails.",
        "An app may bring a blueprint of its own, so installing it may make further configs.",
        "No maximum page size is stated: 100 is asked for, and paging goes by what an answer holds.",
    ),
)
