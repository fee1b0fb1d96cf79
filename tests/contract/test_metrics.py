"""The metrics that code emits, those that are declared, and the table for operators are the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from shared.observability import METRICS

ROOT = Path(__file__).parents[2]
_RECORDERS = {"record", "count", "timed"}
_ROW = re.compile(r"^\| ([A-Z]\w+) \| (\w+) \| ([\w, –]+) \| (.+) \|$", re.MULTILINE)


def emitted() -> set[tuple[str, tuple[str, ...]]]:
    """Every metric that a call in the product names, with the dimensions that it gives."""
    found = set()
    for folder in ("shared", "functions"):
        for file in (ROOT / folder).rglob("*.py"):
            for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
                name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
                first = call.args[0] if call.args else None
                if name not in _RECORDERS or not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                    continue
                if re.fullmatch(r"[A-Z][A-Za-z]+", first.value):
                    found.add((first.value, tuple(sorted(keyword.arg or "**" for keyword in call.keywords))))
    return found


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    text = (ROOT / "docs" / "operations.md").read_text()
    return {
        name: (unit, () if dimensions == "–" else tuple(dimensions.split(", ")))
        for name, unit, dimensions, _meaning in _ROW.findall(text)
    }


def test_code_emits_what_is_declared_with_those_dimensions_and_nothing_else() -> None:
    assert emitted() == {(name, tuple(sorted(metric.dimensions))) for name, metric in METRICS.items()}


def test_the_table_for_operators_lists_every_metric() -> None:
    assert documented() == {name: (metric.unit.value, metric.dimensions) for name, metric in METRICS.items()}


@pytest.mark.parametrize("name", METRICS)
def test_no_dimension_has_many_values(name: str) -> None:
    assert not {"org_id", "job_id", "user_id", "resource_id", "request_id"} & set(METRICS[name].dimensions)
