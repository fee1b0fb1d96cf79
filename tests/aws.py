"""Make in moto what template.yaml declares, so that no test has a second opinion on a table."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
REGION = "eu-central-1"

_TABLE_PROPERTIES = ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")


class _TemplateLoader(yaml.SafeLoader):
    """Reads intrinsic functions as `{tag: value}`."""


def _intrinsic(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        return {tag: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: loader.construct_scalar(node)}


_TemplateLoader.add_multi_constructor("!", _intrinsic)


@cache
def written() -> dict[str, Any]:
    """Return template.yaml as it is written, loops included, intrinsic functions as `{"Ref": …}` and the like."""
    return yaml.load(TEMPLATE.read_text(), Loader=_TemplateLoader)


@cache
def template() -> dict[str, Any]:
    """Return template.yaml with every loop written out, intrinsic functions as `{"Ref": …}` and the like."""
    from tests.transformed import LOOP, expand  # noqa: PLC0415 - it takes a second, and tables stand in no loop

    resources = written()["Resources"]
    repeated = {name: _short(one) for name, one in expand()["Resources"].items() if name not in resources}
    named = {name: resource for name, resource in resources.items() if not name.startswith(LOOP)}
    return {**written(), "Resources": named | repeated}


def _short(node: Any) -> Any:
    """Return a part of the template with its intrinsic functions named as their tags are."""
    if isinstance(node, list):
        return [_short(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "Fn::GetAtt" in node:
        return {"GetAtt": ".".join(node["Fn::GetAtt"])}
    return {key.removeprefix("Fn::"): _short(value) for key, value in node.items()}


def create_tables(dynamodb: Any) -> dict[str, Any]:
    """Create every table of the template and return them by logical id.

    Args:
        dynamodb: a DynamoDB service resource.
    """
    tables = {}
    for name, resource in written()["Resources"].items():
        if "Type" in resource and resource["Type"] == "AWS::DynamoDB::Table":
            properties = {
                key: resource["Properties"][key] for key in _TABLE_PROPERTIES if key in resource["Properties"]
            }
            tables[name] = dynamodb.create_table(TableName=name, **properties)
    return tables


def forget_adapters() -> None:
    """Drop every adapter and client that the bootstrap made so far: the next test makes its own in its own AWS."""
    for name, module in list(sys.modules.items()):
        if name == "shared.adapters.aws" or name.startswith("shared.bootstrap."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
