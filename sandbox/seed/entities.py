"""Schemas, taxonomies, classifications, purposes and targets."""

from sandbox.seed.factory import Factory, Payload, global_id
from sandbox.seed.inventory import SharedBase, SolutionPack
from sandbox.seed.vocabulary import LABELS, PURPOSES, TARGETS

BUILT_IN_SCHEMAS = (
    ("contact", "Kontakt", "Kontakte"),
    ("account", "Firma", "Firmen"),
    ("opportunity", "Chance", "Chancen"),
    ("order", "Auftrag", "Aufträge"),
    ("contract", "Vertrag", "Verträge"),
    ("submission", "Einreichung", "Einreichungen"),
    ("product", "Produkt", "Produkte"),
    ("price", "Preis", "Preise"),
    ("tax", "Steuer", "Steuern"),
    ("coupon", "Gutschein", "Gutscheine"),
    ("file", "Datei", "Dateien"),
    ("email_template", "E-Mail-Vorlage", "E-Mail-Vorlagen"),
    ("notification_template", "Benachrichtigung", "Benachrichtigungen"),
    ("target", "Zielgruppe", "Zielgruppen"),
    ("product_recommendation", "Produktempfehlung", "Produktempfehlungen"),
)
RELATED_SCHEMAS = {"contact": ["account"], "opportunity": ["contact", "order"], "contract": ["contact", "account"]}


def schema(factory: Factory, slug: str, name: str, plural: str, attributes: list[Payload], **extra: object) -> Payload:
    """Build the latest version of an entity schema."""
    created, updated = factory.stamps()
    return {
        "id": factory.uuid(),
        "slug": slug,
        "version": factory.content.randrange(1, 30),
        "name": name,
        "plural": plural,
        "published": True,
        "icon": "bolt",
        "title_template": "{{name}}",
        "created_at": created,
        "updated_at": updated,
        "latest": True,
        "source": {"id": factory.user(), "type": "user"},
        "capabilities": [],
        "group_settings": [{"id": "stammdaten", "label": "Stammdaten", "order": 1, "expanded": True}],
        "attributes": [attribute("string", "name", "Name", required=True), *attributes],
        "ui_config": {"table_view": {"view_type": "default", "row_actions": ["delete"], "bulk_actions": []}},
        **extra,
    }


def attribute(kind: str, name: str, label: str, **extra: object) -> Payload:
    """Build a schema attribute of the given kind."""
    return {
        "id": global_id(f"attribute {name}"),
        "type": kind,
        "name": name,
        "label": label,
        "group": "stammdaten",
        **extra,
    }


def classification(factory: Factory, taxonomy: str, slug: str, name: str, **extra: object) -> Payload:
    """Build a classification; those of the taxonomy `purpose` have a UUID of their own, others their full slug."""
    created, updated = factory.stamps()
    full_slug = f"{taxonomy}:{slug}"
    return {
        "id": factory.uuid() if taxonomy == "purpose" else full_slug,
        "slug": full_slug,
        "name": name,
        "parents": [],
        "color": factory.content.choice(["#0a7d5a", "#d97706", "#2563eb"]),
        "created_at": created,
        "updated_at": updated,
        "archived": False,
        **extra,
    }


def taxonomy(factory: Factory, slug: str, name: str, plural: str, kind: str, taxonomy_type: str) -> Payload:
    """Build a taxonomy."""
    created, updated = factory.stamps()
    return {
        "slug": slug,
        "name": name,
        "plural": plural,
        "kind": kind,
        "type": taxonomy_type,
        "icon": "label",
        "color": "#475569",
        "created_at": created,
        "updated_at": updated,
        "created_by": factory.user(),
        "enabled": True,
        "order": 1,
        "enabled_locations": ["contact", "opportunity", "product"],
    }


def add_base_entities(base: SharedBase) -> None:
    """Add the built-in schemas, the system taxonomy of purposes and one user-defined relation taxonomy."""
    factory = base.factory
    base.add("taxonomy", taxonomy(factory, "purpose", "Zweck", "Zwecke", "system", "system"))
    base.add(
        "taxonomy", taxonomy(factory, "beziehungsart", "Beziehungsart", "Beziehungsarten", "user_defined", "relation")
    )
    retired = taxonomy(factory, "altbestand", "Altbestand", "Altbestände", "user_defined", "entity")
    base.add("taxonomy", retired | {"enabled": False})
    base.add("taxonomy_classification", classification(factory, "purpose", "Privatkunde", "Privatkunde"))
    base.add("taxonomy_classification", classification(factory, "beziehungsart", "eigentuemer", "Eigentümer:in"))
    for slug, name, plural in BUILT_IN_SCHEMAS:
        attributes = [attribute("tags", "_tags", "Schlagworte", protected=True)]
        attributes += [
            attribute(
                "relation",
                f"{related}_relation",
                related.capitalize(),
                relation_type="has_many",
                allowedSchemas=[related],
                reverse_attributes={related: slug},
            )
            for related in RELATED_SCHEMAS.get(slug, [])
        ]
        base.add("schema", schema(factory, slug, name, plural, attributes, blueprint=global_id(f"schema {slug}")))


