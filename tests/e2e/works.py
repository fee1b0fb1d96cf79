"""An organisation of 200 resources whose sync passes through every phase."""

from __future__ import annotations

from sandbox.hub_client import Json
from sandbox.seed.entities import schema
from sandbox.seed.factory import Factory, relation
from sandbox.seed.journeys import block, journey, step
from sandbox.seed.portals import design
from sandbox.seed.pricing import product, simple_price, tax
from sandbox.seed.workflows import action, automation, journey_trigger

#: A journey, its mapping and its automation name each other all the way round.
TRIADS = 26
PRICES = 60
PRODUCTS = 59
SIZE = 200


def make_works(source_id: str) -> list[tuple[str, Json]]:
    """Return a tax, prices and products, products in pairs that sell each other, and triads with one design.

    A product of a pair and a journey are completed in phase_b; a mapping whose automation is not there yet is written
    again in phase_a5; what was created without a reference and can be inactive is activated last.
    """
    factory = Factory(source_id, source_id, "works")
    vat = tax(factory, "VAT", "DE", "Deutschland", 19, "Steuer", [])
    prices = [simple_price(factory, f"Preis {n}", 100 + n, vat["_id"], recurring=False) for n in range(PRICES)]
    products = [product(factory, f"Produkt {n}", [prices[n % PRICES]["_id"]]) for n in range(PRODUCTS)]
    for one, other in zip(products[::4], products[1::4], strict=True):
        one["cross_sellable_products"] = relation(other["_id"])
        other["cross_sellable_products"] = relation(one["_id"])
    look = design(factory, "Design", None)
    order = schema(factory, "opportunity", "Opportunity", "Opportunities", [])
    resources = [("tax", vat), ("designbuilder", look), ("schema", order)]
    resources += [("price", one) for one in prices] + [("product", one) for one in products]
    for n in range(TRIADS):
        resources += _triad(factory, n, look["id"], products[n]["_id"])
    assert len(resources) == SIZE
    return resources


def _triad(factory: Factory, n: int, design_id: str, product_id: str) -> list[tuple[str, Json]]:
    journey_id, mapping_id, target_id = factory.uuid(), factory.uuid(), factory.uuid()
    # With a digit, so that nobody takes it for a word.
    automation_id = f"{factory.short_id()[:7]}7"
    offer = block("ProductSelectionControl", "Produkte", products=[product_id])
    settings = {"mappingsAutomationId": mapping_id}
    shown = journey(factory, journey_id, f"Journey {n}", design_id, [step("Angebot", [offer])], settings=settings)
    mapped = {"config_id": mapping_id, "target_id": target_id, "version": 3}
    started = automation(
        factory,
        automation_id,
        f"Automation {n}",
        journey_trigger(journey_id),
        [action("map-entity", "Anlegen", {"mapping_config": mapped, "target_schema": "opportunity"})],
    )
    mapping = _mapping(factory, mapping_id, target_id, journey_id, automation_id)
    return [("journey", shown), ("entity_mapping", mapping), ("automation_flow", started)]


def _mapping(factory: Factory, mapping_id: str, target_id: str, journey_id: str, automation_id: str) -> Json:
    created, updated = factory.stamps()
    owner = {"type": "user", "org_id": factory.org_id, "user_id": factory.user()}
    return {
        "id": mapping_id,
        "org_id": factory.org_id,
        "version": 3,
        "source": {"type": "journey", "config": {"journey_id": journey_id}},
        "targets": [
            {
                "id": target_id,
                "name": "Vorgang",
                "target_schema": "opportunity",
                "target_unique": ["name"],
                "mapping_attributes": [
                    {"target": "name", "operation": {"_copy": "steps[0].Produkte"}},
                    {"target": "started_by", "operation": {"_set": automation_id}},
                ],
                "relation_attributes": [],
                "linkback_relation_attribute": "mapped_entities",
            }
        ],
        "created_at": created,
        "updated_at": updated,
        "created_by": owner,
        "last_updated_by": owner,
    }
