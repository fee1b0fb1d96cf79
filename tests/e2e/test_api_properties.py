"""Whatever is sent: no 5xx, no status that docs/openapi.json does not declare, no answer outside of its declared shape.

`HUB_API_CASES` sets how many requests are made, 300 by default; what starts jobs does so at most 50 times each.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from docs import openapi
from sandbox.control import SandboxControl
from sandbox.hub_client import Json
from tests.e2e.conftest import Pair, make_pair
from tests.e2e.real_requests import STARTING, RealRequests

pytestmark = pytest.mark.usefixtures("made_up_ids")

CASES = int(os.environ.get("HUB_API_CASES", "300"))
_STEPS = 6
_EXAMPLES_A_RUN = 3
# Two thirds of the requests go to the operations one by one, a third through chains of linked ones.
_A_CHAIN = max(1, CASES // 3 // _STEPS)
_AN_OPERATION = max(1, CASES * 2 // 3 // len(openapi.OPERATIONS))
_STARTS_AT_MOST = min(50, max(5, CASES // 50))
_A_STARTING_ONE = min(_AN_OPERATION, _STARTS_AT_MOST * 3 // 5)
# Of the requests of an operation, one of so many breaks its declaration.
_BROKEN = 5
#: Operations whose bodies name organisations, tokens, resources.
_WITH_BODY = [name for name, operation in openapi.OPERATIONS.items() if operation[3]]

SCHEMA = schemathesis.openapi.from_dict(openapi.build())
SCHEMA.config.generation.update(with_security_parameters=False)


def _settings(examples: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=CASES <= 300,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )


class Asked:
    """Sends cases as a caller of an organisation that nobody else uses, and judges the answers.

    Attributes:
        answers: how many answers an operation gave by status.
        bodies: how many bodies that keep to the declaration an operation was sent while it might start work, and how
            many of those it took.
    """

    def __init__(self, stack: Json, pair: Pair) -> None:
        self._url = stack["api_url"]
        self._token = pair.source_token
        self.real = RealRequests(pair, _STARTS_AT_MOST)
        self.answers: dict[str, Counter[int]] = {name: Counter() for name in openapi.OPERATIONS}
        self.bodies: dict[str, Counter[str]] = {name: Counter() for name in _WITH_BODY}

    def prepare(self, case: schemathesis.Case) -> dict[str, Any]:
        """Fill a case and return how to send it."""
        self.real.fill(_name(case), case)
        return {"base_url": self._url, "headers": {"Authorization": f"Bearer {self._token}"}}

    def judge(self, case: schemathesis.Case, response: Any) -> None:
        name = _name(case)
        self.answers[name][response.status_code] += 1
        is_declared = case.meta.generation.mode is GenerationMode.POSITIVE
        if name in self.bodies and is_declared and self.real.may_start(name):
            self.bodies[name].update(sent=1, taken=int(response.status_code < 300))
        assert response.status_code < 500, f"{name} answered {response.status_code}: {response.text[:300]}"
        if response.status_code in (403, 404) and _is_of_the_engine(response):
            return
        case.validate_response(response, checks=[status_code_conformance, response_schema_conformance])
        self.real.note(name, case, response)


def _name(case: schemathesis.Case) -> str:
    return str(case.operation.definition.raw["operationId"])


def _is_of_the_engine(response: Any) -> bool:
    """Tell whether the local engine answered for a route that is none: it decodes `%2F` before it looks for one."""
    body = response.json()
    return "error" not in body and set(body) <= {"message", "Message", "__type"}


@pytest.fixture(scope="module")
def asked(stack: Json, control: SandboxControl) -> Asked:
    pair = make_pair(stack, control, seed=61)
    for hub in (pair.source, pair.target):
        assert hub.rebuild_index()["status"] == "ready"
    return Asked(stack, pair)


@pytest.mark.parametrize("operation_id", [*openapi.OPERATIONS])
def test_any_request_is_answered_as_declared(asked: Asked, operation_id: str) -> None:
    operation = SCHEMA.find_operation_by_id(operation_id)
    number = _A_STARTING_ONE if operation_id in STARTING else _AN_OPERATION
    modes = {GenerationMode.POSITIVE: number}
    # Where there is nothing but a path, nothing can be wrong about a request.
    if operation.body or operation.query:
        broken = max(1, number // _BROKEN)
        modes = {GenerationMode.POSITIVE: number - broken, GenerationMode.NEGATIVE: broken}
    for mode, examples in modes.items():

        @given(case=operation.as_strategy(generation_mode=mode))
        @_settings(max(1, examples))
        def ask(case: schemathesis.Case) -> None:
            asked.judge(case, case.call(**asked.prepare(case)))

        ask()


def test_any_chain_of_linked_requests_is_answered_as_declared(asked: Asked) -> None:
    wrong: list[str] = []

    class Chain(SCHEMA.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return asked.prepare(case)

        def validate_response(self, response: Any, case: schemathesis.Case, **_: Any) -> None:
            try:
                asked.judge(case, response)
            except Exception as error:
                wrong.append(repr(error))
                raise

    # What an answer links to depends on what the hub did before, so the same draws can lead elsewhere the next time:
    # each run is short and has a seed of its own, and ends where a replay would differ.
    for number in range(max(1, _A_CHAIN // _EXAMPLES_A_RUN)):
        with suppress(FlakyStrategyDefinition):
            seed(number)(Chain).run(settings=_settings(_EXAMPLES_A_RUN, stateful_step_count=_STEPS))
    assert wrong == []


def test_most_bodies_that_keep_to_the_declaration_are_taken(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{sum(answers.total() for answers in asked.answers.values())} requests; work started: ", end="")
        print(", ".join(f"{name} {number}" for name, number in asked.real.started.items()))
        for name, answers in asked.answers.items():
            good = sum(number for status, number in answers.items() if status < 300)
            print(f"  {name:24} {answers.total():5} requests, {good:5} of them 2xx  {dict(sorted(answers.items()))}")
    assert all(number <= _STARTS_AT_MOST for number in asked.real.started.values())
    for name, bodies in asked.bodies.items():
        assert bodies["taken"] > bodies["sent"] / 2, (name, bodies, asked.answers[name])
