from __future__ import annotations

import random

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.graph import CHEAP, FREE, HARD, REQUIRED, SOFT, cut_batches, order
from shared.domain.resource_type import ResourceKey
from tests.effort import count_calls


def key(number: int) -> ResourceKey:
    return ResourceKey("t", f"{number:05}")


def arcs_of(*arcs: tuple[int, int, int]) -> dict[tuple[ResourceKey, ResourceKey], int]:
    return {(key(dependent), key(dependency)): cost for dependent, dependency, cost in arcs}


def test_a_cycle_is_broken_at_its_cheapest_arc() -> None:
    found = order([key(n) for n in range(3)], arcs_of((0, 1, HARD), (1, 2, CHEAP), (2, 0, SOFT)))
    assert found.dropped == {(key(1), key(2))}
    assert found.generations == ((key(1),), (key(0),), (key(2),))


def test_one_shared_arc_breaks_two_cycles() -> None:
    found = order([key(n) for n in range(3)], arcs_of((0, 1, HARD), (1, 0, HARD), (1, 2, HARD), (2, 0, HARD)))
    assert found.dropped == {(key(0), key(1))}


def test_a_required_arc_is_never_dropped_while_another_will_do() -> None:
    found = order([key(n) for n in range(2)], arcs_of((0, 1, REQUIRED), (1, 0, REQUIRED - 1)))
    assert found.dropped == {(key(1), key(0))}


def test_a_cycle_of_required_arcs_is_named() -> None:
    arcs = arcs_of((0, 1, REQUIRED), (1, 2, REQUIRED), (2, 0, REQUIRED), (3, 0, HARD))
    found = order([key(n) for n in range(4)], arcs)
    assert found.unbreakable == ((key(0), key(1), key(2)),)
    assert found.generations == ()


def test_an_arc_outside_of_cycles_is_kept_whatever_it_costs() -> None:
    assert order([key(0), key(1)], arcs_of((0, 1, FREE))).dropped == frozenset()


def test_the_longest_chain_that_waits_is_counted() -> None:
    found = order([key(n) for n in range(4)], arcs_of((1, 0, HARD), (2, 1, HARD), (3, 0, HARD)))
    assert found.remaining == {key(0): 2, key(1): 1, key(2): 0, key(3): 0}


small_graphs = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.sampled_from([FREE, CHEAP, SOFT, HARD, REQUIRED])), max_size=30
)


@settings(max_examples=300, deadline=None)
@given(small_graphs)
def test_an_order_respects_what_it_does_not_drop_and_drops_no_more_than_it_must(
    drawn: list[tuple[int, int, int]],
) -> None:
    arcs = arcs_of(*(arc for arc in drawn if arc[0] != arc[1]))
    nodes = [key(n) for n in range(10)]
    found = order(nodes, arcs)
    if found.unbreakable:
        for component in found.unbreakable:
            assert len(component) > 1
        return
    assert found == order(nodes[::-1], dict(reversed(arcs.items())))
    place = {node: number for number, generation in enumerate(found.generations) for node in generation}
    assert sorted(place) == nodes
    kept = nx.DiGraph(arc for arc in arcs if arc not in found.dropped)
    for dependent, dependency in kept.edges:
        assert place[dependency] < place[dependent]
    for dependent, dependency in found.dropped:
        cost = arcs[dependent, dependency]
        assert cost < REQUIRED
        dear = nx.DiGraph(arc for arc in kept.edges if arcs[arc] >= cost)
        assert dear.has_node(dependency)
        assert dear.has_node(dependent)
        assert nx.has_path(dear, dependency, dependent)


def test_a_chain_of_500_and_a_component_of_200_are_ordered() -> None:
    chain = arcs_of(*((n, n - 1, HARD) for n in range(1, 500)))
    assert len(order([key(n) for n in range(500)], chain).generations) == 500
    drawn = random.Random(1)
    ring = [(n, (n + 1) % 200, HARD) for n in range(200)]
    chords = [(drawn.randrange(200), drawn.randrange(200), CHEAP) for _ in range(400)]
    arcs = arcs_of(*(arc for arc in chords if arc[0] != arc[1]), *ring)
    found = order([key(n) for n in range(200)], arcs)
    assert sum(arcs[arc] == HARD for arc in found.dropped) == 1


def drawn_graph(size: int) -> tuple[list[ResourceKey], dict[tuple[ResourceKey, ResourceKey], int]]:
    """A chain, and two and a half times as many arcs between whichever two."""
    drawn = random.Random(2)
    ends = ((drawn.randrange(size), drawn.randrange(size)) for _ in range(size * 5 // 2))
    arcs = {(key(a), key(b)): HARD for a, b in ends if a != b}
    arcs |= {(key(n), key(n - 1)): REQUIRED for n in range(1, size)}
    return [key(n) for n in range(size)], arcs


def test_twenty_thousand_resources_are_ordered() -> None:
    assert len(order(*drawn_graph(20_000)).generations) == 20_000


def test_the_effort_of_ordering_grows_with_the_number_of_resources() -> None:
    few, many = (count_calls(order, *drawn_graph(size)) for size in (5_000, 20_000))
    print(f"\n{few:,} and {many:,} calls")
    assert many < 4 * few * 1.5


def test_a_large_generation_becomes_several_batches_of_one_stage() -> None:
    generation = [key(n) for n in range(120)]
    cut = cut_batches([generation], {}, 50)
    assert cut.stages == ((1, 2, 3),)
    assert sorted(len(batch) for batch in cut.members) == [40, 40, 40]
    assert sorted(one for batch in cut.members for one in batch) == generation


def test_small_generations_in_a_row_become_one_batch() -> None:
    chain = [[key(n)] for n in range(51)]
    cut = cut_batches(chain, {key(n): 50 - n for n in range(51)}, 50)
    assert cut.stages == ((1,), (2,))
    assert cut.members[0] == tuple(key(n) for n in range(50))


def test_what_most_waits_for_comes_first_in_its_generation() -> None:
    cut = cut_batches([[key(0), key(1), key(2)]], {key(2): 5, key(1): 1}, 50)
    assert cut.members == ((key(2), key(1), key(0)),)


def test_nothing_to_do_is_no_batch() -> None:
    assert cut_batches([], {}, 50).stages == ()
