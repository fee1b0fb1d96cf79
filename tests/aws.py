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
def template() -> dict[str, Any]:
    """Return template.yaml, intrinsic functions as `{"Ref": …}` and the like."""
    return yaml.load(TEMPLATE.read_text(), Loader=_TemplateLoader)


def create_tables(dynamodb: Any) -> dict[str, Any]:
    """Create every table of the template and return them by logical id.

    Args:
        dynamodb: a DynamoDB service resource.
    """
    tables = {}
    for name, resource in template()["Resources"].items():
        if resource["Type"] == "AWS::DynamoDB::Table":
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
