"""Taxes, prices, products, coupons and product recommendations."""

from sandbox.seed.factory import Factory, Payload, relation
from sandbox.seed.inventory import SharedBase, SolutionPack
from sandbox.seed.vocabulary import COUPONS, LONG_TEXT, PRICES, PRODUCTS

STATUTORY_TAXES = (
    ("DE", "Deutschland", 19, "Regelsteuersatz"),
    ("DE", "Deutschland", 7, "Ermäßigt"),
    ("AT", "Österreich", 20, "Normalsteuersatz"),
)


def tax(
    factory: Factory, kind: str, region: str, region_label: str, rate: float, description: str, manifest: list[str]
) -> Payload:
    """Build a tax."""
    attributes = {
        "type": kind,
        "region": region,
        "region_label": region_label,
        "rate": rate,
        "description": description,
        "active": True,
    }
    return factory.entity("tax", f"{description} ({rate}%)", attributes, manifest)


def simple_price(
    factory: Factory, description: str, cents: int, tax_id: str, recurring: bool, **extra: object
) -> Payload:
    """Build a price per unit, in cents."""
    attributes = {
        "active": True,
        "is_composite_price": False,
        "pricing_model": "per_unit",
        "description": description,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": cents,
        "unit_amount_decimal": f"{cents / 100:.2f}",
        "unit_amount_currency": "EUR",
        "is_tax_inclusive": True,
        "tax": relation(tax_id),
        "price_display_in_journeys": "show_price",
        "variable_price": False,
        **({"billing_period": "monthly", "unit": "kwh"} if recurring else {}),
        **extra,
    }
    return factory.entity("price", description, attributes)


def product(
    factory: Factory, name: str, prices: list[str], manifest: list[str] | None = None, **extra: object
) -> Payload:
    """Build a product that is sold at the given prices."""
    attributes = {"name": name, "type": "product", "active": True, "price_options": relation(*prices), **extra}
    return factory.entity("product", name, attributes, manifest)


def coupon(factory: Factory, name: str, prices: list[str], **extra: object) -> Payload:
    """Build a coupon in percent of the given prices."""
    attributes = {
        "name": name,
        "description": f"Nachlass: {name}",
        "type": "percentage",
        "category": "discount",
        "percentage_value": str(factory.content.randrange(5, 30)),
        "active": True,
        "prices": relation(*prices),
        **extra,
    }
    return factory.entity("coupon", name, attributes)


def add_base_pricing(base: SharedBase) -> None:
    """Add the statutory taxes."""
    for region, label, rate, description in STATUTORY_TAXES:
        base.add("tax", tax(base.factory, "VAT", region, label, rate, description, []))


def add_prices(pack: SolutionPack) -> None:
    """Add two local levies, three rounds of simple prices and composite prices made of them."""
    factory = pack.factory
    for position, name in enumerate(("Konzessionsabgabe", "Kommunalabgabe")):
        rate = round(1 + position + pack.number / 100, 2)
        levy = tax(factory, "Custom", pack.slug, pack.region, rate, pack.named(name), pack.manifest)
        pack.add("tax", levy | {"_purpose": [pack.purposes[position]]})
    taxes = [*pack.base.ids("tax"), *pack.ids("tax")]
    for tier in ("S", "M", "L"):
        for position, name in enumerate(PRICES):
            description = f"{name} {tier} – {pack.label}"
            extra: Payload = {"_purpose": [pack.purposes[position % 3]]} if tier == "S" else {}
            if name == "Rabattstaffel":
                extra |= {
                    "pricing_model": "tiered_volume",
                    "tiers": [
                        {"up_to": 1000, "unit_amount": 30, "unit_amount_decimal": "0.30"},
                        {"up_to": None, "unit_amount": 25, "unit_amount_decimal": "0.25"},
                    ],
                }
            cents = factory.content.randrange(199, 99_900)
            pack.add(
                "price",
                simple_price(
                    factory, description, cents, taxes[position % len(taxes)], recurring=position < 2, **extra
                ),
            )
    parts = pack.ids("price")
    for name, components, described in (("Komplettpaket", parts[:3], 2), ("Rundumservice", parts[3:6], 7)):
        title = pack.named(name)
        items = [
            {"entity_id": component, "quantity": 1, "_tags": [], "_product_id": pack.product_ids[described + offset]}
            for offset, component in enumerate(components)
        ]
        attributes = {
            "active": True,
            "is_composite_price": True,
            "pricing_model": "per_unit",
            "type": "one_time",
            "unit_amount_decimal": "0.00",
            "description": title,
            "unit_amount_currency": "EUR",
            "price_components": {"$relation": items},
        }
        pack.add("price", factory.entity("price", title, attributes, pack.manifest))


