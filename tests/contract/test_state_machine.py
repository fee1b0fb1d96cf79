"""The state machines: what no linter checks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from shared.domain.job import MAP_CONCURRENCY, Places, places_for
from shared.use_cases.jobs.step import LONGEST_REQUEST_S, LONGEST_STEP_S
from tests.aws import template
from tests.contract.test_template import granted

ROOT = Path(__file__).parents[2]
TEMPLATE = template()


def scopes(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The machine and the machine inside each Map: a transition never leaves its scope."""
    yield machine
    for state in machine["States"].values():
        if state["Type"] == "Map":
            yield from scopes(state["ItemProcessor"])


@dataclass(frozen=True)
class Machine:
    """One machine: the folder of its definition, its logical id, its last step and its phases in order."""

    folder: str
    logical_id: str
    last_step: str
    phases: tuple[str, ...]

    def __str__(self) -> str:
        return self.logical_id

    @cached_property
    def definition(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((ROOT / self.folder / "state_machine.asl.json").read_text())
        return found

    @cached_property
    def states(self) -> dict[str, dict[str, Any]]:
        return {name: s for scope in scopes(self.definition) for name, s in scope["States"].items()}

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = TEMPLATE["Resources"][self.logical_id]["Properties"]
        return found


SYNC = Machine(
    "functions/sync",
    "SyncStateMachine",
    "FinishJob",
    (
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
    ),
)
DELETE = Machine(
    "functions/delete", "DeleteStateMachine", "FinishDeletion", ("PlanDeletion", "DeleteBatch", "FinishDeletion")
)
MACHINES = (SYNC, DELETE)


def of_type(kind: str) -> list[Any]:
    """(machine, name) of every state of a type, in both machines."""
    return [
        pytest.param(machine, name, id=f"{machine}-{name}")
        for machine in MACHINES
        for name, state in machine.states.items()
        if state["Type"] == kind
    ]


TASKS, MAPS = of_type("Task"), of_type("Map")
each_machine = pytest.mark.parametrize("machine", MACHINES, ids=str)
each_task = pytest.mark.parametrize(("machine", "name"), TASKS)
each_map = pytest.mark.parametrize(("machine", "name"), MAPS)


def transitions(state: dict[str, Any]) -> set[str]:
    rules = [*state.get("Choices", []), *state.get("Catch", [])]
    return {rule["Next"] for rule in rules} | {state[key] for key in ("Next", "Default") if key in state}


def function_of(task: dict[str, Any]) -> str:
    found = re.fullmatch(r"\$\{(\w+Function)Arn\}", task["Resource"])
    assert found, task["Resource"]
    return found[1]


@each_machine
def test_every_transition_leads_to_a_state_of_its_scope(machine: Machine) -> None:
    for scope in scopes(machine.definition):
        reached = {scope["StartAt"]}.union(*map(transitions, scope["States"].values()))
        assert reached == set(scope["States"])


@each_machine
def test_state_names_are_unique_in_the_whole_machine(machine: Machine) -> None:
    names = [name for scope in scopes(machine.definition) for name in scope["States"]]
    assert len(names) == len(set(names))


@each_machine
def test_choices_ask_a_question_and_know_what_to_do_without_an_answer(machine: Machine) -> None:
    for name, state in machine.states.items():
        assert name.endswith("?") is (state["Type"] == "Choice"), name
        assert state["Type"] != "Choice" or "Default" in state, name


@each_task
def test_task_is_the_function_of_its_name(machine: Machine, name: str) -> None:
    step = function_of(machine.states[name]).removesuffix("Function")
    assert name == step or (step == "RecordFailure" and name.startswith("RecordFailureOf"))


@each_machine
def test_every_step_function_is_a_task_and_the_other_way_round(machine: Machine) -> None:
    declared = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        and resource["Properties"]["CodeUri"].startswith(f"{machine.folder}/")
    }
    tasks = (state for state in machine.states.values() if state["Type"] == "Task")
    assert {function_of(task) for task in tasks} == declared


@each_machine
def test_substitutions_are_those_that_the_template_gives(machine: Machine) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(machine.definition)))
    given = machine.properties["DefinitionSubstitutions"]
    assert used == set(given)
    for name, arn in given.items():
        assert arn == {"Ref": f"{name.removesuffix('Arn')}.Alias"}


@each_machine
def test_the_machine_may_invoke_exactly_its_functions(machine: Machine) -> None:
    (invoke,) = (
        statement
        for policy in machine.properties["Policies"]
        for statement in policy["Statement"]
        if statement["Action"] == "lambda:InvokeFunction"
    )
    assert invoke["Resource"] == list(machine.properties["DefinitionSubstitutions"].values())


# What Lambda answers where it did not run the function: https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
REFUSALS = {
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
}


@each_task
def test_task_is_tried_again_on_everything_with_full_jitter(machine: Machine, name: str) -> None:
    retry = machine.states[name]["Retry"][-1]
    assert retry["ErrorEquals"] == ["States.ALL"]
    assert retry["MaxAttempts"] == 3
    assert retry["JitterStrategy"] == "FULL"


@each_task
def test_task_that_lambda_refuses_waits_for_room_and_spends_no_try(machine: Machine, name: str) -> None:
    refused, _everything = machine.states[name]["Retry"]
    assert set(refused["ErrorEquals"]) == REFUSALS
    assert refused["JitterStrategy"] == "FULL"
    assert refused["MaxDelaySeconds"] == 60
    waits = [
        min(refused["MaxDelaySeconds"], refused["IntervalSeconds"] * refused["BackoffRate"] ** number)
        for number in range(refused["MaxAttempts"])
    ]
    # With full jitter half of that: longer than the invocations that take the room may take twice.
    assert sum(waits) / 2 > 2 * TEMPLATE["Parameters"]["StepTimeout"]["MaxValue"]
    assert len(waits) == 20


