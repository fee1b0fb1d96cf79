"""Finds the operation that a request is for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from sandbox.server.apps import APP_VERBS
from sandbox.server.definitions import Endpoint, read_endpoint
from sandbox.server.files import FILE_VERBS
from sandbox.server.kind import Kind
from sandbox.server.kinds import (
    ENTITY_OPERATIONS,
    KINDS,
    ORGANISATION_OPERATIONS,
    SUPPORTING,
    entity_kind,
)
from sandbox.server.operations import VERBS, Verb

ALL_VERBS: dict[str, Verb] = {**VERBS, **FILE_VERBS, **APP_VERBS}


@dataclass(frozen=True, slots=True)
class Route:
    """An operation and what answers it; the kind is None where the path names it."""

    endpoint: Endpoint
    verb: Verb
    kind: Kind | None

    def kind_of(self, parameters: dict[str, str]) -> Kind:
        """Return the kind that a request with these path parameters is about."""
        return self.kind or entity_kind(parameters.get("slug", ""))


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)


def declared_routes() -> Iterator[Route]:
    """Yield a route for every declared operation, as the published definitions describe it.

    Raises:
        UnknownOperationError: an operation that no definition has.
    """
    for kind in (*KINDS, *SUPPORTING):
        for operation, verb in kind.operations.items():
            yield Route(read_endpoint(kind.api, operation), ALL_VERBS[verb], kind)
    for operation, verb in ENTITY_OPERATIONS.items():
        yield Route(read_endpoint("entity", operation), ALL_VERBS[verb], None)
    for operation, verb in ORGANISATION_OPERATIONS.items():
        yield Route(read_endpoint("organization", operation), ALL_VERBS[verb], None)


class Router:
    """A tree of path segments per host; literals win over parameters."""

    def __init__(self) -> None:
        self.routes = list(declared_routes())
        self._hosts: dict[str, _Node] = {}
        for route in self.routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node = self._hosts.setdefault(route.endpoint.host, _Node())
        names: list[str] = []
        for segment in route.endpoint.path.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes[route.endpoint.method] = (route, tuple(names))

    def match(self, method: str, host: str, segments: list[str]) -> tuple[Route, dict[str, str]] | None:
        """Return the route of a request and its decoded path parameters, or None."""
        root = self._hosts.get(host)
        if root is None:
            return None
        found = _descend(root, segments, 0, method, ())
        if found is None:
            return None
        (route, names), values = found
        return route, dict(zip(names, values, strict=True))


def _descend(
    node: _Node, segments: list[str], index: int, method: str, values: tuple[str, ...]
) -> tuple[tuple[Route, tuple[str, ...]], tuple[str, ...]] | None:
    if index == len(segments):
        route = node.routes.get(method)
        return None if route is None else (route, values)
    segment = segments[index]
    literal = node.literals.get(segment)
    if literal is not None:
        found = _descend(literal, segments, index + 1, method, values)
        if found is not None:
            return found
    if node.parameter is None or not segment:
        return None
    return _descend(node.parameter, segments, index + 1, method, (*values, unquote(segment)))
