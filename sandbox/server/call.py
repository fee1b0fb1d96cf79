"""One authenticated request to one operation, as the handlers see it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from sandbox.server.definitions import Endpoint
from sandbox.server.errors import ApiError
from sandbox.server.kind import Kind
from sandbox.server.store import Organisation, Payload, Store

_TRUE = ("true", "1", "yes")


@dataclass(slots=True)
class Answer:
    """What goes back to the caller."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """A request after authentication and routing.

    Attributes:
        wrote: the resource that it stored or deleted, as ``type:id``.
    """

    store: Store
    organisation: Organisation
    user: str
    kind: Kind
    endpoint: Endpoint
    parameters: dict[str, str]
    query_string: str
    body: Any
    base_url: str
    wrote: str | None = None

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The query parameters."""
        return parse_qs(self.query_string, keep_blank_values=True)

    def query_text(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else None

    def query_flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean query parameter."""
        value = self.query_text(name)
        return default if value is None else value.lower() in _TRUE

    @property
    def ident(self) -> str:
        """The id in the path."""
        parameters = self.parameters
        if self.kind.id_parameter:
            return parameters[self.kind.id_parameter]
        return parameters["id"] if "id" in parameters else next(iter(parameters.values()))

    def note(self, payload: Payload) -> None:
        """Note which resource was stored or deleted."""
        self.wrote = f"{self.kind.type}:{payload[self.kind.id_field]}"

    def object(self) -> Payload:
        """Return the resource in the request body.

        Raises:
            ApiError: the body is not the object that it has to be.
        """
        body = self.body
        if self.kind.body_key is not None:
            body = body.get(self.kind.body_key) if isinstance(body, dict) else None
        if not isinstance(body, dict):
            raise ApiError(400, "the request body must be a JSON object")
        return body
