"""Identifiers, stamps and envelopes as the downstream APIs assign them, drawn from a seeded generator."""

import string
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

Payload = dict[str, Any]

BASE_TIME = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ALPHANUMERIC = string.ascii_letters + string.digits
NANOID_ALPHABET = ALPHANUMERIC + "_-"
GLOBAL_NAMESPACE = uuid.UUID("6f1f3c1e-5d0b-4f53-9a5e-1d1f6a2f7b10")
BUCKET = "content-vault"

IDENTIFIER_FIELDS = {
    "journey": "journeyId",
    "schema": "slug",
    "taxonomy": "slug",
    "environment_variable": "key",
    "app": "app_id",
    "portal_config": "portal_id",
    "_assignment": "user_id",
    "_file_bytes": "file_id",
    "_submission": "_id",
    "validation_rule": "_id",
    "emailtemplate": "_id",
    "product": "_id",
    "price": "_id",
    "tax": "_id",
    "coupon": "_id",
    "file": "_id",
    "document_template": "_id",
    "notification_template": "_id",
    "target": "_id",
    "product_recommendation": "_id",
}
"""Where a payload holds its identifier; every type that is not named holds it in `id`."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing an organisation has: a configuration type, or an auxiliary kind that starts with an underscore."""

    type: str
    payload: Payload

    @property
    def id(self) -> str:
        """The identifier that the downstream API gave it."""
        return str(self.payload[IDENTIFIER_FIELDS.get(self.type, "id")])

    @property
    def is_auxiliary(self) -> bool:
        """Whether this is something around configurations, bytes of a file for instance."""
        return self.type.startswith("_")


def global_id(name: str) -> str:
    """Give the identifier of something that is the same in every organisation, an app for instance."""
    return str(uuid.uuid5(GLOBAL_NAMESPACE, name))


def public_url(file: Payload) -> str:
    """Give the public address of a file entity; organisation and file are part of its path."""
    return f"https://file.sls.epilot.io/v1/files/public/links/{file['_org']}/{file['_id']}"


def relation(*identifiers: str, **extra: Any) -> Payload:
    """Build an entity relation attribute that points at the given entities."""
    return {"$relation": [{"entity_id": identifier, "_tags": [], **extra} for identifier in identifiers]}


class Factory:
    """Hands out what differs between two organisations (identifiers, stamps) and what does not (content).

    Two factories with the same `content_seed` make the same organisation twice, under different identifiers.
    """

    def __init__(self, org_id: str, identity_seed: str, content_seed: str) -> None:
        self.org_id = org_id
        self.content = Random(content_seed)
        self._identity = Random(identity_seed)
        self.users = [str(self._identity.randrange(10_000, 99_999)) for _ in range(8)]

    def uuid(self) -> str:
        """Give a random UUID (version 4)."""
        return str(uuid.UUID(int=self._identity.getrandbits(128), version=4))

    def short_id(self) -> str:
        """Give the 8 characters that the workflow and automation APIs use."""
        return "".join(self._identity.choices(ALPHANUMERIC, k=8))

    def nanoid(self) -> str:
        """Give 20 characters that may start with an underscore or a hyphen."""
        return "".join(self._identity.choices(NANOID_ALPHABET, k=20))

    def short_uuid(self) -> str:
        """Give 22 characters, a UUID in base 57, as the webhook API uses them."""
        return "".join(self._identity.choices(ALPHANUMERIC, k=22))

    def user(self) -> str:
        """Give the id of one of the organisation's users."""
        return self._identity.choice(self.users)

    def new_user(self) -> str:
        """Give the id of a user that nothing else names."""
        return str(self._identity.randrange(10**9, 10**10))

    def stamps(self) -> tuple[str, str]:
        """Give a creation and a later update time in ISO 8601, UTC, milliseconds."""
        created = BASE_TIME - timedelta(seconds=self._identity.randrange(30_000_000, 60_000_000))
        updated = created + timedelta(seconds=self._identity.randrange(0, 29_000_000))
        return f"{created:%Y-%m-%dT%H:%M:%S}.000Z", f"{updated:%Y-%m-%dT%H:%M:%S}.000Z"

    def entity(self, schema: str, title: str, attributes: Payload, manifest: list[str] | None = None) -> Payload:
        """Wrap attributes in the envelope of the entity API."""
        created, updated = self.stamps()
        payload: Payload = {
            "_id": self.uuid(),
            "_schema": schema,
            "_org": self.org_id,
            "_owners": [{"org_id": self.org_id, "user_id": self.user()}],
            "_title": title,
            "_tags": [],
            "_created_at": created,
            "_updated_at": updated,
            "_acl": {"view": [f"org_{self.org_id}"], "edit": [f"org_{self.org_id}"], "delete": [f"org_{self.org_id}"]},
        }
        if manifest:
            payload["_manifest"] = list(manifest)
        return payload | attributes
