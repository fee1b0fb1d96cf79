"""Random configs of the real catalogue: a body that the API takes, references planted where the entry declares them.

Where a reference stands and how it names its referent is read from the catalogue, so that a new type or path takes part
by being declared. What a sync should make of it is not decided here.
"""

from __future__ import annotations

import json
import random
import string
import uuid
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from sandbox.server.files import BUCKET
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.paths import parse_path
from shared.domain.resource_type import Form, Identity, Reference, ResourceKey, ResourceType, Strength
from tests.sandbox.samples import SAMPLES

Payload = dict[str, Any]

WORDS = ("Solar", "Strom", "Gas", "Wärme", "Netz", "Umzug", "Kündigung", "Zähler", "Tarif", "Beleg", "Prüfung", "Start")
SLUGS = ("contact", "order", "meter_reading", "vorgang_42")
ROLES = ("clerk", "agent", "lead_2")
#: Types whose configs are made of drawn bodies; tokens are never written by a job.
TYPES = tuple(name for name in RESOURCE_TYPES if name != "access_token")
#: What a person calls a config, where the sample body has it.
TITLES = ("name", "title", "flow_name", "style_name", "filename", "description")
FREE_TEXT = "remarks"
FREE_KEYS = "labels"
FREE_JSON = "document"


def odd_value(drawn: random.Random) -> str:
    """Draw what stands where an id should, and can be none."""
    return drawn.choice(("x" * 300, "ä" * 200, f"no\x07id {drawn.randrange(100)}"))


def short_id(drawn: random.Random) -> str:
    """One in four has no digit: eight small letters, like a word."""
    return "".join(drawn.choices(string.ascii_lowercase, k=7)) + drawn.choice(string.ascii_lowercase[:2] + "0123456")


def new_id(drawn: random.Random, resource_type: ResourceType, org_id: str, number: int) -> str:
    """Draw an id of the form that the API of a type assigns, or that a person chooses."""
    match resource_type.name:
        case "workflow_definition" | "flow_template":
            return short_id(drawn)
        case "closing_reason":
            return "".join(drawn.choices(string.ascii_letters + string.digits + "_-", k=20)) + "7"
        case "webhook":
            return "".join(drawn.choices(string.ascii_letters + "23456789", k=22))
        case "schema":
            return SLUGS[number % len(SLUGS)]
        case "taxonomy":
            return ("region", "sparte", "purpose")[number % 3]
        case "role":
            return f"{org_id}:{ROLES[number % len(ROLES)]}"
        case "environment_variable":
            return ("erp.url", "netz.url", "crm_limit1")[number % 3]
        case "taxonomy_classification" if number % 2:
            return f"region:{('north', 'south', 'east')[number % 3]}"
        case "app":
            return str(uuid.uuid5(uuid.NAMESPACE_OID, f"app {number % 2}"))
    return str(uuid.UUID(int=drawn.getrandbits(128), version=4))


def body_of(drawn: random.Random, resource_type: ResourceType, org_id: str, config_id: str, number: int) -> Payload:
    """Draw a config as its API holds it, without references."""
    body = deepcopy(SAMPLES[resource_type.name].body)
    title = title_field(body)
    if title is not None:
        body[title] = f"{drawn.choice(WORDS)} {drawn.randrange(4)}"
    body[resource_type.fields.id] = config_id
    _make_whole(drawn, resource_type, org_id, body, number)
    if can_hold_more(resource_type) and drawn.random() < 0.5:
        body[FREE_TEXT] = f"{drawn.choice(WORDS)} ä {drawn.randrange(100)}"
    return body


def _make_whole(drawn: random.Random, resource_type: ResourceType, org_id: str, body: Payload, number: int) -> None:
    """Fill in what the sample leaves out, in place."""
    config_id = body[resource_type.fields.id]
    match resource_type.name:
        case "role":
            slug = config_id.partition(":")[2]
            body |= {"slug": slug, "organization_id": org_id}
            body["grants"] = [{"action": f"entity:{one}", "resource": "contact:*"} for one in ("view", "edit")]
        case "environment_variable":
            body.pop("value", None)
        case "custom_variable":
            body["key"] = ("greeting_1", "anrede", "footer_text", "signatur2")[number % 4]
        case "taxonomy_classification":
            # A purpose has an id of its own, every other label is known by its slug.
            body["slug"] = config_id if ":" in config_id else f"purpose:p{number}"
        case "product":
            body["code"] = f"PRD-{1000 + number % 4}"
        case "file" | "document_template":
            del body["custom_download_url"]
            key = f"{org_id}/{config_id}/{body['filename']}"
            body |= {
                "etag": f"{number:032x}",
                "s3ref": {"bucket": BUCKET, "key": key},
                "public_url": f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/{quote(key)}",
                "mime_type": "application/pdf",
            }
        case "app":
            body.clear()
            body |= {"app_id": config_id, "name": "Maps", "installed_version": "1.0.0", "enabled": True}
            body |= {"components": [{"id": "c1", "options": [{"key": "url", "type": "text"}]}]}
            body["option_values"] = [{"component_id": "c1", "options": [{"key": "url", "value": "https://a.example"}]}]
        case "entity_mapping":
            body["source"] = {"type": "journey", "config": {}}
            body["targets"] = [{"id": f"t-{number}", "target_schema": "contact", "mapping_attributes": []}]
        case "webhook":
            body["eventName"] = drawn.choice(("order.created", "contact.updated"))
        case "tax":
            body |= {"rate": drawn.randrange(20), "description": f"{drawn.choice(WORDS)} {number}"}
        case "portal_config":
            body.pop("domain")


