"""Scan code, template and licences: `python -m tests.scan`. What is left stands in scan.toml, with its reason."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SCANNERS = ROOT / ".venv-scan" / "bin"
DECLARED = tomllib.loads((Path(__file__).parent / "scan.toml").read_text())


class Finding(NamedTuple):
    """What a scanner says of a place: a file, a resource of the template, a package."""

    id: str
    where: str
    text: str = ""


def unexpected(findings: Iterable[Finding], exceptions: Sequence[Mapping[str, str]]) -> list[Finding]:
    """Return the findings that no exception is made for, and the exceptions that nothing needs."""
    left: list[Finding] = []
    needed: set[int] = set()
    for finding in findings:
        excepted = [
            number
            for number, one in enumerate(exceptions)
            if one["id"] == finding.id and fnmatch(finding.where, one.get("where", "*"))
        ]
        needed.update(excepted)
        if not excepted:
            left.append(finding)
    unused = (one for number, one in enumerate(exceptions) if number not in needed)
    return left + [Finding(one["id"], one.get("where", "*"), "is excepted and not found") for one in unused]


def _run(*command: str) -> Any:
    answer = subprocess.run(
        [SCANNERS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    try:
        return json.loads(answer.stdout)
    except ValueError:
        raise RuntimeError(f"{command[0]} says nothing that can be read: {answer.stderr[-2000:]}") from None


def code_findings() -> Iterator[Finding]:
    """Yield what bandit finds in the product's code."""
    report = _run("bandit", "--quiet", "--recursive", "--format", "json", "shared", "functions")
    if report["errors"]:
        raise RuntimeError(f"bandit could not read {report['errors']}")
    for one in report["results"]:
        yield Finding(one["test_id"], one["filename"], f"line {one['line_number']}: {one['issue_text']}")


def template_findings() -> Iterator[Finding]:
    """Yield what checkov finds in the template; it reads it as written and asks nobody."""
    report = _run(
        "checkov", "--file", "template.yaml", "--framework", "cloudformation", "--skip-download", "--output", "json"
    )
    if report["summary"]["parsing_errors"] or not report["summary"]["passed"]:
        raise RuntimeError("checkov could not read the template")
    for one in report["results"]["failed_checks"]:
        yield Finding(one["check_id"], one["resource"].rpartition(".")[2], one["check_name"])


def licence_findings() -> Iterator[Finding]:
    """Yield the packages of the locked environments whose licence is none of the allowed ones."""
    for environment in (".venv", ".venv-engine"):
        found = list(distributions(path=[str(path) for path in ROOT.glob(f"{environment}/lib/python*/site-packages")]))
        if not found:
            raise RuntimeError(f"{environment} holds no packages")
        for package in found:
            licence = licence_of(package)
            if not is_allowed(licence):
                yield Finding("licence", package.name, licence)


def licence_of(package: Distribution) -> str:
    """Return what a package says of its licence: an SPDX expression, else its classifiers, else the first line."""
    said = package.metadata
    classified = [one.rpartition(" :: ")[2] for one in said.get_all("Classifier") or () if one.startswith("License ::")]
    return said.get("License-Expression") or "; ".join(classified) or (said.get("License") or "none").splitlines()[0]


def is_allowed(licence: str) -> bool:
    """Tell whether all licences of an expression without brackets are allowed, or one of those to choose from."""
    allowed = DECLARED["licences"]["allowed"]
    return any(all(part in allowed for part in re.split(" AND |; ", choice)) for choice in licence.split(" OR "))


def main() -> int:
    """Print what is unexpected; return 1 where anything is."""
    findings = [*code_findings(), *template_findings(), *licence_findings()]
    left = unexpected(findings, DECLARED["exception"])
    for one in left:
        print(f"{one.id:12} {one.where}  {one.text}")
    excepted = len(findings) - len(left)
    print(f"{len(findings)} findings, {excepted} excepted for {len(DECLARED['exception'])} reasons")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
