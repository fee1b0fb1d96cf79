"""Source organisations whose prices are made of other prices: a hard reference that is never deferred."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sandbox.control import SandboxControl
from sandbox.seed.factory import Factory, relation

#: name of a price -> names of the prices that it is made of.
Graph = Mapping[str, Sequence[str]]


def graph_of_generations(sizes: Sequence[int]) -> dict[str, list[str]]:
    """Return topological generations of these sizes: each price is made of one or two of the generation before."""
    names = [[f"Price {level}.{number}" for number in range(size)] for level, size in enumerate(sizes)]
    graph: dict[str, list[str]] = {name: [] for name in names[0]}
    for before, generation in pairwise(names):
        for number, name in enumerate(generation):
            components = (before[number % len(before)], before[(number * 7 + 3) % len(before)])
            graph[name] = list(dict.fromkeys(components))
    return graph


def chain(length: int) -> dict[str, list[str]]:
    """Return a chain in which each price is made of the one before."""
    return graph_of_generations([1] * length)


def attributes(name: str, component_ids: Sequence[str]) -> dict[str, Any]:
    """Return what a price says, apart from what its API assigns."""
    return {
        "active": True,
        "description": name,
        "is_composite_price": bool(component_ids),
        "pricing_model": "per_unit",
        "type": "one_time",
        "unit_amount": 100,
        "unit_amount_currency": "EUR",
        "unit_amount_decimal": "1.00",
        "price_components": relation(*component_ids),
    }


def plant(control: SandboxControl, graph: Graph) -> tuple[str, dict[str, str]]:
    """Make an organisation that has a graph of prices.

    Returns:
        The organisation and name -> id of its prices.
    """
    org_id = control.make_organisation()
    factory = Factory(org_id, org_id, org_id)
    ids: dict[str, str] = {}
    resources = []
    for name, components in graph.items():
        payload = factory.entity("price", name, attributes(name, [ids[component] for component in components]))
        ids[name] = payload["_id"]
        resources.append({"type": "price", "payload": payload})
    control.call("POST", f"/orgs/{org_id}/resources", {"resources": resources})
    return org_id, ids


def edit(control: SandboxControl, org_id: str, changes: Mapping[str, Any]) -> None:
    """Change every price of an organisation, behind everybody's back."""
    there = control.call("GET", f"/orgs/{org_id}/resources", type="price")["resources"]
    changed = [{"type": "price", "payload": {**one["payload"], **changes}} for one in there]
    control.call("POST", f"/orgs/{org_id}/resources", {"resources": changed})
