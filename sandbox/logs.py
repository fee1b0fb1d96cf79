"""Read what the local functions have logged, as it stands or through a saved query of the stack."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sandbox.stack import deployment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sandbox.stack.settings import StackSettings

_CONDITION = re.compile(r'ispresent\((?P<present>\w+)\)|(?P<name>\w+) (?P<operator>=|!=) "(?P<value>[^"]*)"')


def read_lines(settings: StackSettings, since: float = 0) -> Iterator[str]:
    """Yield every line of every log group.

    Args:
        settings: whose stack.
        since: epoch seconds; earlier lines are left out.
    """
    logs = deployment.client(settings, "logs")
    for group in deployment.list_physical_ids(settings, "AWS::Logs::LogGroup"):
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=int(since * 1000)):
            for event in page["events"]:
                yield event["message"]


def filtered(query: str, lines: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the structured lines that the `filter` of a Logs Insights query lets through.

    Args:
        query: its text; the conditions that saved queries use are known, joined by `and`.
        lines: as `read_lines` gives them.

    Raises:
        ValueError: the query has no filter, or a condition of another form.
    """
    found = re.search(r"^(?:\| )?filter (.+)$", query, re.MULTILINE)
    conditions = [_CONDITION.fullmatch(part) for part in found[1].split(" and ")] if found else []
    if not conditions or None in conditions:
        raise ValueError(f"Not a filter of a known form: {query}")
    entries = (json.loads(line) for line in lines if line.startswith("{") and '"_aws"' not in line)
    return [entry for entry in entries if all(_holds(condition, entry) for condition in conditions if condition)]


def _holds(condition: re.Match[str], entry: Mapping[str, Any]) -> bool:
    if condition["present"]:
        return condition["present"] in entry
    return (str(entry.get(condition["name"])) == condition["value"]) is (condition["operator"] == "=")
