"""Journeys, the entity mappings that belong to them, and validation rules."""

from sandbox.seed.factory import Factory, Payload, global_id, public_url
from sandbox.seed.inventory import SharedBase, SolutionPack
from sandbox.seed.vocabulary import JOURNEYS

CONTACT_BLOCK = global_id("block contact")
POWER_BLOCK = global_id("block power")
DATE_BLOCK = global_id("block date")


def journey(
    factory: Factory,
    identifier: str,
    name: str,
    design_id: str,
    steps: list[Payload],
    settings: Payload | None = None,
    **extra: object,
) -> Payload:
    """Build the published record of a journey; `settings` come on top of the usual ones."""
    created, updated = factory.stamps()
    usual: Payload = {
        "designId": design_id,
        "entityId": factory.uuid(),
        "publicToken": f"SECRET-JOURNEY-{identifier}",
        "isActive": True,
        "newMappings": True,
        "runtimeEntities": ["OPPORTUNITY"],
        "accessMode": "PUBLIC",
        "isPublished": True,
        "status": "published",
        "embedOptions": {"mode": "inline", "lang": "de", "topBar": True, "scrollToTop": True},
    }
    return {
        "journeyId": identifier,
        "organizationId": factory.org_id,
        "brandId": "1",
        "name": name,
        "steps": steps,
        "settings": usual | (settings or {}),
        "contextSchema": [],
        "rules": [],
        "logics": [],
        "version": 0,
        "revisions": factory.content.randrange(1, 60),
        "createdAt": created,
        "lastModifiedAt": updated,
        "createdBy": factory.user(),
        "updatedBy": factory.user(),
        "featureFlags": {},
        **extra,
    }


def step(name: str, elements: list[Payload]) -> Payload:
    """Build a step that shows the given blocks one below the other."""
    properties = {element["scope"].rsplit("/", 1)[-1]: {"type": "object"} for element in elements}
    return {
        "name": name,
        "title": name,
        "stepId": global_id(f"step {name}"),
        "showStepper": True,
        "schema": {"type": "object", "properties": properties},
        "uischema": {"type": "JourneyLayout", "elements": elements},
    }


def block(kind: str, name: str, **extra: object) -> Payload:
    """Build a block of a step."""
    return {"id": global_id(f"block {name}"), "type": kind, "scope": f"#/properties/{name}", "options": {}, **extra}


def add_base_journeys(base: SharedBase) -> None:
    """Add one journey that the organisation has locked."""
    steps = [step("Stammdaten", [block("ContactControl", "Kontakt")])]
    design = base.ids("designbuilder")[0]
    locked = journey(base.factory, base.factory.uuid(), "Stammdaten ändern", design, steps, protected=True)
    base.add("journey", locked)


def add_validation_rules(pack: SolutionPack) -> None:
    """Add rules with fixed, environment, context and external values."""
    key = pack.key
    maximum, minimum = ({"source": "environment", "key": key(name)} for name in ("max_leistung", "min_leistung"))
    external = {"source": "external", "app_id": pack.app_id, "hook_id": "netzkapazitaet", "result_id": "frei"}
    adjusted = {
        "source": "context",
        "path": "contract.leistung",
        "adjust": {"type": "percent", "value": minimum, "direction": "increase"},
    }
    when = {"path": "contract.stufe", "operator": "greaterThan", "value": minimum}

    def numeric(operator: str, value: Payload, **extra: object) -> Payload:
        message = "Bitte prüfen Sie den Wert."
        condition = {"id": "c1", "operator": operator, "value": value, "error_message": message, **extra}
        return {"input_type": "number", "conditions": [condition]}

    pattern = {
        "type": "regex",
        "conditions": {"all": [{"fact": "inputValue", "operator": "regexMatch", "value": "^DE[0-9]{11}$"}]},
    }
    rules: tuple[tuple[str, Payload, list[Payload]], ...] = (
        ("Leistung höchstens", numeric("lessThanInclusive", maximum), []),
        ("Leistung im Bereich", numeric("between", {"source": "range", "min": minimum, "max": external}), []),
        ("Netzkapazität frei", numeric("lessThan", external, applies_when=when), []),
        ("Leistung erhöht", numeric("lessThan", adjusted), [{"schema": key("vorgang")}]),
        ("Zählpunkt", pattern, [{"schema": "contract"}]),
        ("Betrag positiv", numeric("greaterThan", {"source": "static", "data": 0}), []),
    )
    for position, (name, rule, contexts) in enumerate(rules):
        created, updated = pack.factory.stamps()
        used_by = [{"type": "journey", "source_id": pack.journey_ids[2]}] if position < 4 else []
        pack.add(
            "validation_rule",
            {
                "_id": pack.factory.uuid(),
                "_organization_id": pack.factory.org_id,
                "_schema_version": "1",
                "title": pack.named(name),
                "type": rule.get("type", "input"),
                "placeholder": "z. B. 12",
                "rule": rule,
                "contexts": contexts,
                "used_by": [*used_by, {"type": "entity", "schema_slug": "contract"}],
                "created_at": created,
                "updated_at": updated,
                "created_by": pack.factory.user(),
                "updated_by": pack.factory.user(),
            },
        )


