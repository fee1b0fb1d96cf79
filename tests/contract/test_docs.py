"""The pages for people: their pictures, names and links agree with the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs.machines import MACHINES, insert_drawings
from tests.aws import template
from tests.contract.test_state_machine import DELETE, SYNC, Machine, transitions

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
MOST_README_LINES = 120
FOLDERS = ("docs", "events", "functions", "layers", "sandbox", "shared", "tests")
NAMED_FILE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(FOLDERS)})/[\w/.-]+\.(?:py|json|yaml|md|toml)\b")
RESOURCE = re.compile(r"\b[A-Z]\w+(?:Function|Table|Bucket|StateMachine|Queue|Api)\b")


def pictures(page: Path) -> list[str]:
    return re.findall(r"^```mermaid\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Every (file, anchor) that a page links to, links to other sites apart."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


@each_page
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for file, anchor in links(page):
        assert file.exists(), f"{page.name}: {file}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {file.name}#{anchor}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [file for file, _ in links(page)]
    assert set(PAGES) <= reached


@each_page
def test_a_page_begins_with_a_sentence_that_says_what_it_is_for(page: Path) -> None:
    title, blank, first = page.read_text().splitlines()[:3]
    assert title.startswith("# ")
    assert not blank
    assert first.startswith("This page ") or page.parent == ROOT, first
    assert re.match(r"[A-Z]", first), first


@each_page
def test_a_file_that_a_page_names_with_its_folder_exists(page: Path) -> None:
    assert [name for name in NAMED_FILE.findall(page.read_text()) if not (ROOT / name).exists()] == []


FILES = ["/" + str(file.relative_to(ROOT)) for folder in FOLDERS for file in (ROOT / folder).rglob("*.*")]


@each_page
def test_a_file_in_a_picture_exists_though_its_first_folders_are_left_out(page: Path) -> None:
    drawn = {
        name for picture in pictures(page) for name in re.findall(r"(?<![\w/.-])[\w/]+\.(?:py|json|md)\b", picture)
    }
    assert [name for name in drawn if not any(file.endswith(f"/{name}") for file in FILES)] == []


def test_the_readme_is_read_in_one_look() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_README_LINES


@each_page
def test_a_resource_in_a_picture_is_one_of_the_template(page: Path) -> None:
    drawn = {name for picture in pictures(page) for name in RESOURCE.findall(picture)}
    assert drawn <= set(template()["Resources"])


def test_the_picture_of_the_parts_has_all_that_keeps_state_and_every_way_in() -> None:
    kinds = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Serverless::StateMachine", "AWS::Serverless::Api")
    parts = {name for name, one in template()["Resources"].items() if one["Type"] in kinds}
    assert parts <= set(RESOURCE.findall(pictures(DOCS / "architecture.md")[0]))


def drawing_of(machine: Machine) -> str:
    page = (DOCS / "architecture.md").read_text()
    found = re.search(rf"<!-- drawn from {machine.folder}/.*? -->(.*?)<!-- end", page, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("machine", [SYNC, DELETE], ids=str)
def test_a_drawing_has_every_state_in_which_something_is_done_or_decided(machine: Machine) -> None:
    drawing = drawing_of(machine)
    asked = {state["Next"] for state in machine.states.values() if state["Type"] == "Task"}
    for name, state in machine.states.items():
        is_own_question = state["Type"] == "Choice" and name in asked
        if state["Type"] in ("Task", "Map", "Succeed", "Fail") or (state["Type"] == "Choice" and not is_own_question):
            assert re.search(rf"\b{name.removesuffix('?')}(?:\[|\(\[|\{{)", drawing), name


@pytest.mark.parametrize("machine", [SYNC, DELETE], ids=str)
def test_a_drawing_leads_where_the_machine_leads(machine: Machine) -> None:
    arrows = set(re.findall(r"(\w+) (?:-->|-\.->)(?:\|[^|]*\|)? (\w+)", drawing_of(machine))) - {
        ("START", machine.definition["StartAt"])
    }
    assert arrows == {
        (name.removesuffix("?"), to.removesuffix("?"))
        for name, state in machine.states.items()
        for to in ways(machine.states, name, state)
    }


def ways(states: dict[str, Any], name: str, state: dict[str, Any]) -> set[str]:
    """Where a state leads, over the question that is put to its answer and over waits; ends of Maps lead nowhere."""
    asked = {one.get("Next") for one in states.values() if one["Type"] == "Task"}
    if state["Type"] in ("Wait", "Pass") or name in asked:
        return set()
    found: set[str] = set()
    for to in transitions(state):
        found |= transitions(states[to]) if state["Type"] == "Task" and to in asked else {to}
    over_waits = {states[to]["Next"] if states[to]["Type"] == "Wait" else to for to in found}
    return {to for to in over_waits if states[to]["Type"] != "Pass"}


@pytest.mark.parametrize("machine", MACHINES)
def test_a_page_without_a_place_for_a_machine_is_refused(machine: str) -> None:
    page = (DOCS / "architecture.md").read_text()
    with pytest.raises(ValueError, match=f"no place for the machine {machine}"):
        insert_drawings(page.replace(f"drawn from functions/{machine}/", ""))
