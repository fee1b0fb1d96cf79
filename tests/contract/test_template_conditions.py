"""The transformed template over all combinations of what its conditions ask: what CloudFormation would make of each."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import ManualArgs, lint

from tests.transformed import REGION, Resources, transform_whole

ROOT = Path(__file__).parents[2]
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: ten; two stay free for an account's own.
MOST_POLICIES = 8
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html: 500
MOST_RESOURCES = 450
#: Every parameter that decides what there is, with the values that make a difference.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "DeployGradually": ("true", "false"),
    "Environment": ("prod", "local"),
    "AlarmTopicArn": ("arn:aws:sns:eu-central-1:123456789012:alarms", ""),
    "ReserveConcurrency": ("true", "false"),
    "ConfigureApiGatewayAccount": ("true", "false"),
    "RequestsPerAddress": ("2000", "0"),
}
COMBINATIONS = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
Choice = Mapping[str, str]


def name_of(choice: Choice) -> str:
    return " ".join(f"{name}={value[:5]}" for name, value in choice.items())


@cache
def transformed(gradually: str) -> dict[str, Any]:
    return transform_whole(DeployGradually=gradually)


@cache
def _made(values: tuple[str, ...]) -> dict[str, Any]:
    choice = dict(zip(CHOICES, values, strict=True))
    whole = transformed(choice["DeployGradually"])
    parameters = {name: one.get("Default") for name, one in whole["Parameters"].items()} | choice
    holds = {name: _holds(condition, parameters) for name, condition in whole["Conditions"].items()}
    resources = {
        name: {key: value for key, value in resource.items() if key != "Condition"}
        for name, resource in whole["Resources"].items()
        if "Condition" not in resource or holds[resource["Condition"]]
    }
    kept = {key: value for key, value in whole.items() if key not in ("Conditions", "Resources")}
    return {**kept, "Resources": _chosen(resources, holds)}


def made(choice: Choice) -> dict[str, Any]:
    """Return the template of one combination: without conditions, without what they leave out."""
    return _made(tuple(choice.values()))


def _holds(condition: Any, parameters: Mapping[str, Any]) -> bool:
    ((kind, arguments),) = condition.items()
    if kind == "Fn::Not":
        return not _holds(arguments[0], parameters)
    assert kind == "Fn::Equals", kind
    left, right = (parameters[one["Ref"]] if isinstance(one, dict) else one for one in arguments)
    return bool(str(left) == str(right))


_LEFT_OUT = object()


def _chosen(node: Any, holds: Mapping[str, bool]) -> Any:
    """Return a part of the template with every choice made and every AWS::NoValue left out."""
    if isinstance(node, list):
        return [chosen for one in node if (chosen := _chosen(one, holds)) is not _LEFT_OUT]
    if not isinstance(node, dict):
        return node
    if "Fn::If" in node:
        condition, then, otherwise = node["Fn::If"]
        return _chosen(then if holds[condition] else otherwise, holds)
    if node == {"Ref": "AWS::NoValue"}:
        return _LEFT_OUT
    return {key: chosen for key, value in node.items() if (chosen := _chosen(value, holds)) is not _LEFT_OUT}


def references(node: Any) -> Iterator[str]:
    """Yield every name that a part of the template refers to."""
    if isinstance(node, list):
        for one in node:
            yield from references(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.partition(".")[0]
            elif key == "DependsOn":
                yield from [value] if isinstance(value, str) else value
            else:
                known = value[1] if key == "Fn::Sub" and isinstance(value, list) else {}
                if key == "Fn::Sub":
                    text = value if isinstance(value, str) else value[0]
                    names = re.findall(r"\$\{([\w:]+)[\w.]*\}", text)
                    yield from (one for one in names if one not in known)
                yield from references(value)


def of_type(resources: Resources, kind: str) -> Resources:
    return {name: one for name, one in resources.items() if one["Type"] == kind}


@pytest.mark.parametrize("choice", COMBINATIONS, ids=name_of)
def test_nothing_refers_to_what_is_left_out(choice: Choice) -> None:
    template = made(choice)
    known = {*template["Resources"], *template["Parameters"]}
    asked = {one for one in references([template["Resources"], template["Outputs"]]) if not one.startswith("AWS::")}
    assert len(asked) > 100
    assert asked <= known


@pytest.mark.parametrize("choice", COMBINATIONS, ids=name_of)
def test_no_role_has_more_managed_policies_than_its_quota_leaves_room_for(choice: Choice) -> None:
    resources = made(choice)["Resources"]
    attached = {
        name: len(role["Properties"].get("ManagedPolicyArns", []))
        for name, role in of_type(resources, "AWS::IAM::Role").items()
    }
    for policy in of_type(resources, "AWS::IAM::ManagedPolicy").values():
        for role in policy["Properties"].get("Roles", []):
            attached[role["Ref"]] += 1
    assert max(attached.values()) >= 6
    assert {name: number for name, number in attached.items() if number > MOST_POLICIES} == {}


def counted(choice: Choice) -> tuple[int, Counter[str]]:
    """Return how many resources there are, and how many metrics alarms read: per API, for objectives, others."""
    resources = made(choice)["Resources"]
    composites = of_type(resources, "AWS::CloudWatch::CompositeAlarm")
    windows = set(references([one["Properties"]["AlarmRule"] for one in composites.values()]))
    read: Counter[str] = Counter(composites=len(composites))
    for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
        metrics = sum("MetricStat" in query for query in alarm["Properties"].get("Metrics", [])) or 1
        per_api = "downstream-api" in alarm["Properties"]["AlarmDescription"]
        read["per API" if per_api else "objectives" if name in windows else "others"] += metrics
        read["alarms"] += 1
    return len(resources), read


@pytest.mark.parametrize("choice", COMBINATIONS, ids=name_of)
def test_there_is_room_below_the_limit_of_resources(choice: Choice) -> None:
    resources, _ = counted(choice)
    assert 200 < resources < MOST_RESOURCES


def test_what_is_counted_stands_in_the_documents() -> None:
    full = {**COMBINATIONS[0], "DeployGradually": "false"}
    most, read = counted(COMBINATIONS[0])
    least, _ = counted(COMBINATIONS[-1])
    print(f"\nresources: {least} to {most}; {dict(read)}")
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert (
        f"those per API read {read['per API']}, the objectives {read['objectives']} in {read['composites']} composites,"
        f" all others {read['others']}"
    ) in operations.replace("\n", " ")
    assert (
        f"{counted(full)[0]} resources, of at most 500, with gradual deployment {most - counted(full)[0]} more"
        in (ROOT / "docs" / "decisions.md").read_text()
    )


@pytest.mark.long
@pytest.mark.parametrize("choice", COMBINATIONS, ids=name_of)
def test_the_linter_finds_nothing(choice: Choice) -> None:
    template = made(choice)
    given = {
        # The linter tries the least value, too; under a condition there is but the chosen one.
        name: {key: value for key, value in one.items() if key != "MinValue"} | {"Default": choice[name]}
        if name in choice
        else one
        for name, one in template["Parameters"].items()
        if name in set(references(template))
    }
    # What loops looked up stands in what they became.
    whole = {key: value for key, value in template.items() if key != "Mappings"} | {"Parameters": given}
    found = lint(json.dumps(whole), config=ManualArgs(regions=[REGION]))
    assert [str(one) for one in found] == []