def add_journeys(pack: SolutionPack) -> None:
    """Add a start page that launches the others, and journeys that each have an entity mapping."""
    design = pack.payloads("designbuilder")[0]
    files, rules = pack.payloads("file"), pack.ids("validation_rule")
    titles = [pack.named(name) for name, _ in JOURNEYS]
    theme = {"logoUrl": public_url(files[0]), "theme": {"palette": design["style"]["palette"]}}
    launcher = block(
        "JourneyLauncherControl",
        "Auswahl",
        options={
            "linkedJourneys": [
                {"id": identifier, "name": title}
                for identifier, title in zip(pack.journey_ids[1:], titles[1:], strict=True)
            ]
        },
    )
    special = _special_blocks(pack)
    for position, identifier in enumerate(pack.journey_ids):
        settings: Payload = {"description": f"{titles[position]} für {pack.region}"}
        extra: Payload = {"design": theme} if position < 2 else {}
        if position == 0:
            steps = [step("Start", [launcher])]
        else:
            steps = [
                step("Auswahl", [special[position % 4], _product_block(pack, position)]),
                step("Kontaktdaten", [block("ContactControl", "Kontakt", id=CONTACT_BLOCK)]),
            ]
            settings["mappingsAutomationId"] = pack.mapping_ids[position]
            extra["contextSchema"] = [
                {
                    "type": pack.key("vorgang") if position == 5 else "contact",
                    "paramKey": "vorgang",
                    "isRequired": False,
                },
                {"type": "text", "paramKey": "kampagne"},
            ]
        if position == 2:
            extra["validationRules"] = {
                POWER_BLOCK: rules[0],
                CONTACT_BLOCK: {"betrag": rules[1], "zaehlpunkt": [rules[4], rules[5]]},
                DATE_BLOCK: [rules[2], rules[3]],
            }
        if position == 3:
            settings |= {"addressSuggestionsFileId": files[6]["_id"], "filePurposes": pack.purposes[:2]}
        if position < 4:
            extra["_manifest"] = pack.manifest
        pack.add(
            "journey",
            journey(pack.factory, identifier, titles[position], design["id"], steps, settings=settings, **extra),
        )


def _special_blocks(pack: SolutionPack) -> list[Payload]:
    files = pack.payloads("file")
    app_options = {
        "appId": pack.app_id,
        "componentId": pack.component_id,
        "bundleURL": f"https://apps.example/{pack.app_id}/v1.4.0/bundle.js",
    }
    power_options = {"environmentKey": pack.key("leistungsstufen")}
    image_options = {
        "imageFileId": files[1]["_id"],
        "imageUrl": public_url(files[1]),
        "caption": f"Netzportal: {{{{ env.{pack.key('netz.url')} }}}}",
    }
    return [
        block("AppBlockControl", "Netzauskunft", options=app_options),
        block("ImageControl", "Bild", options=image_options),
        block("EnvironmentOptionsControl", "Leistung", id=POWER_BLOCK, options=power_options),
        block("MultichoiceControl", "Strasse", options={"optionsSource": {"type": "csv", "fileId": files[6]["_id"]}}),
    ]


def _product_block(pack: SolutionPack, position: int) -> Payload:
    offered = pack.product_ids[position : position + 3]
    return block("ProductSelectionControl", "Produkte", products=offered, options={"highlight": offered[0]})


def mapping(pack: SolutionPack, position: int, name: str, source: Payload, target_schema: str) -> Payload:
    """Build the mapping at a position, which turns its source into an entity of the target schema."""
    factory, key = pack.factory, pack.key
    created, updated = factory.stamps()
    owner = {"type": "user", "org_id": factory.org_id, "user_id": factory.user()}
    attributes: list[Payload] = [
        {"target": "name", "operation": {"_copy": "steps[1].Kontakt.name"}},
        {"target": "_purpose", "operation": {"_append": [pack.purposes[position % 3]], "_uniq": True}},
        {"target": "betreff", "operation": {"_template": f"{{{{{key('anrede')}}}}} {{{{steps[0].Auswahl}}}}"}},
        {"target": "quelle", "operation": {"_set": f"{{{{ env.{key('netz.url')} }}}}/eingang"}},
        {"mode": "set_value", "target": "status", "value": "neu"},
    ]
    contact = {"target": "contact", "mode": "append", "source_filter": {"schema": "contact", "self": False}}
    return {
        "id": pack.mapping_ids[position],
        "org_id": factory.org_id,
        "version": pack.mapping_versions[position],
        "source": source,
        "targets": [
            {
                "id": pack.mapping_target_ids[position],
                "name": name,
                "target_schema": target_schema,
                "target_unique": ["name"],
                "mapping_attributes": attributes,
                "relation_attributes": [contact],
                "linkback_relation_attribute": "mapped_entities",
            }
        ],
        "created_at": created,
        "updated_at": updated,
        "created_by": owner,
        "last_updated_by": owner,
    }


def add_mappings(pack: SolutionPack) -> None:
    """Add one mapping per journey, and one whose source is an entity."""
    for position, (title, schema) in enumerate(JOURNEYS):
        name = f"Vorgang aus {pack.named(title)}"
        if position == 0:
            entity = {"entity_id": pack.factory.uuid(), "entity_schema": pack.key("vorgang")}
            payload = mapping(pack, position, name, {"type": "entity", "config": entity}, "contact")
        else:
            source = {"type": "journey", "config": {"journey_id": pack.journey_ids[position]}}
            payload = mapping(pack, position, name, source, pack.key("vorgang") if position == 5 else schema)
        pack.add("entity_mapping", payload)


def add_submissions(pack: SolutionPack) -> None:
    """Add what end customers have sent in; journeys differ in how much they are used."""
    factory = pack.factory
    for identifier, payload in zip(pack.journey_ids, pack.payloads("journey"), strict=True):
        for number in range(factory.content.randrange(0, 4)):
            attributes = {"journey_id": identifier, "source_id": identifier, "journey_name": payload["name"]}
            submission = factory.entity("submission", f"Einreichung {number + 1}", attributes)
            pack.add("_submission", submission)