def title_field(payload: Mapping[str, Any]) -> str | None:
    """Return the property by which a person calls a config."""
    return next((name for name in TITLES if isinstance(payload.get(name), str)), None)


def can_hold_more(resource_type: ResourceType) -> bool:
    """Tell whether a property of our own making is sent: an installation has only values."""
    return not resource_type.keep_only and resource_type.name != "environment_variable"


class Referent:
    """What a reference may say of a config: its id and the fields by which others name it."""

    def __init__(self, key: ResourceKey, payload: Payload) -> None:
        self.key = key
        self.payload = payload

    def identifier(self, reference: Reference) -> str:
        payload = self.payload
        match reference.form:
            case Form.CONTENT:
                return str(payload.get("s3ref", {}).get("key", self.key.id))
            case Form.NAME:
                return str(payload.get("slug", self.key.id))
            case Form.HANDLEBARS:
                return str(payload.get("key", self.key.id))
            case Form.SLUG | Form.SLUG_PREFIX | Form.KEY if self.key.type == "taxonomy_classification":
                return str(payload.get("slug", self.key.id))
        return self.key.id


def plantable(resource_type: ResourceType) -> list[Reference]:
    """Return the references of a type that are copied and that a config may hold."""
    return [
        reference
        for reference in resource_type.references
        if reference.strength is not Strength.BACK_REFERENCE
        and "access_token" not in reference.to
        # A slug that says its own taxonomy, the secrets of a portal and what the app itself says are no free choice.
        and reference.path not in ("$.slug", "$.role")
        and not reference.path.startswith("$.identity_providers")
    ]


def plant(drawn: random.Random, payload: Payload, reference: Reference, referent: Referent) -> bool:
    """Write a reference into a payload, in place; False where something else stands there."""
    *way, last = parse_path(reference.path)
    node: Any = payload
    holders: list[Payload] = [payload]
    steps = [*_chosen(drawn, way), last]
    for step, following in pairwise(steps):
        node = _descend(drawn, node, step, following)
        if node is None:
            return False
        if isinstance(node, dict):
            holders.append(node)
    value = _written(drawn, reference, referent)
    if isinstance(node, list) and last == "[]":
        node.append(value)
    elif isinstance(node, dict) and last in ("{*}", "**"):
        node[f"k{drawn.randrange(1000)}"] = value
    elif isinstance(node, dict) and last == "{key}":
        node[value] = "x"
    elif isinstance(node, dict) and last != "[]" and isinstance(node.get(last, ""), str):
        held = node.get(last)
        node[last] = f"{held} {value}" if held and reference.form in _IN_TEXT else value
        _accompany(reference, referent, node)
    else:
        return False
    if reference.when is not None:
        name, wanted = reference.when
        holder = holders[-2] if name == "type" and len(holders) > 1 else holders[-1]
        holder[name] = wanted
    return True


_IN_TEXT = frozenset({Form.URL, Form.HANDLEBARS, Form.ENV_TEMPLATE})


def _chosen(drawn: random.Random, way: Sequence[str]) -> list[str]:
    """Choose names for the wildcards of a path that lead deeper."""
    steps: list[str] = []
    for segment in way:
        if segment == "{*}":
            steps.append(f"k{drawn.randrange(4)}")
        elif segment == "**":
            steps += [f"n{drawn.randrange(3)}" for _ in range(drawn.randrange(3))]
        else:
            steps.append(segment)
    return steps


def _descend(drawn: random.Random, node: Any, step: str, following: str) -> Any:
    empty: Any = [] if following == "[]" else {}
    if step == "[]":
        if not isinstance(node, list):
            return None
        fitting = [item for item in node if isinstance(item, type(empty))]
        if fitting and drawn.random() < 0.5:
            return drawn.choice(fitting)
        node.append(empty)
        return empty
    if not isinstance(node, dict):
        return None
    held = node.setdefault(step, empty)
    return held if isinstance(held, type(empty)) else None