@each_task
def test_task_outlives_its_function(machine: Machine, name: str) -> None:
    assert TEMPLATE["Resources"][function_of(machine.states[name])]["Properties"]["Timeout"] == {"Ref": "StepTimeout"}
    assert machine.states[name]["TimeoutSeconds"] > TEMPLATE["Parameters"]["StepTimeout"]["MaxValue"]


@each_task
def test_task_has_a_way_out_that_carries_no_error_text(machine: Machine, name: str) -> None:
    (catch,) = machine.states[name]["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    assert catch["ResultPath"] is None


@each_map
def test_a_failure_inside_a_map_is_recorded_and_ends_only_its_batch(machine: Machine, name: str) -> None:
    processor = machine.states[name]["ItemProcessor"]
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


@each_map
def test_map_is_bounded_and_hands_nothing_on(machine: Machine, name: str) -> None:
    assert machine.states[name]["MaxConcurrency"] == MAP_CONCURRENCY
    assert machine.states[name]["ResultPath"] is None
    ends = [state for state in machine.states[name]["ItemProcessor"]["States"].values() if state.get("End")]
    assert ends == [{"Type": "Pass", "Result": {}, "End": True}]


@each_task
def test_task_is_given_ids_only_and_knows_its_execution(machine: Machine, name: str) -> None:
    given = machine.states[name]["Parameters"]
    assert {
        "org_id.$": "$.org_id",
        "job_id.$": "$.job_id",
        "execution_id.$": "$$.Execution.Id",
    }.items() <= given.items()
    assert set(given) - {"org_id.$", "job_id.$", "execution_id.$"} <= {"batch.$", "resource_type.$", "step"}


@pytest.mark.parametrize(("machine", "name"), [task for task in TASKS if "RecordFailure" not in str(task.id)])
def test_step_that_has_more_to_do_comes_back_at_once_and_one_that_waits_after_its_wait(
    machine: Machine, name: str
) -> None:
    question = machine.states[machine.states[name]["Next"]]
    result = machine.states[name]["ResultPath"]
    answers = {
        choice["StringEquals"]: choice["Next"]
        for choice in question["Choices"]
        if choice.get("Variable") == f"{result}.status"
    }
    assert answers["more"] == name
    assert machine.states[answers["wait"]] == {"Type": "Wait", "SecondsPath": f"{result}.wait_seconds", "Next": name}


@each_machine
def test_whatever_fails_outside_a_map_ends_in_the_step_that_closes_the_job(machine: Machine) -> None:
    for name, state in machine.definition["States"].items():
        for catch in state.get("Catch", []):
            assert catch["Next"] == ("JobNotFinished" if name == machine.last_step else machine.last_step), name
        if state["Type"] == "Choice" and any(c.get("StringEquals") == "done" for c in state["Choices"]):
            assert state["Default"] == machine.last_step, name


@each_machine
def test_phases_follow_each_other_in_order(machine: Machine) -> None:
    states = machine.definition["States"]
    order, name = [], machine.definition["StartAt"]
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        state = states[name]
        if state["Type"] in {"Task", "Map"}:
            order.append(name)
        onward = {choice.get("StringEquals"): choice["Next"] for choice in state.get("Choices", [])}
        flags = [choice["Next"] for choice in state.get("Choices", []) if choice.get("BooleanEquals")]
        if state["Type"] == "Choice" and not onward.get("done") and flags:
            follow = state["Default"] if flags[0] in {*seen, machine.last_step} else flags[0]
        else:
            follow = onward.get("done") or state.get("Next") or state.get("Default") or name
        name = follow
    assert tuple(order) == machine.phases


def test_a_dry_run_writes_nothing_but_its_plan() -> None:
    assert SYNC.definition["States"]["IsDryRun?"]["Choices"] == [
        {"Variable": "$.plan.dry_run", "BooleanEquals": True, "Next": "FinishJob"}
    ]


def test_as_many_jobs_run_as_the_reserved_invocations_of_each_step_carry() -> None:
    parameters = TEMPLATE["Parameters"]
    assert places_for(parameters["SyncConcurrency"]["Default"]) == Places()
    assert parameters["FetchConcurrency"]["Default"] == Places().total
    assert parameters["SyncConcurrency"]["MinValue"] == MAP_CONCURRENCY
    assert places_for(MAP_CONCURRENCY) == Places(total=1, caller=1)


def test_places_are_free_when_nothing_of_a_job_can_run_any_more() -> None:
    assert TEMPLATE["Parameters"]["StepTimeout"]["MaxValue"] == LONGEST_STEP_S - LONGEST_REQUEST_S


def reserved(name: str) -> Any:
    return TEMPLATE["Resources"][f"{name}Function"]["Properties"].get("ReservedConcurrentExecutions")


def test_every_step_that_calls_an_api_has_reserved_concurrency() -> None:
    callers = {
        name.removesuffix("Function")
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
        and resource["Properties"]["CodeUri"].split("/")[1] in ("sync", "delete")
        and ("kms:Decrypt", "CredentialsKey") in granted(name)
    }
    # Those who close a job renew what is left of its credentials and call nobody.
    callers -= {machine.last_step for machine in MACHINES}
    assert len(callers) == 8
    for name in callers:
        parameter = "FetchConcurrency" if name == "FetchSources" else "SyncConcurrency"
        assert reserved(name) == {"If": ["ReservesConcurrency", {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}
