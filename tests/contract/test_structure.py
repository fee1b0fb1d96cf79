"""Who may import whom, and what a folder may hold."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THIRD_PARTY_OF_THE_DOMAIN = {"pydantic", "networkx"}
# Which packages of the product a package may import, besides itself.
ALLOWED = {
    "functions": {"shared.entrypoints", "shared.bootstrap", "shared.use_cases", "shared.domain"},
    "shared.use_cases": {"shared.domain"},
    "shared.catalog": {"shared.domain"},
    "shared.adapters": {"shared.domain"},
    # What comes in is bounded there, what leaves is redacted; which origins may read it is a setting.
    "shared.entrypoints": {
        "shared.domain.bounds",
        "shared.domain.errors",
        "shared.domain.redaction",
        "shared.observability",
        "shared.settings",
    },
    "shared.domain": set(),
    "shared.observability": {"shared.domain.redaction"},
    "shared.settings": set(),
}
MOST_HANDLER_LINES = 30


def product_files() -> list[Path]:
    return sorted([*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")])


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, at any depth, for types too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            assert node.module
            # A package may be what is meant by the name: `from shared import settings`.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def package_of(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] == "functions" else ".".join(parts[:2])


FILES = product_files()
IDS = [str(file.relative_to(ROOT)) for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_imports_keep_to_the_layers(file: Path) -> None:
    own = package_of(module_name(file))
    if own == "shared.bootstrap" or own == "shared":
        return
    allowed = ALLOWED[own] | {own}
    for module in imported(file):
        if module.split(".")[0] in {"shared", "functions", "sandbox", "tests"}:
            assert any(is_in(module, package) for package in allowed), f"{file}: {module}"


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_product_never_imports_its_surroundings(file: Path) -> None:
    assert not [m for m in imported(file) if m.split(".")[0] in {"sandbox", "tests"}]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_aws_and_http_are_the_adapters_business(file: Path) -> None:
    if package_of(module_name(file)) == "shared.adapters":
        return
    foreign = {"boto3", "botocore", "requests", "urllib3", "mypy_boto3_dynamodb"}
    assert not foreign & {module.split(".")[0] for module in imported(file)}


@pytest.mark.parametrize("file", [f for f in FILES if is_in(module_name(f), "shared.domain")], ids=str)
def test_domain_needs_the_standard_library_and_little_else(file: Path) -> None:
    allowed = sys.stdlib_module_names | THIRD_PARTY_OF_THE_DOMAIN | {"shared"}
    roots = {module.split(".")[0] for module in imported(file)}
    assert roots <= allowed
    assert "os" not in roots
    assert "networkx" not in roots or file.name == "graph.py"


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_only_settings_reads_the_environment(file: Path) -> None:
    if module_name(file) == "shared.settings":
        return
    reads = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    assert not reads
    assert not {"os.environ", "os.getenv"} & set(imported(file))


@pytest.mark.parametrize("file", [f for f in FILES if f.name == "__init__.py"], ids=str)
def test_package_files_are_empty(file: Path) -> None:
    assert not file.read_text()


@pytest.mark.parametrize("file", [f for f in FILES if f.name == "handler.py"], ids=str)
def test_handlers_are_wiring_only(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= MOST_HANDLER_LINES
    assert not [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.For | ast.While | ast.Try)]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_every_module_says_what_it_is_responsible_for(file: Path) -> None:
    if file.name != "__init__.py":
        documentation = ast.get_docstring(ast.parse(file.read_text()))
        assert documentation, f"{file} has no docstring"


def test_no_file_names_what_it_is_not() -> None:
    vague = {"utils", "helpers", "common", "manager", "misc"}
    assert not [file for file in FILES if vague & set(file.with_suffix("").name.split("_"))]


def test_the_threats_name_tests_that_there_are() -> None:
    named = re.findall(r"`(?:(tests/[\w/]+\.py)(?:::)?)?(test_\w+)?`", (ROOT / "docs" / "security.md").read_text())
    everything = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) >= 25
    for file, test in named:
        text = (ROOT / file).read_text() if file else everything
        assert not test or f"def {test}(" in text, f"{file}::{test}"
