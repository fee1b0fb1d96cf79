"""Who may import whom, and what a folder may hold."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
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
        "shared.domain.caller",
        "shared.domain.errors",
        "shared.domain.redaction",
        "shared.domain.step_result",
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


# The house: one rule a folder (docs/architecture.md)

USE_CASES = ROOT / "shared" / "use_cases"
WINGS = {"jobs", "writing", "reading", "indexing"}
#: Functions without an operation of their own: the door, and the next invocation of a build.
NO_OPERATION = {"authorizer", "continue_index"}
MOST_LINES = 400
#: Longer, for a reason that stands in docs/decisions.md.
LONGER = {"shared/catalog/entity.py"}


def operations() -> list[Path]:
    return sorted(file for file in USE_CASES.glob("*.py") if file.name != "__init__.py")


def test_use_cases_are_the_operations_and_steps_and_nothing_else() -> None:
    folders = {file.parent.name for file in (ROOT / "functions").glob("*/*/handler.py")}
    assert {file.stem for file in operations()} == folders - NO_OPERATION
    assert {folder.name for folder in USE_CASES.iterdir() if folder.is_dir()} - {"__pycache__"} == WINGS


@pytest.mark.parametrize("file", operations(), ids=lambda file: file.stem)
def test_no_operation_imports_another(file: Path) -> None:
    others = {module_name(other) for other in operations()} - {module_name(file)}
    assert not [module for module in imported(file) if any(is_in(module, other) for other in others)]


@pytest.mark.parametrize("file", sorted(USE_CASES.glob("*/*.py")), ids=str)
def test_no_wing_imports_an_operation(file: Path) -> None:
    assert not [m for m in imported(file) if any(is_in(m, module_name(other)) for other in operations())]


def protocols(file: Path) -> Iterator[ast.ClassDef]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases):
            yield node


def test_ports_live_in_the_domain_or_beside_their_single_user() -> None:
    for file in FILES:
        if is_in(module_name(file), "shared.domain.ports"):
            continue
        for port in protocols(file):
            users = [other for other in FILES if f"{module_name(file)}.{port.name}" in imported(other)]
            assert not users, f"{port.name} of {file} is used in {users}: it belongs into domain/ports/"


def test_ports_have_only_what_is_used() -> None:
    callers = [ast.parse(file.read_text()) for file in FILES if "adapters" not in file.parts]
    called = {node.attr for tree in callers for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for file in sorted((ROOT / "shared" / "domain" / "ports").glob("*.py")):
        for port in protocols(file):
            for method in port.body:
                if isinstance(method, ast.FunctionDef):
                    assert method.name in called, f"{port.name}.{method.name}"


def constants(file: Path) -> Iterator[tuple[str, str]]:
    """The names in upper case that a module defines, with their values as written."""
    for node in ast.parse(file.read_text()).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id.isupper() and node.value is not None:
                yield target.id.lstrip("_"), ast.unparse(node.value)


def test_a_limit_stands_once() -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for file in FILES:
        if not is_in(module_name(file), "shared.catalog"):
            for constant in constants(file):
                found.setdefault(constant, []).append(module_name(file))
    assert {constant: modules for constant, modules in found.items() if len(modules) > 1} == {}


def public_names(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def test_nothing_is_only_used_by_tests() -> None:
    surroundings = [*(ROOT / "sandbox").rglob("*.py"), *(ROOT / "docs").rglob("*.py")]
    used: dict[str, int] = {}
    for file in [*FILES, *surroundings]:
        for node in ast.walk(ast.parse(file.read_text())):
            name = (
                node.id
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
                else node.attr
                if isinstance(node, ast.Attribute)
                else ""
            )
            used[name] = used.get(name, 0) + 1
    unused = [
        f"{module_name(file)}.{name}"
        for file in FILES
        if file.name != "handler.py" and package_of(module_name(file)) != "functions"
        for name in public_names(file)
        if not name.startswith("__") and not used.get(name)
    ]
    assert unused == []


def modules_imported(file: Path, modules: set[str]) -> set[str]:
    found = set()
    for name in imported(file):
        for candidate in (name, name.rpartition(".")[0]):
            if candidate in modules:
                found.add(candidate)
                break
    return found - {module_name(file)}


@pytest.mark.parametrize("package", ["shared", "sandbox"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    files = {module_name(file): file for file in (ROOT / package).rglob("*.py")}
    graph = nx.DiGraph()
    for name, file in files.items():
        graph.add_edges_from((name, other) for other in modules_imported(file, set(files)))
    assert [sorted(circle) for circle in nx.strongly_connected_components(graph) if len(circle) > 1] == []


def test_modules_are_short_or_their_length_is_a_decision() -> None:
    long = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "shared").rglob("*.py")
        if len(file.read_text().splitlines()) > MOST_LINES
    }
    assert long == LONGER
    decisions = (ROOT / "docs" / "decisions.md").read_text()
    assert all(Path(name).name in decisions for name in LONGER)


def port_methods() -> dict[str, set[str]]:
    return {
        port.name: {method.name for method in port.body if isinstance(method, ast.FunctionDef)}
        for file in (ROOT / "shared" / "domain" / "ports").glob("*.py")
        for port in protocols(file)
    }


def test_ports_are_documented_where_they_stand_and_nowhere_else() -> None:
    every = {name for methods in port_methods().values() for name in methods}
    for file in FILES:
        if package_of(module_name(file)) != "shared.adapters":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and "override" in {ast.unparse(one) for one in node.decorator_list}:
                assert node.name in every, f"{file}: {node.name}"
                assert ast.get_docstring(node) is None, f"{file}: {node.name} is documented in its port"
