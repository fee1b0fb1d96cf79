"""What an organisation is put together from: one shared base and any number of solution packs."""

from collections import defaultdict

from sandbox.seed.factory import Factory, Payload, Resource, global_id
from sandbox.seed.vocabulary import PRODUCT_LINES, REGIONS


class Inventory:
    """An ordered collection of resources that remembers the identifiers per type."""

    def __init__(self, factory: Factory) -> None:
        self.factory = factory
        self.resources: list[Resource] = []
        self._by_type: dict[str, list[Payload]] = defaultdict(list)

    def add(self, resource_type: str, payload: Payload) -> Payload:
        """Append a resource and hand its payload back, so that others can refer to it."""
        self.resources.append(Resource(resource_type, payload))
        self._by_type[resource_type].append(payload)
        return payload

    def payloads(self, resource_type: str) -> list[Payload]:
        """Give the payloads of one type in the order in which they were added."""
        return self._by_type[resource_type]

    def ids(self, resource_type: str) -> list[str]:
        """Give the identifiers of one type in the order in which they were added."""
        return [Resource(resource_type, payload).id for payload in self._by_type[resource_type]]


class SharedBase(Inventory):
    """What the whole organisation shares: built-in schemas, root roles, purposes, the default design."""


class SolutionPack(Inventory):
    """One product line in one region, with everything that sells, bills and runs it.

    Identifiers of types that take part in a cycle are reserved before anything is built, so that both ends can name
    each other.
    """

    def __init__(self, base: SharedBase, number: int, previous: "SolutionPack | None" = None) -> None:
        super().__init__(base.factory)
        self.base = base
        self.previous = previous
        self.number = number
        line, line_slug = PRODUCT_LINES[number % len(PRODUCT_LINES)]
        region, region_slug = REGIONS[number // len(PRODUCT_LINES) % len(REGIONS)]
        edition = number // (len(PRODUCT_LINES) * len(REGIONS)) + 1
        self.label = f"{line} {region}" if edition == 1 else f"{line} {region} {edition}"
        self.slug = f"{line_slug}_{region_slug}" if edition == 1 else f"{line_slug}_{region_slug}_{edition}"
        self.region = region
        factory = self.factory
        self.blueprint = factory.uuid()
        self.app_id = global_id(f"app {self.slug}")
        self.component_id = global_id(f"component {self.slug}")
        self.journey_ids = [factory.uuid() for _ in range(8)]
        self.mapping_ids = [factory.uuid() for _ in range(8)]
        self.mapping_target_ids = [factory.uuid() for _ in range(8)]
        self.mapping_versions = [factory.content.randrange(1, 40) for _ in range(8)]
        self.trigger_automation_ids = [factory.short_id() for _ in range(8)]
        self.task_automation_ids = [factory.short_id() for _ in range(4)]
        self.flow_template_ids = [factory.short_id() for _ in range(3)]
        self.workflow_ids = [factory.short_id() for _ in range(2)]
        self.product_ids = [factory.uuid() for _ in range(14)]
        self.integration_ids = [factory.uuid() for _ in range(2)]
        self.portal_id = factory.uuid()

    def named(self, title: str) -> str:
        """Make a title that no other pack uses."""
        return f"{title} – {self.label}"

    def key(self, name: str) -> str:
        """Make a key or slug that no other pack uses."""
        return f"{self.slug}_{name}"

    @property
    def purposes(self) -> list[str]:
        """Identifiers of the pack's purposes."""
        return [payload["id"] for payload in self.payloads("taxonomy_classification") if _is_purpose(payload)]

    @property
    def manifest(self) -> list[str]:
        """The blueprint that a part of the pack was installed from."""
        return [self.blueprint]


def _is_purpose(classification: Payload) -> bool:
    return str(classification["slug"]).startswith("purpose:")
