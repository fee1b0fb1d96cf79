"""Entity API: entities of fixed schemas, schemas themselves, taxonomies and saved views."""

from collections.abc import Mapping
from functools import partial

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
    UsageMetric,
    UsageSource,
)

_API = "entity"
_HOST = "entity.sls.epilot.io"
SOURCE_API = "https://entity.sls.epilot.io"
SDK_CLIENT = "@epilot/sdk/entity"
_list = partial(ListOperation, api=_API, host=_HOST)
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

#: What the entity API itself puts on every entity.
ENVELOPE = (
    "_id",
    "_org",
    "_owners",
    "_acl",
    "_created_at",
    "_updated_at",
    "_deleted_at",
    "_title",
    "_purpose_name",
    "_changesets",
    "_manifest",
)


def list_entities(query: str) -> ListOperation:
    """Declare the search that lists all entities which a Lucene query finds.

    Args:
        query: such as `_schema:product`.
    """
    return _list(
        operation_id="searchEntities",
        method="POST",
        path="/v1/entity:search",
        paging="entity_search",
        page_size=1000,
        items="results",
        total="hits",
        body={"q": query, "sort": "_id:asc", "hydrate": False},
    )


def delete_entity(slug: str) -> Operation:
    """Declare the soft delete of an entity of a schema."""
    return _call(operation_id="deleteEntity", method="DELETE", path=f"/v1/entity/{slug}/{{id}}")


def entity_fields(*titles: str, updated_by: str = "", aliases: tuple[str, ...] = ()) -> Fields:
    """Declare where an entity's summary fields stand.

    Args:
        titles: alternatives for the title.
        updated_by: field of the last editor; most entities have none.
        aliases: fields by which other configs name it.
    """
    return Fields(
        id="_id",
        title=titles,
        created_at="_created_at",
        updated_at="_updated_at",
        updated_by=updated_by,
        tags="_tags",
        purposes="_purpose",
        manifest="_manifest",
        aliases=aliases,
    )


def purpose_references(*paths: str, evidence: str = "D") -> tuple[Reference, ...]:
    """Declare that these paths hold ids of purposes or other classifications.

    Args:
        paths: reference paths, from `$`.
        evidence: how well that is known.
    """
    return tuple(
        Reference(to=("taxonomy_classification",), path=path, strength=Strength.SOFT, evidence=evidence)
        for path in paths
    )


def entity_type(
    slug: str,
    *,
    label: str,
    icon: str,
    natural_key: NaturalKey,
    titles: tuple[str, ...] = ("name", "_title"),
    required: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    references: tuple[Reference, ...] = (),
    active: ActiveFlag | None = None,
    strip: tuple[str, ...] = (),
    secrets: tuple[str, ...] = (),
    secret_note: str = "",
    usage: UsageMetric | None = None,
    link: str = "",
    assumptions: tuple[str, ...] = (),
) -> ResourceType:
    """Declare a resource type whose configs are entities of one schema, written through the entity API itself.

    Args:
        slug: of the schema, and name of the type.
        label: as in `ResourceType`, like all that is not named here.
        icon: as in `ResourceType`.
        natural_key: as in `ResourceType`.
        titles: alternatives for the title.
        required: fields that the model of the entity requires.
        aliases: fields by which other configs name it.
        references: all but purposes, which every entity has.
        active: as in `ResourceType`.
        strip: what is stripped besides the envelope.
        secrets: as in `ResourceType`.
        secret_note: as in `ResourceType`.
        usage: as in `ResourceType`.
        link: as in `ResourceType`.
        assumptions: those besides what is assumed of every entity.
    """
    return ResourceType(
        name=slug,
        label=label,
        icon=icon,
        source_api=SOURCE_API,
        sdk_client=SDK_CLIENT,
        list=list_entities(f"_schema:{slug}"),
        get=_call(operation_id="getEntityV2", method="GET", path=f"/v2/entity/{slug}/{{id}}"),
        create=_write(
            operation_id="createEntity",
            method="POST",
            path=f"/v1/entity/{slug}",
            required=required,
            answer_id="_id",
        ),
        update=_write(
            operation_id="patchEntity",
            method="PATCH",
            path=f"/v1/entity/{slug}/{{id}}",
            answer_id="_id",
            merge=True,
            removal=Removal.NULL,
        ),
        delete=delete_entity(slug),
        fields=entity_fields(*titles, aliases=aliases),
        active=active,
        identity=Identity.SERVER,
        natural_key=natural_key,
        references=(*references, *purpose_references("$._purpose[]")),
        strip=(*ENVELOPE, *strip),
        sets=("_tags", "_purpose"),
        secrets=secrets,
        secret_note=secret_note,
        usage=usage,
        link=link,
        assumptions=(
            "The schema is open: relations in attributes of its own making are found by the scan for known ids.",
            *assumptions,
        ),
    )


