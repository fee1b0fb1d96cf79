"""What the target organisation already has: its own built-ins, and some of what the source has, by name."""

import json
import re
from collections.abc import Callable, Iterable
from random import Random

from sandbox.seed.factory import Payload, Resource

MATCH_SHARE = 0.20
SMALL_GROUP = 12
WITHOUT_NATURAL_KEY = {"access_token"}
ALIASES = {"custom_variable": "key", "taxonomy_classification": "slug"}
TOKEN = re.compile(r"[\w:.-]{4,}")


def dependencies(resources: list[Resource], texts: list[str]) -> list[set[int]]:
    """Find, for every resource, the positions of the others whose identifier or key stands in its payload.

    Args:
        resources: Configurations of one organisation.
        texts: The same payloads as JSON.
    """
    positions: dict[str, int] = {}
    for position, resource in enumerate(resources):
        if resource.is_auxiliary:
            continue
        positions[resource.id] = position
        if resource.type in ALIASES:
            positions[resource.payload[ALIASES[resource.type]]] = position
    found = []
    for position, text in enumerate(texts):
        tokens = set(TOKEN.findall(text))
        tokens |= {token.rstrip(":.").removeprefix("env.").removeprefix("group_") for token in tokens}
        tokens |= {token.partition(":")[0] for token in tokens}
        found.append({positions[token] for token in tokens if token in positions} - {position})
    return found


def choose_matches(
    resources: list[Resource], references: list[set[int]], candidates: Iterable[int], seed: str
) -> set[int]:
    """Choose about a fifth of the candidates so that everything the chosen ones refer to is chosen or no candidate.

    Three quarters of them come in small groups; the rest may be whole journeys with their products and automations,
    where a tenth of all matches is room enough.
    """
    order = sorted(candidates)
    free = set(order)
    wanted = round(len(order) * MATCH_SHARE)
    Random(seed).shuffle(order)
    chosen: set[int] = set()
    for largest, enough in ((SMALL_GROUP, wanted * 3 // 4), (max(SMALL_GROUP, wanted // 10), wanted)):
        for position in order:
            if len(chosen) >= enough:
                break
            group = _closure(position, references, free - chosen, largest)
            if not any(resources[member].type in WITHOUT_NATURAL_KEY for member in group):
                chosen |= group
    return chosen


def _closure(start: int, references: list[set[int]], free: set[int], largest: int) -> set[int]:
    """Collect what a resource reaches among the free ones; nothing when that is more than `largest`."""
    reached, open_ends = {start} & free, [start]
    while open_ends and len(reached) <= largest:
        following = (references[open_ends.pop()] & free) - reached
        reached |= following
        open_ends += following
    return reached if len(reached) <= largest else set()


def localised(resources: list[Resource], equal_every: int | None) -> list[Resource]:
    """Copy resources with content of the target's own.

    Args:
        resources: What the target has under the same natural key.
        equal_every: Leave one in so many as it is; None leaves none.
    """
    result = []
    for number, resource in enumerate(resources):
        payload = json.loads(json.dumps(resource.payload))
        if equal_every is None or number % equal_every:
            DIFFERENCES.get(resource.type, _unchanged)(payload)
        result.append(Resource(resource.type, payload))
    return result


def _unchanged(payload: Payload) -> None:
    """Leave a payload as it is: it has nothing besides its natural key."""


def _set(field: str, value: object) -> Callable[[Payload], None]:
    def change(payload: Payload) -> None:
        payload[field] = value

    return change


def _add_attribute(payload: Payload) -> None:
    slug = payload["slug"]
    own = {"id": f"own_{slug}", "type": "string", "name": "ortsteil", "label": "Ortsteil", "group": "stammdaten"}
    payload["attributes"].append(own)


def _change_value(payload: Payload) -> None:
    match payload["type"]:
        case "String":
            payload["value"] = "https://ziel.example"
        case "SecretString":
            payload["value"] = "SECRET-TARGET"
        case "Number":
            payload["value"] += 1


def _add_grant(payload: Payload) -> None:
    payload["grants"].append({"action": "entity:view", "resource": "account:*"})


def _change_palette(payload: Payload) -> None:
    payload["style"]["palette"]["primary"] = "#991b1b"


def _change_settings(payload: Payload) -> None:
    payload["settings"]["description"] = "Eigene Fassung"


def _change_query(payload: Payload) -> None:
    payload["tiles"][0]["visualisation_config"]["options"]["color"] = "#991b1b"


def _change_columns(payload: Payload) -> None:
    payload["ui_config"]["columns"] = ["name"]


def _change_target(payload: Payload) -> None:
    payload["targets"][0]["allow_failure"] = True


DIFFERENCES: dict[str, Callable[[Payload], None]] = {
    "app": _set("installed_version", "1.3.2"),
    "automation_flow": _set("enabled", False),
    "closing_reason": _set("status", "INACTIVE"),
    "coupon": _set("description", "Eigener Nachlass"),
    "custom_variable": _set("template", "Eigener Text"),
    "dashboard": _change_query,
    "designbuilder": _change_palette,
    "document_template": _set("_tags", ["eigen"]),
    "emailtemplate": _set("subject", "Eigener Betreff"),
    "entity_mapping": _change_target,
    "environment_variable": _change_value,
    "file": _set("_tags", ["eigen"]),
    "flow_template": _set("description", "Eigener Ablauf"),
    "integration": _set("description", "Eigene Anbindung"),
    "journey": _change_settings,
    "kanban": _set("description", "Eigenes Board"),
    "notification_template": _set("action_label", "Ansehen"),
    "portal_config": _set("enabled", False),
    "price": _set("long_description", "Eigener Preis"),
    "product": _set("description", "Eigenes Produkt"),
    "product_recommendation": _set("_tags", ["eigen"]),
    "role": _add_grant,
    "saved_view": _change_columns,
    "schema": _add_attribute,
    "target": _set("description", "Eigene Zielgruppe"),
    "tax": _set("active", False),
    "taxonomy": _set("color", "#991b1b"),
    "taxonomy_classification": _set("color", "#991b1b"),
    "validation_rule": _set("placeholder", "eigener Hinweis"),
    "webhook": _set("url", "https://ziel.example/ereignisse"),
    "workflow_definition": _set("description", "Eigener Ablauf"),
}
"""How the target's configuration differs from the source's of the same natural key; a user group is only its name."""
