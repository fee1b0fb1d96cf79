"""What a template deploys, in a form that two can be compared by: `python -m tests.essence` renews the record."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.transformed import ROOT, Resources, transform

RECORD = ROOT / "tests" / "contract" / "template_essence.json"
_ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
# SAM puts a hash of what they hold at the end of their names, and the API's deployment tells it in its description.
_HASHED = ("AWS::ApiGateway::Deployment", "AWS::Lambda::LayerVersion", "AWS::Lambda::Version")
_HASH = re.compile(r"[0-9a-f]{10}$")
_HASH_TOLD = re.compile(r"[0-9a-f]{40}")
_LAST = ("Condition", "DeletionPolicy", "UpdateReplacePolicy")

Essence = dict[str, dict[str, Any]]


def essence(resources: Resources) -> Essence:
    """Return what a transformed template deploys.

    Returns:
        `resources`: logical id -> type, condition, policies and a fingerprint of each property.
        `settings`: function -> its environment.
        `permissions`: function or state machine -> the statements that it has, however they are attached.
        `alarms`: logical id -> all of its properties.
    """
    names = {name: _HASH.sub("", name) if one["Type"] in _HASHED else name for name, one in resources.items()}
    named = {names[name]: _renamed(one, names) for name, one in resources.items()}
    found: Essence = {"resources": {}, "settings": {}, "permissions": {}, "alarms": {}}
    for name, one in sorted(named.items()):
        properties = dict(one.get("Properties", {}))
        if one["Type"] == "AWS::Lambda::Function":
            found["settings"][name] = properties.pop("Environment", {}).get("Variables", {})
            found["permissions"][name] = _granted(properties.pop("Role"), named)
        elif one["Type"] == "AWS::StepFunctions::StateMachine":
            found["permissions"][name] = _granted(properties.pop("RoleArn"), named)
        elif one["Type"] in _ALARMS:
            found["alarms"][name] = properties
            properties = {}
        elif one["Type"] in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}:
            properties = {}
        found["resources"][name] = {
            "Type": one["Type"],
            **{key: one[key] for key in _LAST if key in one},
            "Properties": {key: _fingerprint(value) for key, value in sorted(properties.items())},
        }
    return found


def differences(before: Essence, after: Essence) -> Iterator[str]:
    """Yield every difference between two templates as one line."""
    for part, what in before.items():
        for name in sorted(what.keys() | after[part].keys()):
            if name not in after[part]:
                yield f"{part} {name} is gone"
            elif name not in what:
                yield f"{part} {name} is new"
            elif part == "permissions":
                old, new = (set(map(_text, one[part][name])) for one in (before, after))
                yield from (f"{part} {name} no longer has {statement}" for statement in sorted(old - new))
                yield from (f"{part} {name} now has {statement}" for statement in sorted(new - old))
            else:
                yield from _changes(f"{part} {name}", what[name], after[part][name])


def _changes(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        if key == "Properties":
            yield from _changes(where, old[key], new[key])
        elif key not in new:
            yield f"{where} {key} is gone, was {_text(old[key])}"
        elif key not in old:
            yield f"{where} {key} is new, is {_text(new[key])}"
        elif old[key] != new[key]:
            yield f"{where} {key} was {_text(old[key])}, is {_text(new[key])}"


def _granted(role: Any, resources: Resources) -> list[Any]:
    """Return the statements of a role, inline and of its policies, and the names of AWS's own policies."""
    name = role["Fn::GetAtt"][0]
    properties = resources[name]["Properties"]
    statements = [{"Assumed": statement} for statement in properties["AssumeRolePolicyDocument"]["Statement"]]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    for policy in properties.get("ManagedPolicyArns", []):
        if "Ref" in policy:
            documents.append(resources[policy["Ref"]]["Properties"]["PolicyDocument"])
        else:
            # The ARN of one of AWS's own has its partition in an Fn::Sub here, and none in what SAM adds.
            (arn,) = re.findall(r"iam::aws:policy/([\w/-]+)", _text(policy))
            statements.append({"Policy": arn})
    documents += [
        one["Properties"]["PolicyDocument"]
        for one in resources.values()
        if one["Type"] == "AWS::IAM::ManagedPolicy" and {"Ref": name} in one["Properties"].get("Roles", [])
    ]
    for document in documents:
        granted = document["Statement"]
        statements += granted if isinstance(granted, list) else [granted]
    return sorted(map(_listed, statements), key=_text)


def _listed(statement: Any) -> Any:
    """Return a statement whose one action, or one service, stands in a list, as several do."""
    if isinstance(statement, dict):
        return {
            key: [value] if key in ("Action", "Service") and isinstance(value, str) else _listed(value)
            for key, value in statement.items()
        }
    return statement


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(one, names) for one in node]
    if isinstance(node, dict):
        return {key: _renamed(value, names) for key, value in node.items()}
    return names.get(node, _HASH_TOLD.sub("", node)) if isinstance(node, str) else node


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()[:12]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def main(arguments: list[str]) -> int:
    """Record the essence of the repository's template, or of the file that is named."""
    text = Path(arguments[0]).read_text() if arguments else None
    parts = essence(transform(text, DeployGradually="true"))
    lines = {part: ",\n".join(f'"{name}": {_text(one)}' for name, one in what.items()) for part, what in parts.items()}
    RECORD.write_text("{\n" + ",\n".join(f'"{part}": {{\n{text}\n}}' for part, text in lines.items()) + "\n}\n")
    print(f"wrote {RECORD.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