def _related(attribute: str, *to: str, strength: Strength = Strength.HARD, deferrable: bool = False) -> Reference:
    return Reference(
        to=to, path=f"$.{attribute}.$relation[].entity_id", strength=strength, deferrable=deferrable, unit=1
    )


def _embedded_files(attribute: str) -> tuple[Reference, ...]:
    return (
        Reference(to=("file",), path=f"$.{attribute}[]._id", strength=Strength.SOFT, unit=1),
        Reference(to=("file",), path=f"$.{attribute}[].$relation.entity_id", strength=Strength.SOFT, unit=2),
    )


def _files(attribute: str) -> tuple[Reference, ...]:
    """Declare an attribute that holds relations to files or, in some organisations, whole files."""
    return (_related(attribute, "file", strength=Strength.SOFT), *_embedded_files(attribute))


def _stored_parts(*attributes: str) -> tuple[str, ...]:
    """Return what a whole file inside of another entity says of its storage and its organisation."""
    parts = ("versions", "_org", "_created_at", "_updated_at")
    return tuple(f"{attribute}[].{part}" for attribute in attributes for part in parts)


_SWITCH = ActiveFlag(path="active")

PRODUCT = entity_type(
    "product",
    label="Products",
    icon="Package",
    natural_key=NaturalKey(
        fields=(("code",), ("name",)), assumption="Codes and names are not unique by contract, so a match is weak."
    ),
    aliases=("code",),
    active=_SWITCH,
    references=(
        _related("price_options", "price"),
        _related("cross_sellable_products", "product", strength=Strength.SOFT, deferrable=True),
        *_files("product_images"),
        *_files("product_downloads"),
        *_embedded_files("_availability_files"),
    ),
    strip=_stored_parts("product_images", "product_downloads", "_availability_files"),
    link="/app/pricing-hub/product/{id}",
    assumptions=(
        "Conditional variants of a product are records of the pricing API and are not copied.",
        "What a file inside of a product says of its storage comes from the file itself and is not sent.",
    ),
)

PRICE = entity_type(
    "price",
    label="Prices",
    icon="Tag",
    titles=("_title", "description"),
    natural_key=NaturalKey(
        fields=(("description", "type", "unit_amount_decimal"), ("description", "is_composite_price")),
        assumption="The title is generated from the description; several prices may agree in all of these fields.",
    ),
    required=("pricing_model",),
    active=_SWITCH,
    references=(
        _related("tax", "tax"),
        _related("price_components", "price"),
        Reference(
            to=("product",),
            path="$.price_components.$relation[]._product_id",
            strength=Strength.SOFT,
            deferrable=True,
            assumption="Only an example of a composite price shows that a component names a product.",
        ),
    ),
    assumptions=(
        "Conditional variants of a price are records of the pricing API and are not copied.",
        "A composite price needs no pricing model of its own, though the model of a simple one requires it.",
    ),
)

TAX = entity_type(
    "tax",
    label="Taxes",
    icon="Percent",
    titles=("_title", "description"),
    natural_key=NaturalKey(
        fields=(("type", "region", "rate", "description"), ("type", "region", "rate"), ("type", "rate")),
        assumption="Two taxes of the same kind, region and rate can exist side by side.",
    ),
    required=("type", "rate"),
    active=_SWITCH,
)

COUPON = entity_type(
    "coupon",
    label="Coupons",
    icon="Ticket",
    natural_key=NaturalKey(fields=(("name",),)),
    required=("name", "type", "category"),
    active=_SWITCH,
    references=(_related("prices", "price"),),
    strip=("promo_code_usage",),
    secrets=("promo_codes",),
    secret_note="Promo codes can be redeemed by whoever sees them: enter the target's own.",
    usage=UsageMetric(name="redemptions", source=UsageSource.SUM, path="promo_code_usage"),
    assumptions=(
        "Promo codes are neither copied nor an alias: whoever sees one can redeem it.",
        "Conditional variants of a coupon are records of the pricing API and are not copied.",
    ),
)


