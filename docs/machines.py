"""Draw the state machines from their definitions, as Mermaid flowcharts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FUNCTIONS = Path(__file__).parents[1] / "functions"
#: Marks of the part of a page that is drawn, filled in with the folder of the machine.
_BEGINS, _ENDS = "<!-- drawn from functions/{}/state_machine.asl.json -->", "<!-- end of the drawing -->"
MACHINES = ("sync", "delete")
_FUNCTION = re.compile(r"\$\{(\w+)FunctionArn\}")

_State = dict[str, Any]


def insert_drawings(page: str) -> str:
    """Return a page with the drawing of each machine between its marks.

    Raises:
        ValueError: the page has no place for a machine.
    """
    for machine in MACHINES:
        before, begins, rest = page.partition(_BEGINS.format(machine))
        _, ends, after = rest.partition(_ENDS)
        if not begins or not ends:
            raise ValueError(f"the page has no place for the machine {machine}")
        page = f"{before}{begins}\n\n```mermaid\n{draw(_definition(machine))}\n```\n\n{ends}{after}"
    return page


def _definition(machine: str) -> _State:
    definition: _State = json.loads((_FUNCTIONS / machine / "state_machine.asl.json").read_text(encoding="utf-8"))
    return definition


def draw(definition: _State) -> str:
    """Return the flowchart of a machine.

    A step and the question that its answer is put to are one box: `more` and `wait` lead back to it, and what they pass
    through is not drawn. A dotted arrow leads to where a step goes that failed or broke off.
    """
    lines = ("START(( ))", f"START --> {definition['StartAt']}", *_scope(definition))
    return "\n".join(["flowchart TD", *(f"  {line}" for line in lines)])


def _scope(scope: _State) -> Iterator[str]:
    states = scope["States"]
    folded = {name: question for name, state in states.items() if (question := _own_question(state, states))}
    hidden = {*folded.values(), *(name for name, state in states.items() if _is_passed_through(state))}
    shown = [name for name in states if name not in hidden]
    for name in shown:
        yield from _box(name, states[name])
    for name in shown:
        arrows = _answers(name, states[folded[name]], states) if name in folded else _ways(states[name])
        for text, arrow, to in arrows:
            if to not in hidden:
                yield f"{_id(name)} {arrow}{f'|{text}|' if text else ''} {_id(to)}"


def _box(name: str, state: _State) -> Iterator[str]:
    if state["Type"] == "Map":
        items = f"each of {state['ItemsPath'].removeprefix('$.')}, {state['MaxConcurrency']} at a time"
        yield f'subgraph {name}["{name}<br/><i>{state["Comment"]}: {items}</i>"]'
        yield from (f"  {line}" for line in _scope(state["ItemProcessor"]))
        yield "end"
        return
    left, right = {"Choice": ('{"', '"}'), "Task": ('["', '"]')}.get(state["Type"], ('(["', '"])'))
    label = _FUNCTION.sub(r"\1", state["Resource"]) if state["Type"] == "Task" else name
    comment = f"<br/><i>{state['Comment']}</i>" if state["Type"] == "Task" and "Comment" in state else ""
    yield f"{_id(name)}{left}{label}{comment}{right}"


def _own_question(state: _State, states: dict[str, _State]) -> str:
    """Return the Choice behind a step that looks at nothing but its status; empty without one."""
    question = state.get("Next", "")
    asked = states.get(question, {}).get("Choices", ())
    is_own = bool(asked) and all(choice["Variable"] == f"{state.get('ResultPath')}.status" for choice in asked)
    return question if is_own and state["Type"] == "Task" else ""


def _is_passed_through(state: _State) -> bool:
    return state["Type"] == "Wait" or (state["Type"] == "Pass" and bool(state.get("End")))


def _answers(name: str, question: _State, states: dict[str, _State]) -> Iterator[tuple[str, str, str]]:
    """Yield (text, arrow, state) for what a step may answer, and for its breaking off."""
    leads_to = {choice["StringEquals"]: choice["Next"] for choice in question["Choices"]}
    back = [answer for answer, to in leads_to.items() if name in (to, states[to].get("Next"))]
    yield " · ".join(back), "-->", name
    failing = {catch["Next"] for catch in states[name].get("Catch", ())}
    for answer, to in leads_to.items():
        if answer == "failed":
            failing.add(to)
        elif answer not in back:
            yield "", "-->", to
    if "done" in leads_to:
        failing.add(question["Default"])
    else:
        yield "", "-->", question["Default"]
    for to in sorted(failing):
        yield "", "-.->", to


def _ways(state: _State) -> Iterator[tuple[str, str, str]]:
    for choice in state.get("Choices", ()):
        yield "yes" if choice.get("BooleanEquals") else str(choice.get("StringEquals", "")), "-->", choice["Next"]
    if "Default" in state:
        yield "no", "-->", state["Default"]
    if "Next" in state:
        yield "", "-->", state["Next"]
    for catch in state.get("Catch", ()):
        yield "", "-.->", catch["Next"]


def _id(name: str) -> str:
    return name.removesuffix("?")