def _written(drawn: random.Random, reference: Reference, referent: Referent) -> str:
    identifier = referent.identifier(reference)
    match reference.form:
        case Form.PREFIXED_ID:
            return f"{reference.prefix}{identifier}"
        case Form.SLUG_PREFIX:
            return f"{identifier}:{drawn.choice(('*', 'view'))}"
        case Form.HANDLEBARS:
            return f"Hallo {{{{{drawn.choice(('', '~~'))}{identifier}}}}}!"
        case Form.ENV_TEMPLATE:
            return f"{{{{ env.{identifier} }}}}"
        case Form.URL:
            return in_text(drawn, referent)
    return identifier


def in_text(drawn: random.Random, referent: Referent, *, forms: Iterable[str] = ("plain", "url", "html")) -> str:
    """Write an id, or a file's public URL, into some text."""
    url = referent.payload.get("public_url")
    if url is not None and drawn.random() < 0.7:
        return str(drawn.choice((url, f'<img src="{url}"/>')))
    identifier = referent.key.id
    match "plain" if is_word(identifier) else drawn.choice(tuple(forms)):
        case "url":
            return f"https://app.example/open/{identifier}?x=1"
        case "html":
            return f'<a href="https://app.example/{identifier}">ä</a>'
        case "sentence":
            return f"siehe {identifier}, bitte"
    return identifier


def _accompany(reference: Reference, referent: Referent, holder: Payload) -> None:
    """Write what must agree with the referent beside the reference."""
    for name, path in reference.siblings.items():
        value: Any = referent.payload
        for segment in path.split("."):
            value = value.get(segment) if isinstance(value, dict) else None
        if value is not None:
            holder[name] = value
    if reference.path.endswith("mapping_config.config_id"):
        targets = referent.payload.get("targets") or [{}]
        holder["target_id"] = targets[0].get("id")


def plant_freely(drawn: random.Random, payload: Payload, referent: Referent, places: Sequence[str]) -> None:
    """Name a config at a place of the author's own making: in text, as an object's key, inside stringified JSON."""
    identifier = referent.key.id
    if is_word(identifier):
        # Eight letters count only where they are the whole of a string.
        places = [place for place in places if place in ("whole", "key", "json")] or ("whole",)
    match drawn.choice(places):
        case "text":
            payload[FREE_TEXT] = f"{payload.get(FREE_TEXT, '')} {in_text(drawn, referent)}"
        case "sentence":
            payload[FREE_TEXT] = f"{payload.get(FREE_TEXT, '')} {in_text(drawn, referent, forms=('sentence',))}"
        case "whole":
            payload.setdefault("chosen", []).append(identifier)
        case "key":
            payload.setdefault(FREE_KEYS, {})[identifier] = "ä"
        case "json":
            payload[FREE_JSON] = json.dumps({"text": "ä\n", "ids": [identifier], "in": {identifier: f"/{identifier}/"}})


def mention(drawn: random.Random, payload: Payload, word: str) -> None:
    """Let an author's text or block say what some config is called in every organisation."""
    if drawn.random() < 0.5:
        payload[FREE_TEXT] = f"{payload.get(FREE_TEXT, '')} siehe {word}."
    else:
        payload.setdefault("chosen", []).append(word)


def portable_name(key: ResourceKey, payload: Payload) -> str | None:
    """Return what a config is called in every organisation: its code, key or slug, or an id that is made of those."""
    if is_portable(RESOURCE_TYPES[key.type]) or ":" in key.id:
        return key.id
    return next((str(payload[name]) for name in ("code", "key") if name in payload), None)


def plant_unsent(payload: Payload, resource_type: ResourceType, referent: Referent) -> bool:
    """Name a config where nothing is copied, in place: with whom a board is shared, what a change proposes.

    False where the type has no such place for it.
    """
    if "shared_with" in resource_type.external_strip and referent.key.type == "usergroup":
        payload["shared_with"] = [f"group_{referent.key.id}"]
    elif "_changesets" in resource_type.strip:
        payload["_changesets"] = {"name": {"proposed": referent.key.id}}
    else:
        return False
    return True


def is_word(identifier: str) -> bool:
    """Tell whether an id looks like a word: it counts only where it is the whole of a string."""
    return not any(character.isdigit() for character in identifier)


def is_portable(resource_type: ResourceType) -> bool:
    """Tell whether the identifier of a type is the same in every organisation, but for the organisation's own."""
    return resource_type.identity in (Identity.PORTABLE, Identity.ORG_PREFIXED)


def is_known_by_name(resource_type: ResourceType) -> bool:
    """Tell whether a name says for certain which config of another organisation a config is."""
    return is_portable(resource_type) or bool(resource_type.natural_key and resource_type.natural_key.strong)


def is_found_in_text(resource_type: ResourceType) -> bool:
    """Tell whether ids of a type are known wherever they stand: the server assigns them, and its list shows them."""
    return resource_type.identity is Identity.SERVER and resource_type.list is not None
