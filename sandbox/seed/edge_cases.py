"""Resources that cannot be synced: names that clash on the target, references to what does not exist."""

from sandbox.seed.content import email_template
from sandbox.seed.factory import Payload, Resource, relation
from sandbox.seed.integrations import webhook
from sandbox.seed.inventory import SharedBase
from sandbox.seed.journeys import block, journey, step
from sandbox.seed.portals import design
from sandbox.seed.pricing import coupon, product, simple_price
from sandbox.seed.views import dashboard
from sandbox.seed.workflows import (
    action,
    automation,
    closing_reason,
    entity_trigger,
    flow_template,
    task,
    workflow_definition,
)


def clashing(base: SharedBase, edition: int) -> list[Resource]:
    """Build one edition of the resources titled `Clash …`; all editions share their natural keys."""
    factory = base.factory
    standard = base.ids("designbuilder")[0]
    text = f"Fassung {edition}"
    price = simple_price(factory, "Clash Preis", 4_990, base.ids("tax")[0], recurring=False, long_description=text)
    steps = [step("Kontakt", [block("ContactControl", "Kontakt")])]
    tasks = [task(1, text)]
    return [
        Resource("price", price),
        Resource("product", product(factory, "Clash Produkt", [price["_id"]], description=text)),
        Resource("coupon", coupon(factory, "Clash Gutschein", [price["_id"]], description=text)),
        Resource("emailtemplate", email_template(factory, "Clash E-Mail", subject=text)),
        Resource("closing_reason", closing_reason(factory, "Clash Grund")),
        Resource(
            "webhook", webhook(factory, "Clash Webhook", "order.created", url=f"https://empfang.example/{edition}")
        ),
        Resource("dashboard", dashboard(factory, "Clash Übersicht", ["contact", "order"][: edition + 1])),
        Resource(
            "flow_template",
            flow_template(
                factory,
                factory.short_id(),
                "Clash Ablauf",
                {"type": "manual", "entity_schema": "contact"},
                tasks,
            ),
        ),
        Resource("designbuilder", design(factory, "Clash Design", None)),
        Resource(
            "journey",
            journey(factory, factory.uuid(), "Clash Journey", standard, steps, settings={"description": text}),
        ),
    ]


def broken(base: SharedBase) -> list[Resource]:
    """Build the resources titled `Broken …`, each with a hard reference to something that does not exist."""
    factory = base.factory
    mail = {"email_template_id": factory.uuid(), "language_code": "de"}
    steps = [step("Kontakt", [block("ContactControl", "Kontakt")])]
    missing_item = {"items": [{"product_id": factory.uuid(), "price_id": factory.uuid()}]}
    recommendation: Payload = {
        "type": "cross-sell",
        "source_product": relation(factory.uuid()),
        "offers": [missing_item],
    }
    linear = [
        {
            "id": "st1",
            "name": "Prüfen",
            "order": 1,
            "type": "STEP",
            "executionType": "AUTOMATION",
            "automationConfig": {"flowId": factory.short_id()},
        }
    ]
    started = [task(1, "Prüfen", "AUTOMATION", automation_config={"flow_id": factory.short_id()})]
    return [
        Resource(
            "automation_flow",
            automation(
                factory,
                factory.short_id(),
                "Broken Automation",
                entity_trigger("order"),
                [
                    action("send-email", "Senden", mail),
                    action("trigger-webhook", "Melden", {"target_webhook_id": factory.short_uuid()}),
                ],
            ),
        ),
        Resource("product", product(factory, "Broken Produkt", [factory.uuid()])),
        Resource("price", simple_price(factory, "Broken Preis", 1_290, factory.uuid(), recurring=False)),
        Resource("coupon", coupon(factory, "Broken Gutschein", [factory.uuid()])),
        Resource("emailtemplate", email_template(factory, "Broken E-Mail", file=relation(factory.uuid()))),
        Resource("journey", journey(factory, factory.uuid(), "Broken Journey", factory.uuid(), steps)),
        Resource(
            "flow_template",
            flow_template(
                factory,
                factory.short_id(),
                "Broken Ablauf",
                {"type": "manual"},
                started,
                closing_reasons=[{"id": factory.nanoid()}],
            ),
        ),
        Resource(
            "workflow_definition",
            workflow_definition(
                factory, factory.short_id(), "Broken Workflow", linear, closingReasons=[{"id": factory.nanoid()}]
            ),
        ),
        Resource(
            "product_recommendation", factory.entity("product_recommendation", "Broken Empfehlung", recommendation)
        ),
    ]