def _filter_by_purpose(path: str) -> Reference:
    return Reference(
        to=("taxonomy_classification",),
        path=path,
        form=Form.URL,
        strength=Strength.SOFT,
        when=("key", "_purpose"),
        evidence="I",
        assumption="A filter by `_purpose` compares what `_purpose` of an entity holds: ids of classifications.",
    )


TARGET = entity_type(
    "target",
    label="Targets",
    icon="Target",
    natural_key=NaturalKey(fields=(("name", "entity_schema"),)),
    references=(
        Reference(to=("schema",), path="$.entity_schema", form=Form.SLUG),
        _filter_by_purpose("$.entity_filters.**"),
        Reference(
            to=("taxonomy_classification",),
            path="$.entity_filters.**",
            form=Form.URL,
            strength=Strength.SOFT,
            evidence="I",
            assumption="Filters are free-form: only ids that the organisation knows count as references.",
        ),
    ),
    assumptions=(
        "The published targeting definition has no operation that lists or writes targets, so the entity API does.",
        "Ids of single entities inside filters stay as they are and are reported.",
    ),
)

PRODUCT_RECOMMENDATION = entity_type(
    "product_recommendation",
    label="Product recommendations",
    icon="Sparkles",
    titles=("_title",),
    natural_key=NaturalKey(
        fields=(
            ("type", "source_product.$relation[].entity_id", "source_price.$relation[].entity_id"),
            ("type", "source_product.$relation[].entity_id"),
            ("type", "source_price.$relation[].entity_id"),
        ),
        assumption="A recommendation has no name: kind and source are compared after remapping, and may occur twice.",
    ),
    references=(
        _related("source_price", "price"),
        _related("source_product", "product"),
        Reference(to=("price",), path="$.offers[].items[].price_id", unit=1),
        Reference(to=("product",), path="$.offers[].items[].product_id", unit=1),
        Reference(
            to=("target",),
            path="$.offers[].target_id",
            strength=Strength.SOFT,
            assumption="That an offer's target is a target of the targeting kind is inferred.",
        ),
    ),
)

SCHEMA = ResourceType(
    name="schema",
    label="Entity schemas",
    icon="Database",
    source_api=SOURCE_API,
    sdk_client=SDK_CLIENT,
    list=_list(
        operation_id="listSchemasV2",
        method="GET",
        path="/v2/entity/schemas",
        query={"full": "true", "unpublished": "true"},
        items="results",
    ),
    get=_call(operation_id="getSchema", method="GET", path="/v1/entity/schemas/{slug}"),
    create=_write(
        operation_id="putSchema",
        method="PUT",
        path="/v1/entity/schemas/{slug}",
        required=("slug", "name", "plural", "attributes", "capabilities"),
        answer_id="slug",
        client_id=True,
    ),
    update=_write(
        operation_id="putSchema",
        method="PUT",
        path="/v1/entity/schemas/{slug}",
        required=("slug", "name", "plural", "attributes", "capabilities"),
        answer_id="slug",
        client_id=True,
    ),
    delete=_call(operation_id="deleteSchema", method="DELETE", path="/v1/entity/schemas/{slug}"),
    fields=Fields(
        id="slug",
        title=("name",),
        created_at="created_at",
        updated_at="updated_at",
        purposes="_purpose",
        manifest="_manifest",
        aliases=("id",),
    ),
    active=ActiveFlag(path="published", settable=False),
    identity=Identity.PORTABLE,
    natural_key=NaturalKey(fields=(("slug",),), strong=True),
    references=(
        Reference(to=("schema",), path="$.attributes[].allowedSchemas[]", form=Form.SLUG),
        Reference(to=("schema",), path="$.attributes[].reverse_attributes.{key}", form=Form.SLUG),
        Reference(to=("schema",), path="$.capabilities[].schemas[].schema", form=Form.SLUG, unit=1),
        Reference(to=("journey",), path="$.capabilities[].adjust_installment.journey_id", deferrable=True, unit=1),
        Reference(to=("app",), path="$.capabilities[].app_id", form=Form.SLUG),
        *purpose_references(
            "$._purpose[]",
            "$.attributes[]._purpose[]",
            "$.capabilities[]._purpose[]",
            "$.group_settings[]._purpose[]",
            "$.group_headlines[]._purpose[]",
        ),
    ),
    strip=(
        "id",
        "version",
        "created_at",
        "updated_at",
        "comment",
        "source",
        "frozen",
        "latest",
        "draft",
        "_summary",
        "blueprint",
        "_manifest",
        "attributes[]._manifest",
        "capabilities[]._manifest",
        "group_settings[]._manifest",
        "group_headlines[]._manifest",
    ),
    keep_target=("blueprint", "_manifest"),
    system_managed=(
        SystemManaged(
            path="blueprint",
            update_allowed=True,
            reason="The schema ships with the platform: it is updated where it was selected, never created or deleted.",
        ),
    ),
    sets=("_purpose", "attributes[]._purpose", "capabilities[]._purpose", "attributes[].allowedSchemas"),
    usage=UsageMetric(name="entities", source=UsageSource.ENTITY_COUNT),
    assumptions=(
        "The slug is the identity; the `id` names one version and is accepted as an alias only.",
        "Every write makes a new version of the whole schema; there is no operation that only creates.",
        "A schema is never created unpublished: entities of it may be written before the job ends.",
        "Where an attribute keeps its validation rule is not documented: the scan for known ids finds it.",
        "Feature flags and settings flags are switches of the platform and are copied as they are.",
    ),
)

