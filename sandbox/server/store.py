"""Holds what organisations have, in memory."""

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from sandbox.server.kind import Kind
from sandbox.server.kinds import KIND_OF, KINDS, SUPPORTING

Payload = dict[str, Any]

# The user that a token names when its request names none; raw resources without an owner are this user's.
DEFAULT_USER = "100001"
_LOADABLE = {kind.type: kind for kind in (*KINDS, *SUPPORTING)}


class UnknownTypeError(ValueError):
    """A resource type that the sandbox does not hold."""


class Record:
    """One stored resource and its rendered answers."""

    __slots__ = ("payload", "rendered")

    def __init__(self, payload: Payload) -> None:
        self.payload = payload
        self.rendered: dict[str, bytes] = {}


@dataclass(slots=True)
class Organisation:
    """Everything that one organisation holds."""

    id: str
    name: str
    collections: dict[str, dict[str, Record]] = field(default_factory=dict)
    bytes_by_file: dict[str, bytes] = field(default_factory=dict)

    def collection(self, name: str) -> dict[str, Record]:
        """Return a collection, empty when nothing was ever stored in it."""
        return self.collections.setdefault(name, {})

    def records(self, kind: Kind) -> list[Record]:
        """Return the records of a kind in the order they were stored."""
        found = list(self.collections.get(kind.store_name, {}).values())
        if kind.only is None:
            return found
        name, value, wanted = kind.only
        return [record for record in found if (record.payload.get(name) == value) is wanted]

    def find(self, kind: Kind, ident: str) -> Record | None:
        """Return the record with an id, or None."""
        return self.collections.get(kind.store_name, {}).get(ident)

    def find_by(self, kind: Kind, field_name: str, value: str) -> Record | None:
        """Return the first record that has a value in a field, or None."""
        return next((record for record in self.records(kind) if record.payload.get(field_name) == value), None)

    def put(self, kind: Kind, payload: Payload) -> Record:
        """Store a payload under the id that it carries, in the place of what was there."""
        record = Record(payload)
        self.collection(kind.store_name)[str(payload[kind.id_field])] = record
        return record


@dataclass(slots=True)
class Blob:
    """Bytes in the emulated object store."""

    content: bytes
    content_type: str


@dataclass(slots=True)
class Store:
    """All organisations, the object store and the apps that can be installed."""

    organisations: dict[str, Organisation] = field(default_factory=dict)
    blobs: dict[tuple[str, str], Blob] = field(default_factory=dict)
    grants: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    apps: dict[str, Payload] = field(default_factory=dict)

    def organisation(self, org_id: str, name: str | None = None) -> Organisation:
        """Return an organisation, made on first use: a valid token survives a restart of the sandbox."""
        known = self.organisations.get(org_id)
        if known is None:
            known = self.organisations[org_id] = Organisation(org_id, f"Organisation {org_id}")
        if name:
            known.name = name
        return known

    def load(self, org_id: str, type_: str, payload: Payload) -> None:
        """Store a raw resource with the id in its payload, unchecked.

        Raises:
            UnknownTypeError: no such type.
            KeyError: the payload carries no id.
        """
        organisation = self.organisation(org_id)
        if type_ == "_file_bytes":
            organisation.bytes_by_file[payload["file_id"]] = b64decode(payload["content_base64"])
            return
        kind = _LOADABLE.get(type_)
        if kind is None:
            raise UnknownTypeError(f"unknown resource type {type_!r}")
        organisation.put(kind, payload)
        if type_ == "app":
            self.apps.setdefault(payload["app_id"], payload)

    def dump(self, org_id: str, type_: str | None = None) -> list[Payload]:
        """Return raw resources, server-managed fields included.

        Raises:
            UnknownTypeError: no such type.
        """
        if type_ is not None and type_ not in _LOADABLE:
            raise UnknownTypeError(f"unknown resource type {type_!r}")
        organisation = self.organisations.get(org_id)
        if organisation is None:
            return []
        kinds = [_LOADABLE[type_]] if type_ else [*KIND_OF.values(), *SUPPORTING]
        return [
            {"type": kind.type, "id": record.payload[kind.id_field], "payload": record.payload}
            for kind in kinds
            for record in organisation.records(kind)
        ]

    def clear(self) -> None:
        """Forget every resource; organisations stay, empty."""
        for organisation in self.organisations.values():
            organisation.collections.clear()
            organisation.bytes_by_file.clear()
        self.blobs.clear()
        self.grants.clear()
        self.apps.clear()
