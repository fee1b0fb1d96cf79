"""Design API: themes of journeys and portals."""

from functools import partial

from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import (
    Fields,
    Identity,
    NaturalKey,
    Reference,
    ResourceType,
    Strength,
    SystemManaged,
    UsageMetric,
    UsageSource,
)

_API = "design"
_HOST = "design-builder-api.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

_UNDECLARED = {"status": "active", "edited": False}

DESIGNBUILDER = ResourceType(
    name="designbuilder",
    label="Designs",
    icon="Palette",
    source_api="https://design-builder-api.sls.epilot.io",
    sdk_client="@epilot/sdk/design",
    list=_list(operation_id="getAllDesigns", method="GET", path="/v1/designs", items="designs"),
    get=_call(operation_id="getDesign", method="GET", path="/v1/designs/{designId}", answer="design"),
    create=_write(
        operation_id="addDesign",
        method="POST",
        path="/v1/designs",
        answer="design",
        wrapper="design",
        body=_UNDECLARED,
        required=("style_name", "status", "edited", "style"),
        answer_id="design.id",
    ),
    update=_write(
        operation_id="updateDesign",
        method="PUT",
        path="/v1/designs/{designId}",
        wrapper="design",
        body=_UNDECLARED,
        required=("style_name", "status", "edited", "style"),
    ),
    delete=_call(operation_id="deleteDesign", method="DELETE", path="/v1/designs/{designId}"),
    fields=Fields(
        id="id",
        title=("style_name",),
        created_at="created_at",
        updated_at="last_modified_at",
        updated_by="user.userid",
        manifest="_manifest",
    ),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("style_name",),)),
    references=(
        Reference(
            to=("file",),
            path="$.style.logo.main.file_id",
            strength=Strength.SOFT,
            siblings={"s3_object_key": "s3ref.key", "url": "public_url"},
            unit=1,
        ),
        Reference(to=("journey",), path="$.style.consumer.widgets[].id", strength=Strength.BACK_REFERENCE),
        Reference(
            to=("portal_config",), path="$.style.consumer.customer_portals[].id", strength=Strength.BACK_REFERENCE
        ),
    ),
    external=("style.logo.main.s3_object_key", "style.typography.font"),
    strip=(
        "id",
        "created_at",
        "created_by",
        "last_modified_at",
        "is_default",
        "_manifest",
        "status",
        "edited",
        "style.consumer.widgets[]",
        "style.consumer.customer_portals[]",
    ),
    external_strip=("user", "brand_id", "brand_name"),
    keep_target=(
        "brand_id",
        "brand_name",
        "is_default",
        "_manifest",
        "style.consumer.widgets",
        "style.consumer.customer_portals",
    ),
    delete_guards=(SystemManaged(path="is_default", reason="It is the organisation's default design."),),
    usage=UsageMetric(name="journeys", source=UsageSource.LENGTH, path="style.consumer.widgets"),
    assumptions=(
        "Writes require `status` and `edited` without declaring them: fixed values are sent.",
        "Who uses a design is bookkeeping of the API: it is sent empty on create, and the target's own on an update.",
        "The default design of the source is copied like any other; the flag is not.",
        "Fonts and logos in the design's own storage stay addresses of the source organisation and are reported.",
        "The `user` of a design is taken to be its last editor; only the id is kept.",
    ),
)