_VARIANTS: tuple[Mapping[str, str], ...] = ({"type": "entity"}, {"type": "relation"})

TAXONOMY = ResourceType(
    name="taxonomy",
    label="Taxonomies",
    icon="FolderTree",
    source_api=SOURCE_API,
    sdk_client=SDK_CLIENT,
    list=_list(
        operation_id="listTaxonomies",
        method="GET",
        path="/v1/entity/taxonomies",
        query={"include_disabled": "true"},
        items="results",
        variants=_VARIANTS,
    ),
    get=_call(operation_id="getTaxonomy", method="GET", path="/v1/entity/taxonomies/{taxonomySlug}"),
    create=_write(
        operation_id="createTaxonomy",
        method="POST",
        path="/v1/entity/taxonomies",
        answer_id="slug",
        client_id=True,
    ),
    update=_write(
        operation_id="updateTaxonomy",
        method="PUT",
        path="/v1/entity/taxonomies/{taxonomySlug}",
        answer_id="slug",
        client_id=True,
    ),
    delete=_call(operation_id="deleteTaxonomy", method="DELETE", path="/v1/entity/taxonomies/{taxonomySlug}"),
    fields=Fields(id="slug", title=("name",), created_at="created_at", updated_at="updated_at"),
    active=ActiveFlag(path="enabled", settable=False),
    identity=Identity.PORTABLE,
    natural_key=NaturalKey(fields=(("slug",),), strong=True),
    strip=("kind", "created_at", "updated_at", "deleted_at", "created_by"),
    system_managed=(
        SystemManaged(path="kind", values=("system",), reason="The platform owns the taxonomy; it exists everywhere."),
        SystemManaged(path="slug", prefix="_system_", reason="The platform owns the taxonomy; it exists everywhere."),
    ),
    sets=("enabled_locations",),
    assumptions=(
        "The list answers for one type per call; the types system and file_collection cannot be asked for at all.",
        "Delete only disables: the slug stays taken, so creating it again may be refused.",
        "No operation counts the classifications of a taxonomy, so taxonomies have no usage number.",
    ),
)

