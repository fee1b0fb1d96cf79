"""state_machine.asl.json: what no linter checks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws import template

ROOT = Path(__file__).parents[2]
MACHINE: dict[str, Any] = json.loads((ROOT / "functions/sync/state_machine.asl.json").read_text())
TEMPLATE = template()
PROPERTIES: dict[str, Any] = TEMPLATE["Resources"]["SyncStateMachine"]["Properties"]


def scopes(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The machine and the machine inside each Map: a transition never leaves its scope."""
    yield machine
    for state in machine["States"].values():
        if state["Type"] == "Map":
            yield from scopes(state["ItemProcessor"])


STATES: dict[str, dict[str, Any]] = {name: s for scope in scopes(MACHINE) for name, s in scope["States"].items()}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: state for name, state in STATES.items() if state["Type"] == kind}


TASKS, MAPS = of_type("Task"), of_type("Map")


def transitions(state: dict[str, Any]) -> set[str]:
    rules = [*state.get("Choices", []), *state.get("Catch", [])]
    return {rule["Next"] for rule in rules} | {state[key] for key in ("Next", "Default") if key in state}


def function_of(task: dict[str, Any]) -> str:
    found = re.fullmatch(r"\$\{(\w+Function)Arn\}", task["Resource"])
    assert found, task["Resource"]
    return found[1]


def test_every_transition_leads_to_a_state_of_its_scope() -> None:
    for scope in scopes(MACHINE):
        reached = {scope["StartAt"]}.union(*map(transitions, scope["States"].values()))
        assert reached == set(scope["States"])


def test_state_names_are_unique_in_the_whole_machine() -> None:
    names = [name for scope in scopes(MACHINE) for name in scope["States"]]
    assert len(names) == len(set(names))


def test_choices_ask_a_question_and_know_what_to_do_without_an_answer() -> None:
    for name, state in STATES.items():
        assert name.endswith("?") is (state["Type"] == "Choice"), name
        assert state["Type"] != "Choice" or "Default" in state, name


@pytest.mark.parametrize("name", TASKS)
def test_task_is_the_function_of_its_name(name: str) -> None:
    step = function_of(TASKS[name]).removesuffix("Function")
    assert name == step or (step == "RecordFailure" and name.startswith("RecordFailureOf"))


def test_every_step_function_is_a_task_and_the_other_way_round() -> None:
    declared = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        and resource["Properties"]["CodeUri"].startswith("functions/sync/")
    }
    assert {function_of(task) for task in TASKS.values()} == declared


def test_substitutions_are_those_that_the_template_gives() -> None:
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(MACHINE)))
    given = PROPERTIES["DefinitionSubstitutions"]
    assert used == set(given)
    for name, arn in given.items():
        assert arn == {"GetAtt": f"{name.removesuffix('Arn')}.Arn"}


