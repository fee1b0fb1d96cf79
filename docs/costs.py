"""What running the hub costs: figures of one local run (`costs.json`, by `make costs`) times unit prices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FIGURES = Path(__file__).with_name("costs.json")


class Price(NamedTuple):
    """US dollars for so many units."""

    dollars: float
    units: float

    def of(self, units: float) -> float:
        """Return the dollars for a number of units."""
        return units * self.dollars / self.units


REGION = "eu-central-1"
AS_OF = "2026-11"
#: figure -> list price without free tiers and taxes. To be checked against the price lists before anybody relies on it.
PRICES: Mapping[str, Price] = {
    "api_calls": Price(3.70, 1e6),
    "lambda_invocations": Price(0.20, 1e6),
    "lambda_gb_s": Price(0.0000166667, 1),
    "state_transitions": Price(0.025, 1e3),
    "read_units": Price(0.1525, 1e6),
    "write_units": Price(0.7625, 1e6),
    "s3_writes": Price(0.0054, 1e3),
    "s3_reads": Price(0.00043, 1e3),
    "kms_calls": Price(0.03, 1e4),
    "log_bytes": Price(0.63, 1e9),
}
#: what there is of it in the template or in the logs -> list price a month.
MONTHLY: Mapping[str, float] = {
    "alarm_metrics": 0.10,
    "composite_alarms": 0.50,
    "dashboards": 3.00,
    "keys": 1.00,
    "metric_series": 0.30,
}
_SCENARIOS: Mapping[str, str] = {
    "first_rebuild": "first rebuild of an index, per 1,000 configs",
    "unchanged_rebuild": "rebuild with nothing changed, per 1,000 configs",
    "sync": "sync of 200 new resources",
    "list_calls": "1,000 calls of listConfigs, 100 configs a page",
}
_HEADINGS = {
    "api_calls": "API calls",
    "lambda_invocations": "Lambda calls",
    "lambda_gb_s": "GB-s",
    "state_transitions": "transitions",
    "read_units": "read units",
    "write_units": "write units",
    "s3_writes": "S3 writes",
    "s3_reads": "S3 reads",
    "kms_calls": "KMS calls",
    "log_bytes": "log bytes",
}


def dollars(figures: Mapping[str, float]) -> float:
    """Return what the figures of one scenario cost."""
    return sum(PRICES[name].of(count) for name, count in figures.items())


def write_costs() -> str:
    """Return docs/costs.md."""
    return "\n".join([*_lines(json.loads(_FIGURES.read_text()))]) + "\n"


def _lines(measured: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Iterator[str]:
    scenarios, standing = measured["scenarios"], measured["standing"]
    yield from (
        "# Costs",
        "",
        "This page says what the hub costs. `make docs` writes it: figures of one run on the local engine",
        f"(`make costs` writes `docs/costs.json`) times list prices of {REGION}, {AS_OF}, in US dollars, without free",
        "tiers. The prices are parameters of the generator: **check them before relying on a sum.**",
        "",
        f"| what | {' | '.join(_HEADINGS[name] for name in PRICES)} | dollars |",
        "|---" * (len(PRICES) + 2) + "|",
    )
    for name, label in _SCENARIOS.items():
        figures = scenarios[name]
        cells = (f"{round(figures[figure]):,}" for figure in PRICES)
        yield f"| {label} | {' | '.join(cells)} | {dollars(figures):.4f} |"
    yield f"| price of one | {' | '.join(f'{price.of(1):.2g}' for price in PRICES.values())} | |"
    total = sum(MONTHLY[name] * count for name, count in standing.items())
    yield from ("", "| each month, used or not | count | dollars each | dollars |", "|---|---|---|---|")
    for name, count in standing.items():
        each = MONTHLY[name]
        yield f"| {name.replace('_', ' ')} | {count:,.0f} | {each:.2f} | {each * count:.2f} |"
    yield from (
        f"| **sum** | | | **{total:.2f}** |",
        "",
        "- Seconds of Lambda are those of the local machine, warm, with 50 ms for each downstream request.",
        "- Write units are what the local engine reports, indexes included; read units follow from the bytes read.",
        "- What a sync remembers, and claims on its targets, are part of its row: before there were any, the same sync",
        "  of 200 took 5,874 write units and 485 read units.",
        "- A sync is followed by a rebuild of the target's index, which stands in its own row. Polling for its end is",
        "  a call of the API each time.",
        "- Metric series are billed for the hours in which they are emitted: an idle month costs the alarms, the",
        "  dashboards and the key. The first three dashboards and ten alarm metrics of an account are free.",
        "  Counted are those of a fresh stack behind these scenarios; one on which everything ran had 343.",
        "- Not in it: data transfer, stored bytes and point-in-time recovery (by size), X-Ray traces.",
    )