TAXONOMY_CLASSIFICATION = ResourceType(
    name="taxonomy_classification",
    label="Classifications",
    icon="Tags",
    source_api=SOURCE_API,
    sdk_client=SDK_CLIENT,
    list=_list(
        operation_id="taxonomiesClassificationsSearch",
        method="POST",
        path="/v1/entity/taxonomies/classifications:search",
        query={"include_archived": "true"},
        items="results",
        total="hits",
    ),
    get=_call(
        operation_id="getTaxonomyClassification",
        method="GET",
        path="/v2/entity/taxonomies/classifications/{classificationSlug}",
    ),
    create=_write(
        operation_id="createTaxonomyClassification",
        method="POST",
        path="/v2/entity/taxonomies/classifications",
        required=("name", "slug"),
        answer_id="id",
    ),
    update=_write(
        operation_id="updateTaxonomyClassification",
        method="PUT",
        path="/v2/entity/taxonomies/classifications/{classificationSlug}",
        required=("name", "slug"),
        answer_id="id",
    ),
    delete=_call(
        operation_id="deleteTaxonomyClassification",
        method="DELETE",
        path="/v2/entity/taxonomies/classifications/{classificationSlug}",
    ),
    fields=Fields(
        id="id",
        title=("name",),
        created_at="created_at",
        updated_at="updated_at",
        purposes="enabled_purposes",
        manifest="_manifest",
        aliases=("slug",),
    ),
    active=ActiveFlag(path="archived", active=False, inactive=True, settable=False),
    identity=Identity.SERVER,
    natural_key=NaturalKey(fields=(("slug",),), strong=True),
    references=(
        Reference(
            to=("taxonomy",),
            path="$.slug",
            form=Form.SLUG_PREFIX,
            strength=Strength.SOFT,
            evidence="P",
            assumption="Only a full slug, `<taxonomy>:<slug>`, names its taxonomy; bare ones exist too.",
        ),
        Reference(to=("taxonomy_classification",), path="$.parents[]"),
        Reference(to=("taxonomy_classification",), path="$.enabled_purposes[]", form=Form.SLUG, strength=Strength.SOFT),
    ),
    strip=("id", "created_at", "updated_at", "_manifest"),
    keep_target=("_manifest",),
    system_managed=(
        SystemManaged(path="slug", prefix="_system_", reason="The label belongs to a taxonomy that the platform owns."),
    ),
    sets=("parents", "enabled_locations", "enabled_purposes"),
    assumptions=(
        "The list takes no paging parameter: one call is taken to answer with everything.",
        "An ordinary id is made of taxonomy and slug; a purpose has a UUID instead, so ids count as server-assigned.",
        "Update and delete accept the id of a purpose where their path asks for a slug, as get does.",
        "An archived classification is created archived: it has nothing to run.",
        "Locked labels that carry no system prefix cannot be told from others; the API refuses to change them.",
    ),
)

SAVED_VIEW = ResourceType(
    name="saved_view",
    label="Saved views",
    icon="ListFilter",
    source_api=SOURCE_API,
    sdk_client=SDK_CLIENT,
    list=_list(
        operation_id="listSavedViews",
        method="GET",
        path="/v1/entity/views",
        query={"sort": "name:asc"},
        paging="from_size_query",
        page_size=250,
        items="results",
        total="hits",
    ),
    get=_call(operation_id="getSavedView", method="GET", path="/v1/entity/view/{id}"),
    create=_write(
        operation_id="createSavedView",
        method="POST",
        path="/v1/entity/view",
        required=("slug", "name", "ui_config"),
        answer_id="id",
    ),
    update=_write(
        operation_id="patchSavedView",
        method="PATCH",
        path="/v1/entity/view/{id}",
        answer_id="id",
        merge=True,
    ),
    delete=_call(operation_id="deleteSavedView", method="DELETE", path="/v1/entity/view/{id}"),
    fields=Fields(id="id", title=("name",), created_at="created_at", updated_at="updated_at"),
    identity=Identity.SERVER,
    natural_key=NaturalKey(
        fields=(("name", "slug"),), assumption="Views of the same name for the same schemas can exist side by side."
    ),
    references=(
        Reference(to=("schema",), path="$.slug[]", form=Form.SLUG),
        Reference(
            to=("usergroup",),
            path="$.shared_with[]",
            form=Form.PREFIXED_ID,
            prefix="group_",
            strength=Strength.SOFT,
        ),
        _filter_by_purpose("$.ui_config.**"),
        Reference(
            to=("taxonomy_classification", "flow_template"),
            path="$.ui_config.**",
            form=Form.URL,
            strength=Strength.SOFT,
            evidence="I",
            assumption="Filters are free-form: only ids that the organisation knows count as references.",
        ),
    ),
    strip=("id", "org", "created_at", "updated_at", "created_by", "isFavoritedBy"),
    external_strip=("shared_with[]",),
    system_managed=(
        SystemManaged(
            path="created_by.source",
            values=("SYSTEM", "BLUEPRINT"),
            reason="The view comes with the platform or a blueprint, not from a person.",
        ),
    ),
    sets=("slug", "shared_with"),
    usage=UsageMetric(name="favorites", source=UsageSource.LENGTH, path="isFavoritedBy"),
    limited_view=True,
    assumptions=(
        "Whether the list shows other people's private views is not stated: it is taken as the view of whoever asks.",
        "Of `shared_with` only groups are carried over; users and partner users belong to the source organisation.",
    ),
)
