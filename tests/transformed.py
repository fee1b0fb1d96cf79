"""template.yaml after the SAM transform, and what of it an update must not replace: `python -m tests.transformed`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cfnlint.decode import cfn_yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from cfnlint.template import Template
from cfnlint.template.transforms import _language_extensions
from samcli.lib.translate.sam_template_validator import SamTemplateValidator

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "template.yaml"
#: What the deployed stacks hold, written by `make baseline`.
BASELINE = ROOT / "tests" / "contract" / "stateful_resources.json"
REGION = "eu-central-1"
# A replaced API has another address, which callers keep as others keep data.
STATEFUL = frozenset(
    {
        "AWS::ApiGateway::RestApi",
        "AWS::DynamoDB::Table",
        "AWS::KMS::Key",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
    }
)
LOOP = "Fn::ForEach::"
_SAM = "AWS::Serverless-2016-10-31"
_POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")
_KEPT = ("Retain", "RetainExceptOnCreate")

type Resources = dict[str, dict[str, Any]]


class _AwsManagedPolicies:
    """The managed policies that SAM attaches by name; nothing is looked up in an account."""

    def load(self) -> dict[str, str]:
        return {}


def expand(text: str | None = None) -> dict[str, Any]:
    """Return a template, by default the repository's, with every loop written out, as AWS::LanguageExtensions does it.

    The linter's expansion, because it leaves everything else as it is; sam's own puts values for all parameters.

    Raises:
        ValueError: a loop cannot be expanded.
    """
    written = cfn_yaml.loads(text or TEMPLATE.read_text())
    problems, template = _language_extensions.language_extension(Template(TEMPLATE.name, written, [REGION]))
    if problems:
        raise ValueError("; ".join(str(problem) for problem in problems))
    whole: dict[str, Any] = json.loads(json.dumps(template))
    kept = written["Resources"].keys()
    whole["Resources"] = {
        name: resource if name in kept else _settle(resource) for name, resource in whole["Resources"].items()
    }
    return {**whole, "Transform": _SAM}


def _settle(node: Any) -> Any:
    """Return a part of an expanded loop with every Fn::Sub done that has nothing but literals for its names."""
    if isinstance(node, list):
        return [_settle(one) for one in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {"Fn::Sub": [str(text), dict(values)]} if all(isinstance(value, str) for value in values.values()):
            for name, value in values.items():
                text = text.replace(f"${{{name}}}", value)
            return {"Fn::Sub": text} if "${" in text else text
    return {key: _settle(value) for key, value in node.items()}


def transform(text: str | None = None, **parameters: str) -> Resources:
    """Return the resources that CloudFormation gets for a template, by default the repository's."""
    resources: Resources = transform_whole(text, **parameters)["Resources"]
    return resources


def transform_whole(text: str | None = None, **parameters: str) -> dict[str, Any]:
    """Return all that CloudFormation gets for a template, by default the repository's."""
    validator = SamTemplateValidator(
        expand(text),
        _AwsManagedPolicies(),
        region=REGION,
        parameter_overrides=parameters or None,
    )
    transformed: dict[str, Any] = yaml.safe_load(validator.get_translated_template_if_valid())
    return transformed


def stateful(resources: Resources) -> Resources:
    """Return of each stateful resource its type, policies, the properties whose change replaces it, and its indexes."""
    return {
        name: {
            "Type": resource["Type"],
            **{policy: resource.get(policy, "Delete") for policy in _POLICIES},
            "CreateOnly": {path: _find(resource, path) for path in _create_only(resource["Type"])},
            "Indexes": _find(resource, "GlobalSecondaryIndexes") or [],
        }
        for name, resource in sorted(resources.items())
        if resource["Type"] in STATEFUL
    }


def dangers(before: Resources, after: Resources) -> Iterator[str]:
    """Yield what an update from one set of stateful resources to another replaces, no longer keeps or cannot do."""
    for name, old in before.items():
        new = after.get(name)
        if new is None or new["Type"] != old["Type"]:
            yield f"{name} is renamed or gone: what it holds stays behind or is deleted"
            continue
        for path, value in old["CreateOnly"].items():
            if new["CreateOnly"].get(path) != value:
                yield f"{name} is replaced: {path} was {json.dumps(value)}"
        for path in new["CreateOnly"].keys() - old["CreateOnly"].keys():
            if new["CreateOnly"][path] is not None:
                yield f"{name} is replaced: {path} was not there"
        for policy in _POLICIES:
            if old[policy] in _KEPT and new[policy] not in _KEPT:
                yield f"{name} is not retained any more: {policy} is {new[policy]}"
        if len(changes := list(_index_changes(old["Indexes"], new["Indexes"]))) > 1:
            yield f"{name} cannot be updated at once: {', '.join(changes)}"


def _index_changes(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    """Yield each index that is made or deleted: DynamoDB does one per table and update.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html
    """
    for verb, here, there in (("deletes", old, new), ("makes", new, old)):
        yield from (f"{verb} {index['IndexName']}" for index in here if index not in there)


@cache
def _create_only(resource_type: str) -> tuple[str, ...]:
    """The paths that CloudFormation's own schema of a type lists; conditional ones count, too."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, resource_type).schema
    paths = [*(schema.get("createOnlyProperties") or ()), *(schema.get("conditionalCreateOnlyProperties") or ())]
    return tuple(sorted(path.removeprefix("/properties/") for path in paths))


def _find(resource: dict[str, Any], path: str) -> Any:
    value: Any = resource.get("Properties", {})
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, dict) else None
    return value


if __name__ == "__main__":
    BASELINE.write_text(json.dumps(stateful(transform()), indent=2) + "\n")
    print(f"wrote {BASELINE.relative_to(ROOT)}")