def add_products(pack: SolutionPack) -> None:
    """Add products that sell each other; two relate to images and downloads, the last one embeds them."""
    factory, prices, files = pack.factory, pack.ids("price"), pack.payloads("file")
    composite = prices[-2:]
    for position, name in enumerate(PRODUCTS):
        offered = [prices[position % 18], prices[(position + 6) % 18]]
        if position in (2, 7):
            offered.append(composite[position // 5])
        following = pack.product_ids[(position + 1) % (len(PRODUCTS) - 1)]
        extra: Payload = {
            "description": LONG_TEXT if position == 2 else f"{name}: 太陽光発電 · خدمة · {pack.label}",
            "categories": ["power"],
            "feature": [{"_tags": [], "feature": "Montage durch Fachbetrieb"}],
            "cross_sellable_products": relation(following),
            "_purpose": [pack.purposes[position % 3]],
        }
        if position % 2 == 0:
            extra["code"] = f"{pack.slug.upper()}-{position:02d}"
        if position < 2:
            extra["product_images"] = relation(files[1]["_id"])
            extra["product_downloads"] = relation(files[2]["_id"], files[3]["_id"])
        if position == len(PRODUCTS) - 1:
            extra["_availability_files"] = [_embedded_file(files[7])]
            extra["product_images"] = [_embedded_file(files[1])]
            extra["product_downloads"] = [_embedded_file(files[2])]
            extra["cross_sellable_products"] = relation(_related_product(pack))
        payload = product(factory, pack.named(name), offered, pack.manifest if position < 4 else None, **extra)
        payload["_id"] = pack.product_ids[position]
        pack.add("product", payload)


def _related_product(pack: SolutionPack) -> str:
    """Name a product of the pack before, which makes a chain through all packs."""
    return (pack.previous or pack).product_ids[0]


def _embedded_file(file: Payload) -> Payload:
    kept = ("_id", "filename", "mime_type", "versions", "_schema", "_org", "_created_at", "_updated_at", "_title")
    return {key: file[key] for key in kept} | {"$relation": {"entity_id": file["_id"], "_tags": []}}


def add_offers(pack: SolutionPack) -> None:
    """Add coupons, some with promo codes, and recommendations for targets."""
    factory, prices, products = pack.factory, pack.ids("price"), pack.product_ids
    for position, name in enumerate(COUPONS):
        extra: Payload = {"_purpose": [pack.purposes[0]]}
        if position < 2:
            code_id = factory.nanoid()
            extra |= {
                "requires_promo_code": True,
                "promo_codes": [
                    {
                        "id": code_id,
                        "code": f"SECRET-PROMO-{pack.slug.upper()}-{position}",
                        "has_usage_limit": True,
                        "usage_limit": 100,
                    }
                ],
                "promo_code_usage": {code_id: factory.content.randrange(0, 90)},
            }
        pack.add("coupon", coupon(factory, pack.named(name), [prices[position], prices[position + 6]], **extra))
    for position, kind in enumerate(("change", "cross-sell", "up-sell", "cross-sell", "up-sell")):
        attributes = {
            "type": kind,
            "source_product": relation(products[position]),
            "source_price": relation(prices[position]),
            "offers": [
                {
                    "target_id": pack.ids("target")[position % 4],
                    "items": [{"product_id": products[position + 5], "price_id": prices[position + 7]}],
                }
            ],
            "_purpose": [pack.purposes[position % 3]],
        }
        title = pack.named(f"Empfehlung {position + 1}")
        pack.add("product_recommendation", factory.entity("product_recommendation", title, attributes))
