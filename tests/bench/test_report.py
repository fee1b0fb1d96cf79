from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.graph import order
from shared.domain.resource_type import ResourceKey
from tests.bench import __main__ as bench
from tests.bench.organisations import attributes
from tests.bench.report import TARGETS, flat_report, missed
from tests.bench.requests_log import Write, span_s
from tests.bench.stack_job import split_by_phase

KEYS_OF_THE_ISSUE = {
    "sync_200_span_s",
    "sync_200_over_bare",
    "patch_200_over_bare",
    "chain_51_span_s",
    "chain_51_over_bare",
    "storage_calls_between_links",
    "chain_51_lambda_steps",
    "writes_per_created",
    "stack_sync_200_wall_s",
}


def generations(graph):
    key = {name: ResourceKey("price", name) for name in graph}
    arcs = {(key[name], key[one]): 1 for name, components in graph.items() for one in components}
    return [len(generation) for generation in order(list(key.values()), arcs).generations]


def test_the_graphs_have_the_generations_that_the_figures_speak_of():
    assert generations(bench.SYNC_200) == [80, 50, 60, 10]
    assert generations(bench.CHAIN_51) == [1] * 51


def test_a_price_names_what_it_is_made_of():
    relations = attributes("Bundle", ["a", "b"])["price_components"]["$relation"]

    assert [item["entity_id"] for item in relations] == ["a", "b"]


def test_the_report_is_flat_and_has_every_key():
    report = flat_report(dict.fromkeys(TARGETS, 1.0), {"cpus": 2})

    assert report.keys() > KEYS_OF_THE_ISSUE
    assert [key for key, value in report.items() if not isinstance(value, float)] == ["environment"]
    with pytest.raises(ValueError, match="sync_200_span_s"):
        flat_report({key: 1.0 for key in TARGETS if key != "sync_200_span_s"}, {})


def test_a_figure_above_its_target_is_named():
    report = flat_report(dict.fromkeys(TARGETS, 0.0) | {"chain_51_over_bare": 1.11, "sync_200_span_s": 99.0}, {})

    assert missed(report) == ["chain_51_over_bare"]


def test_a_span_goes_from_the_beginning_of_the_first_to_the_end_of_the_last_write():
    assert span_s([Write(10.0, 10.5, 201), Write(10.2, 13.0, 201), Write(11.0, 12.0, 201)]) == pytest.approx(3.0)


def test_phases_are_split_where_their_first_states_are_entered():
    began = datetime(2026, 1, 1, tzinfo=UTC)
    entered = [
        (began + timedelta(seconds=second), state)
        for second, state in enumerate(
            ("FetchSources", "HasUnfetched?", "SnapshotTargets", "NextBatches", "SyncBatches", "NextBatches")
        )
    ]

    assert split_by_phase(entered, began + timedelta(seconds=7)) == {"phase_0": 3.0, "phase_a": 4.0}


def test_states_of_one_moment_stay_in_their_order():
    at = datetime(2026, 1, 1, tzinfo=UTC)

    phases = split_by_phase([(at, "PlanJob"), (at, "NextBatches"), (at, "FinishJob")], at + timedelta(seconds=2))

    assert phases == {"phase_0": 0.0, "phase_a": 0.0, "finalize": 2.0}
