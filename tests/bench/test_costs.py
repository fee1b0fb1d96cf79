"""The cost table: figures times prices, and nothing left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

from docs import costs
from tests.bench.costs import read_units, standing

FIGURES = json.loads((Path(costs.__file__).parent / "costs.json").read_text())


def test_a_scenario_costs_what_its_figures_cost_each() -> None:
    assert round(costs.dollars({"api_calls": 1_000_000, "state_transitions": 1000}), 6) == 3.725


def test_reads_are_counted_in_blocks_of_four_kilobytes() -> None:
    items = [{"pk": "x" * 3000}, {"pk": "y" * 3000}]
    assert read_units("Query", {"Items": items}, consistently=True) == 2
    assert read_units("Query", {"Items": []}, consistently=False) == 0.5
    assert read_units("BatchGetItem", {"Responses": {"one": items}}, consistently=False) == 1


def test_every_figure_that_was_measured_has_a_price_and_every_price_a_figure() -> None:
    assert {name: figures.keys() for name, figures in FIGURES["scenarios"].items()} == dict.fromkeys(
        ("first_rebuild", "unchanged_rebuild", "list_calls", "sync"), costs.PRICES.keys()
    )
    assert FIGURES["standing"].keys() == costs.MONTHLY.keys()


def test_jobs_and_rebuilds_were_measured_with_their_storage_and_their_functions() -> None:
    scenarios = FIGURES["scenarios"]
    assert min(scenarios[name]["lambda_gb_s"] for name in scenarios) > 0
    assert scenarios["sync"]["write_units"] > 200 < scenarios["first_rebuild"]["write_units"]
    assert scenarios["unchanged_rebuild"]["write_units"] < 50


def test_the_sum_of_a_month_is_the_sum_of_its_lines() -> None:
    text = costs.write_costs()
    lines = [float(amount) for amount in re.findall(r"\| [\d,]+ \| [\d.]+ \| ([\d.]+) \|$", text, re.MULTILINE)]
    (total,) = re.findall(r"\*\*sum\*\* \| \| \| \*\*([\d.]+)\*\*", text)
    assert len(lines) == len(costs.MONTHLY)
    assert round(sum(lines), 2) == float(total)


def test_the_template_has_what_the_table_says_of_each_month() -> None:
    assert {name: FIGURES["standing"][name] for name in standing()} == standing(), "make costs"