def add_taxonomy(pack: SolutionPack) -> None:
    """Add the pack's purposes and a tree of labels, each label the parent of the next."""
    factory = pack.factory
    for name in PURPOSES:
        title = f"{name} {pack.label}"
        slug = f"{name}-{pack.slug}".lower()
        pack.add("taxonomy_classification", classification(factory, "purpose", slug, title, _manifest=pack.manifest))
    slug = pack.key("objektart")
    kind = "entity" if pack.number % 2 == 0 else "relation"
    pack.add(
        "taxonomy", taxonomy(factory, slug, pack.named("Objektart"), pack.named("Objektarten"), "user_defined", kind)
    )
    parents: list[str] = []
    for name in LABELS:
        purpose_slug = pack.payloads("taxonomy_classification")[0]["slug"]
        label = classification(
            factory,
            slug,
            name.lower(),
            name,
            parents=parents,
            enabled_purposes=[purpose_slug],
            starred=name == LABELS[0],
        )
        label["archived"] = name == LABELS[-1]
        pack.add("taxonomy_classification", label)
        parents = [label["id"]]


def add_schemas(pack: SolutionPack) -> None:
    """Add custom schemas: one for the case at hand, one for the site it is about, one that is only a draft."""
    factory, purposes = pack.factory, pack.purposes
    site = pack.key("standort")
    pack.add(
        "schema", schema(factory, site, pack.named("Standort"), pack.named("Standorte"), [], _manifest=pack.manifest)
    )
    draft = schema(factory, pack.key("entwurf"), pack.named("Entwurf"), pack.named("Entwürfe"), [], draft=True)
    pack.add("schema", draft | {"published": False})
    case_attributes = [
        attribute(
            "relation",
            "standort",
            "Standort",
            relation_type="has_one",
            allowedSchemas=["contact", site],
            reverse_attributes={site: "vorgang"},
            _purpose=[purposes[0]],
            _manifest=pack.manifest,
        ),
        attribute("select", "status", "Status", options=["neu", "geprüft", "abgeschlossen"]),
        attribute("number", "leistung_kw", "Leistung in kW", format="0.0"),
    ]
    pack.add(
        "schema",
        schema(
            factory,
            pack.key("vorgang"),
            pack.named("Vorgang"),
            pack.named("Vorgänge"),
            case_attributes,
            _purpose=[purposes[1]],
            group_headlines=[
                {
                    "id": global_id("headline technik"),
                    "name": "technik",
                    "label": "Technik",
                    "group": "stammdaten",
                    "type": "headline",
                    "_purpose": [purposes[2]],
                }
            ],
            group_settings=[{"id": "stammdaten", "label": "Stammdaten", "order": 1, "_purpose": [purposes[0]]}],
            capabilities=[
                {
                    "id": global_id("capability abschlag"),
                    "name": "adjust_installment",
                    "title": "Abschlag anpassen",
                    "adjust_installment": {"journey_id": pack.journey_ids[5]},
                },
                {
                    "id": global_id("capability app"),
                    "name": "custom_tab",
                    "title": "Netzauskunft",
                    "app_id": pack.app_id,
                    "schemas": [{"schema": site}],
                    "_purpose": [purposes[0]],
                },
            ],
        ),
    )


def add_targets(pack: SolutionPack) -> None:
    """Add audiences whose free-form filters name purposes and labels."""
    factory, purposes = pack.factory, pack.purposes
    for position, name in enumerate(TARGETS):
        title = pack.named(name)
        attributes = {
            "name": title,
            "description": f"{name} im Gebiet {pack.region}",
            "entity_schema": pack.key("vorgang") if position == 0 else "contact",
            "entity_filters": {
                "filter": {
                    "combination": "AND",
                    "items": [
                        {"key": "_purpose", "operator": "IS_ONE_OF", "value": [purposes[position % 3]]},
                        {"key": "_tags", "operator": "CONTAINS", "value": f"{pack.key('objektart')}:hochspannung"},
                    ],
                }
            },
            "_purpose": [purposes[position % 3]],
        }
        pack.add("target", factory.entity("target", title, attributes, pack.manifest if position % 2 else None))
