"""Journey API: the forms that people fill in."""

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
    SystemManaged,
)

_API = "journey"
_HOST = "journey-config.sls.epilot.io"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)


def journey_links(*paths: str, evidence: str = "P") -> tuple[Reference, ...]:
    """Declare that the strings at these paths may hold a journey's id, in a URL or in a `generateJourneyLink` call.

    Args:
        paths: reference paths of the strings, from `$`.
        evidence: how well it is known that such links occur there.
    """
    return tuple(
        Reference(
            to=("journey",),
            path=path,
            form=Form.URL,
            strength=Strength.SOFT,
            evidence=evidence,
        )
        for path in paths
    )


JOURNEY = ResourceType(
    name="journey",
    label="Journeys",
    icon="Route",
    source_api="https://journey.sls.epilot.io",
    sdk_client="@epilot/sdk/journey",
    list=_list(
        operation_id="searchJourneys",
        method="POST",
        path="/v1/journey/configuration/search",
        paging="from_size_body",
        page_size=100,
        items="results",
        total="hits",
        body={"q": "*", "sort": "_created_at:asc"},
        whole=False,
    ),
    get=_call(operation_id="getJourney", method="GET", path="/v1/journey/configuration/{id}"),
    create=_write(
        operation_id="createJourneyV2",
        method="POST",
        path="/v2/journey/configuration",
        query={"skipAutomation": "true"},
        required=("name", "steps"),
        answer_id="journeyId",
    ),
    update=_write(
        operation_id="patchUpdateJourneyV2",
        method="PATCH",
        path="/v2/journey/configuration",
        body={"journeyId": "{id}"},
        required=("journeyId",),
        answer_id="journeyId",
        merge=True,
        removal=Removal.NULL,
    ),
    delete=_call(operation_id="removeJourneyV2", method="DELETE", path="/v2/journey/configuration/{id}"),
    fields=Fields(
        id="journeyId",
        title=("name",),
        created_at="createdAt",
        updated_at="lastModifiedAt",
        updated_by="updatedBy",
        manifest="_manifest",
        aliases=("settings.entityId",),
    ),
    list_fields=Fields(
        id="journey_id",
        title=("journey_name", "_title"),
        created_at="_created_at",
        updated_at="_updated_at",
        tags="_tags",
        manifest="_manifest",
        aliases=("_id",),
    ),
    active=ActiveFlag(path="settings.isActive"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(
        fields=(("name",),), assumption="Nothing forbids two journeys of one name, so a match by name is weak."
    ),
    references=(
        Reference(
            to=("designbuilder",),
            path="$.settings.designId",
            required=True,
            assumption="Create does not ask for a design, but a journey without one cannot be read back.",
        ),
        Reference(to=("entity_mapping",), path="$.settings.mappingsAutomationId", deferrable=True, evidence="P"),
        Reference(to=("validation_rule",), path="$.validationRules.{*}"),
        Reference(to=("validation_rule",), path="$.validationRules.{*}[]"),
        Reference(to=("validation_rule",), path="$.validationRules.{*}.{*}"),
        Reference(to=("validation_rule",), path="$.validationRules.{*}.{*}[]"),
        Reference(
            to=("schema",),
            path="$.contextSchema[].type",
            form=Form.SLUG,
            strength=Strength.SOFT,
            assumption="The value is the slug of a schema or a plain data type such as `text`; both look alike.",
        ),
        Reference(to=("file",), path="$.settings.addressSuggestionsFileId", strength=Strength.SOFT),
        Reference(
            to=("taxonomy_classification",), path="$.settings.filePurposes[]", strength=Strength.SOFT, evidence="I"
        ),
        Reference(
            to=("product",),
            path="$.steps[].uischema.**.products[]",
            assumption="Blocks are untyped; the place is known from an example of the PATCH operation.",
        ),
        Reference(
            to=("journey",),
            path="$.steps[].uischema.**.options.linkedJourneys[].id",
            deferrable=True,
            unit=1,
            evidence="P",
        ),
        Reference(to=("app",), path="$.steps[].uischema.**.options.appId", form=Form.SLUG, evidence="P"),
        *env_templates("$.steps[].uischema.**", evidence="D"),
        Reference(
            to=("file", "document_template", "journey"),
            path="$.steps[].uischema.**",
            form=Form.URL,
            strength=Strength.SOFT,
            assumption="Images and option lists name files by id or public URL at places that are not documented.",
        ),
        Reference(to=("access_token",), path="$.settings.publicToken", strength=Strength.BACK_REFERENCE),
    ),
    strip=(
        "journeyId",
        "organizationId",
        "createdAt",
        "createdBy",
        "lastModifiedAt",
        "updatedBy",
        "deletedAt",
        "__lastModifiedAt",
        "version",
        "revisions",
        "revision_id",
        "featureFlags",
        "_manifest",
        "settings.entityId",
        "settings.templateId",
        "settings.canary",
        "settings.isPublished",
        "settings.status",
        "settings.organizationSettings",
    ),
    external_strip=("brandId",),
    keep_target=("settings.entityId", "settings.templateId"),
    secrets=("settings.publicToken",),
    secret_note="The public token of the journey is issued by the target organisation itself.",
    system_managed=(
        SystemManaged(
            path="protected", reason="The journey is protected: it is read-only for everybody but its maker."
        ),
    ),
    sets=("settings.filePurposes", "settings.entityTags"),
    link="/app/v2/journey-builder/editor/{id}",
    assumptions=(
        "Read by version 1, which alone carries timestamps and author; written by version 2.",
        "`skipAutomation` keeps the API from making a mapping and an automation of its own next to ours.",
        "Whether PATCH merges inside `settings` is not stated: the target's own server-managed settings are sent back.",
        "The automation that runs a journey's mapping is not named in the journey; it is found from its own trigger.",
        "Blocks may name environment variables by bare key; only the template form can be told from a word.",
        "Data sources of a journey live in an API without a published definition and are not copied.",
        "The `design` object is a copy of the theme with asset addresses of the source; it is kept as it is.",
        "How a stored submission names its journey is not defined, so journeys have no usage number.",
        "No maximum page size is stated: 100 is asked for, and paging goes by what an answer holds.",
    ),
)