def test_the_machine_may_invoke_exactly_its_functions() -> None:
    (invoke,) = (
        statement
        for policy in PROPERTIES["Policies"]
        for statement in policy["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    )
    assert invoke["Resource"] == list(PROPERTIES["DefinitionSubstitutions"].values())


@pytest.mark.parametrize("name", TASKS)
def test_task_is_tried_again_on_everything_with_full_jitter(name: str) -> None:
    (retry,) = TASKS[name]["Retry"]
    assert retry["ErrorEquals"] == ["States.ALL"]
    assert retry["MaxAttempts"] == 3
    assert retry["JitterStrategy"] == "FULL"


@pytest.mark.parametrize("name", TASKS)
def test_task_outlives_its_function(name: str) -> None:
    assert TEMPLATE["Resources"][function_of(TASKS[name])]["Properties"]["Timeout"] == {"Ref": "StepTimeout"}
    assert TASKS[name]["TimeoutSeconds"] > TEMPLATE["Parameters"]["StepTimeout"]["MaxValue"]


@pytest.mark.parametrize("name", TASKS)
def test_task_has_a_way_out_that_carries_no_error_text(name: str) -> None:
    (catch,) = TASKS[name]["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    assert catch["ResultPath"] is None


@pytest.mark.parametrize("name", MAPS)
def test_a_failure_inside_a_map_is_recorded_and_ends_only_its_batch(name: str) -> None:
    processor = MAPS[name]["ItemProcessor"]
    assert processor["ProcessorConfig"] == {"Mode": "INLINE"}
    states = processor["States"]
    step = processor["StartAt"]
    recorder = states[step]["Catch"][0]["Next"]
    assert recorder == f"RecordFailureOf{step}"
    assert states[recorder]["Parameters"]["step"] == step
    ended = states[recorder]["Next"]
    assert states[recorder]["Catch"][0]["Next"] == ended
    assert states[states[step]["Next"]]["Default"] == ended
    assert not any(state["Type"] == "Fail" for state in states.values())


@pytest.mark.parametrize("name", MAPS)
def test_map_is_bounded_and_hands_nothing_on(name: str) -> None:
    assert MAPS[name]["MaxConcurrency"] == 8
    assert MAPS[name]["ResultPath"] is None
    ends = [state for state in MAPS[name]["ItemProcessor"]["States"].values() if state.get("End")]
    assert ends == [{"Type": "Pass", "Result": {}, "End": True}]


@pytest.mark.parametrize("name", TASKS)
def test_task_is_given_ids_only_and_knows_its_execution(name: str) -> None:
    given = TASKS[name]["Parameters"]
    assert {
        "org_id.$": "$.org_id",
        "job_id.$": "$.job_id",
        "execution_id.$": "$$.Execution.Id",
    }.items() <= given.items()
    assert set(given) - {"org_id.$", "job_id.$", "execution_id.$"} <= {"batch.$", "resource_type.$", "step"}


@pytest.mark.parametrize("name", [name for name in TASKS if not name.startswith("RecordFailure")])
def test_step_that_has_more_to_do_comes_back_at_once_and_one_that_waits_after_its_wait(name: str) -> None:
    question = STATES[TASKS[name]["Next"]]
    result = TASKS[name]["ResultPath"]
    answers = {
        choice["StringEquals"]: choice["Next"]
        for choice in question["Choices"]
        if choice.get("Variable") == f"{result}.status"
    }
    assert answers["more"] == name
    assert STATES[answers["wait"]] == {"Type": "Wait", "SecondsPath": f"{result}.wait_seconds", "Next": name}


@pytest.mark.parametrize("name", MACHINE["States"])
def test_whatever_fails_outside_a_map_ends_in_finish_job(name: str) -> None:
    state = MACHINE["States"][name]
    for catch in state.get("Catch", []):
        assert catch["Next"] == ("JobNotFinished" if name == "FinishJob" else "FinishJob")
    if state["Type"] == "Choice" and any(c.get("StringEquals") == "done" for c in state["Choices"]):
        assert state["Default"] == "FinishJob"


def test_phases_follow_each_other_in_order() -> None:
    order, name = [], MACHINE["StartAt"]
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        state = MACHINE["States"][name]
        if state["Type"] in {"Task", "Map"}:
            order.append(name)
        onward = {choice.get("StringEquals"): choice["Next"] for choice in state.get("Choices", [])}
        flags = [choice["Next"] for choice in state.get("Choices", []) if choice.get("BooleanEquals")]
        if state["Type"] == "Choice" and not onward.get("done") and flags:
            follow = state["Default"] if flags[0] in {*seen, "FinishJob"} else flags[0]
        else:
            follow = onward.get("done") or state.get("Next") or state.get("Default") or name
        name = follow
    assert order == [
        "FetchSources",
        "SnapshotTargets",
        "PlanJob",
        "NextBatches",
        "SyncBatches",
        "ResolveBatches",
        "PatchBatches",
        "FinalizeBatches",
        "VerifyBatches",
        "FinishJob",
    ]


def test_a_dry_run_writes_nothing_but_its_plan() -> None:
    assert MACHINE["States"]["IsDryRun?"]["Choices"] == [
        {"Variable": "$.plan.dry_run", "BooleanEquals": True, "Next": "FinishJob"}
    ]
