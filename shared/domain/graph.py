"""The order of work: break cycles at the cheapest arcs, then generations, then batches."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from shared.domain.resource_type import ResourceKey

    Arc = tuple[ResourceKey, ResourceKey]

#: Costs of dropping an arc from the order. FREE: only the order is lost. REQUIRED: never dropped.
FREE, CHEAP, SOFT, HARD = 0, 1, 2, 4
REQUIRED = 1_000_000

#: Up to so many arcs in a component every dropped arc is tried again, one by one; beyond, the greedy order stands.
_MAX_REFINED_ARCS = 10_000


class Order(NamedTuple):
    """An order of work.

    Attributes:
        generations: each depends on earlier ones only; keys sorted.
        dropped: arcs (dependent, dependency) that the order does not respect.
        unbreakable: the components in which every arc that could break a cycle is required; where there is one, nothing
            else is set.
        remaining: per resource the length of its longest chain of dependents.
    """

    generations: tuple[tuple[ResourceKey, ...], ...]
    dropped: frozenset[Arc]
    unbreakable: tuple[tuple[ResourceKey, ...], ...]
    remaining: Mapping[ResourceKey, int]


def order(nodes: Collection[ResourceKey], arcs: Mapping[Arc, int]) -> Order:
    """Order resources so that each comes behind what it depends on.

    Args:
        nodes: the resources.
        arcs: (dependent, dependency) -> cost of dropping it; both ends in `nodes`, no self-loops.

    Returns:
        The same order whatever the order of the arguments. The dropped arcs are a small feedback arc set; up to 10,000
        arcs in a component none of them could stay, and one is dropped only where no cheaper arc of its cycle would do.
    """
    required: nx.DiGraph[ResourceKey] = nx.DiGraph(arc for arc, cost in sorted(arcs.items()) if cost >= REQUIRED)
    unbreakable = [tuple(sorted(part)) for part in nx.strongly_connected_components(required) if len(part) > 1]
    if unbreakable:
        return Order((), frozenset(), tuple(sorted(unbreakable)), {})
    graph: nx.DiGraph[ResourceKey] = nx.DiGraph()
    graph.add_nodes_from(sorted(nodes))
    graph.add_edges_from((dependency, dependent) for dependent, dependency in sorted(arcs))
    component_of = {
        node: number
        for number, part in enumerate(nx.strongly_connected_components(graph))
        if len(part) > 1
        for node in part
    }
    inside: dict[int, dict[Arc, int]] = {}
    for arc in sorted(arcs):
        number = component_of.get(arc[0])
        if number is not None and number == component_of.get(arc[1]):
            inside.setdefault(number, {})[arc] = arcs[arc]
    dropped = frozenset(arc for part in inside.values() for arc in _feedback_arcs(part))
    graph.remove_edges_from((dependency, dependent) for dependent, dependency in dropped)
    generations = tuple(tuple(sorted(generation)) for generation in nx.topological_generations(graph))
    remaining: dict[ResourceKey, int] = {}
    for generation in reversed(generations):
        for node in generation:
            remaining[node] = max((remaining[dependent] + 1 for dependent in graph.successors(node)), default=0)
    return Order(generations, dropped, (), remaining)


def _feedback_arcs(arcs: Mapping[Arc, int]) -> set[Arc]:
    """Choose arcs of one component without which it has no cycle.

    First the greedy sequence of Eades, Lin and Smyth (1993), weighted, in which a required arc never points backward.
    Then, dearest arcs first, every arc is taken back that closes no cycle with those taken before.
    """
    place = {node: position for position, node in enumerate(_greedy_sequence(arcs))}
    backward = {arc for arc in arcs if place[arc[0]] < place[arc[1]]}
    if len(arcs) > _MAX_REFINED_ARCS:
        return backward
    acyclic = _AcyclicGraph(place)
    return {
        arc
        for arc in sorted(arcs, key=lambda arc: (-arcs[arc], arc in backward, arc))
        if not acyclic.add(dependency=arc[1], dependent=arc[0])
    }


class _Remainder:
    """The nodes of a component that the greedy sequence has not placed yet, and what placing each would win."""

    def __init__(self, arcs: Mapping[Arc, int]) -> None:
        self.dependents: dict[ResourceKey, dict[ResourceKey, int]] = {}
        self._dependencies: dict[ResourceKey, dict[ResourceKey, int]] = {}
        for (dependent, dependency), cost in arcs.items():
            for node in (dependent, dependency):
                self.dependents.setdefault(node, {})
                self._dependencies.setdefault(node, {})
            self.dependents[dependency][dependent] = cost + 1
            self._dependencies[dependent][dependency] = cost + 1
        self._gains: dict[ResourceKey, int] = {}
        self._heap: list[tuple[int, ResourceKey]] = []
        self.sinks: list[ResourceKey] = []
        for node in sorted(self.dependents):
            self._weigh(node)

    def _weigh(self, node: ResourceKey) -> None:
        """Note what is won by placing a node next: it must wait for dependencies that it requires."""
        before = self._dependencies[node].values()
        blocked = any(cost > REQUIRED for cost in before)
        gain = -REQUIRED * REQUIRED if blocked else sum(self.dependents[node].values()) - sum(before)
        self._gains[node] = gain
        heapq.heappush(self._heap, (-gain, node))
        if not self.dependents[node]:
            self.sinks.append(node)

    def remove(self, node: ResourceKey) -> None:
        """Take a placed node away."""
        for other in dict.fromkeys((*self.dependents.pop(node), *self._dependencies.pop(node))):
            self.dependents[other].pop(node, None)
            self._dependencies[other].pop(node, None)
            self._weigh(other)

    def best(self) -> ResourceKey:
        """Return the node that wins most; entries of the heap that have changed since are passed over."""
        while True:
            negated, node = heapq.heappop(self._heap)
            if node in self.dependents and self._gains[node] == -negated:
                return node


def _greedy_sequence(arcs: Mapping[Arc, int]) -> list[ResourceKey]:
    """Order the nodes, dependencies first, so that arcs of little cost point backward."""
    rest = _Remainder(arcs)
    head: list[ResourceKey] = []
    tail: list[ResourceKey] = []
    while rest.dependents:
        if rest.sinks:
            node = rest.sinks.pop()
            if node in rest.dependents:
                tail.append(node)
                rest.remove(node)
        else:
            node = rest.best()
            head.append(node)
            rest.remove(node)
    return head + tail[::-1]


class _AcyclicGraph:
    """A graph that refuses an edge which would close a cycle.

    It keeps a topological order of its nodes up to date (Pearce and Kelly, 2006).

    Args:
        place: a first order of all nodes.
    """

    def __init__(self, place: Mapping[ResourceKey, int]) -> None:
        self._place = dict(place)
        self._dependents: dict[ResourceKey, list[ResourceKey]] = {node: [] for node in place}
        self._dependencies: dict[ResourceKey, list[ResourceKey]] = {node: [] for node in place}

    def add(self, dependency: ResourceKey, dependent: ResourceKey) -> bool:
        """Add an edge; False, and nothing added, where it would close a cycle."""
        place = self._place
        lower, upper = place[dependent], place[dependency]
        if lower < upper:
            behind = self._reach(dependent, self._dependents, lambda node: place[node] <= upper)
            if dependency in behind:
                return False
            before = self._reach(dependency, self._dependencies, lambda node: place[node] >= lower)
            moved = [*sorted(before, key=place.__getitem__), *sorted(behind, key=place.__getitem__)]
            for node, free in zip(moved, sorted(place[node] for node in moved), strict=True):
                place[node] = free
        self._dependents[dependency].append(dependent)
        self._dependencies[dependent].append(dependency)
        return True

    @staticmethod
    def _reach(
        start: ResourceKey,
        edges: Mapping[ResourceKey, Sequence[ResourceKey]],
        is_affected: Callable[[ResourceKey], bool],
    ) -> set[ResourceKey]:
        reached = {start}
        stack = [start]
        while stack:
            for node in edges[stack.pop()]:
                if node not in reached and is_affected(node):
                    reached.add(node)
                    stack.append(node)
        return reached


@dataclass(frozen=True, slots=True)
class Batches:
    """Generations cut into batches.

    Attributes:
        members: per batch, numbered from 1, its resources: by generation, those that most waits for first.
        stages: the numbers of the batches that may run at the same time, in order.
    """

    members: tuple[tuple[ResourceKey, ...], ...]
    stages: tuple[tuple[int, ...], ...]


def cut_batches(
    generations: Iterable[Sequence[ResourceKey]], remaining: Mapping[ResourceKey, int], batch_size: int
) -> Batches:
    """Cut generations into batches of at most `batch_size`.

    A large generation becomes a stage of several batches of nearly the same size; small ones that follow each other
    become one batch, which works through them in their order.
    """
    members: list[tuple[ResourceKey, ...]] = []
    stages: list[tuple[int, ...]] = []
    gathered: list[ResourceKey] = []

    def close() -> None:
        if gathered:
            members.append(tuple(gathered))
            stages.append((len(members),))
            gathered.clear()

    for generation in generations:
        first = sorted(generation, key=lambda node: (-remaining.get(node, 0), node))
        if len(gathered) + len(first) > batch_size:
            close()
        if len(first) <= batch_size:
            gathered.extend(first)
            continue
        slices = -(-len(first) // batch_size)
        numbers = []
        for part in range(slices):
            members.append(tuple(first[part::slices]))
            numbers.append(len(members))
        stages.append(tuple(numbers))
    close()
    return Batches(tuple(members), tuple(stages))
