"""Build the application and deploy it to the local engine, when something changed."""

import contextlib
import hashlib
import json
import os
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from sandbox.stack.processes import StackError
from sandbox.stack.settings import FAKE_CREDENTIALS, REGION, StackSettings

ENVIRONMENT = "local"
DEPLOYED_SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers", "shared")


def client(settings: StackSettings, service: str) -> Any:
    """Return an AWS client that talks to the local engine."""
    return boto3.client(
        service,
        endpoint_url=settings.aws_url,
        region_name=REGION,
        aws_access_key_id=FAKE_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=FAKE_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )


def is_current(settings: StackSettings) -> bool:
    """Return whether the engine already runs exactly what the checkout holds."""
    marker = _marker(settings)
    return (
        marker.is_file() and marker.read_text() == compute_fingerprint(settings) and find_outputs(settings) is not None
    )


def deploy(settings: StackSettings) -> None:
    """Build and deploy.

    Raises:
        StackError: sam refused; its output is in `.local/logs/sam.log`.
    """
    forget(settings)
    s3 = client(settings, "s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(
            Bucket=_sam_setting(settings, "s3_bucket"), CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    build(settings)
    deploy_built(settings)


def deploy_built(settings: StackSettings, *options: str, **parameters: str) -> None:
    """Deploy what was built, or what `--template-file` among the options names, with some parameters changed.

    Raises:
        StackError: sam refused; its output is in `.local/logs/sam.log`.
    """
    values = dict(_parameters(settings)) | parameters
    overrides = " ".join(f"{name}={value}" for name, value in values.items())
    _sam(settings, "deploy", "--no-progressbar", *options, "--parameter-overrides", overrides)


def build(settings: StackSettings) -> None:
    """Build functions and layers; quick where nothing changed.

    Raises:
        StackError: sam refused; its output is in `.local/logs/sam.log`.
    """
    _sam(settings, "build")


def remember(settings: StackSettings, fingerprint: str) -> None:
    """Note that the engine runs what had this fingerprint, so that the next start need not deploy it again."""
    _marker(settings).write_text(fingerprint)


def forget(settings: StackSettings) -> None:
    """Let the next start deploy."""
    _marker(settings).unlink(missing_ok=True)


def stack_name(settings: StackSettings) -> str:
    """Return the name of the stack on the local engine."""
    return _sam_setting(settings, "stack_name")


def find_outputs(settings: StackSettings) -> dict[str, str] | None:
    """Return the outputs of the deployed stack, or None when it is not deployed."""
    try:
        (stack,) = client(settings, "cloudformation").describe_stacks(StackName=stack_name(settings))["Stacks"]
    except ClientError:
        return None
    if not stack["StackStatus"].endswith("_COMPLETE") or "ROLLBACK" in stack["StackStatus"]:
        return None
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def list_physical_ids(settings: StackSettings, resource_type: str) -> list[str]:
    """Return the physical ids of the stack's resources of one CloudFormation type."""
    return sorted(list_resources(settings, resource_type).values())


def list_resources(settings: StackSettings, resource_type: str) -> dict[str, str]:
    """Return the physical id per logical id of the stack's resources of one CloudFormation type."""
    pages = client(settings, "cloudformation").get_paginator("list_stack_resources")
    return {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"]
        for page in pages.paginate(StackName=stack_name(settings))
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] == resource_type
    }


def _parameters(settings: StackSettings) -> Mapping[str, str]:
    issuer = f"{settings.sandbox_url}/_sandbox"
    parameters = {
        "Environment": ENVIRONMENT,
        "DownstreamUrlTemplate": f"{settings.sandbox_url}/{{host}}",
        "TokenIssuer": issuer,
        "TokenJwksUrl": f"{issuer}/jwks.json",
        "ReserveConcurrency": "false",
        # Whoever tries every function at once has more than three jobs of one organisation.
        "SyncConcurrency": "192",
        "RequestsPerOrganisation": "600000",
        "ThrottlingRateLimit": "10000",
        "ThrottlingBurstLimit": "10000",
    }
    return parameters | {"Release": hashlib.sha256(json.dumps(parameters).encode()).hexdigest()[:12]}


def _sam(settings: StackSettings, command: str, *arguments: str) -> None:
    # sam finds pip through the Python on the PATH.
    binaries = settings.root / ".venv" / "bin"
    environment = settings.environment() | {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    # Left to itself, sam looks for it beside the template.
    config = settings.root / "samconfig.toml"
    settings.logs.mkdir(parents=True, exist_ok=True)
    log = settings.logs / "sam.log"
    with log.open("ab") as output:
        finished = subprocess.run(
            [str(binaries / "sam"), command, "--config-file", str(config), "--config-env", ENVIRONMENT, *arguments],
            cwd=settings.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if finished.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise StackError(f"sam {command} failed. The end of {log.relative_to(settings.root)}:\n{tail}")


def _sam_setting(settings: StackSettings, name: str) -> str:
    with (settings.root / "samconfig.toml").open("rb") as file:
        return str(tomllib.load(file)[ENVIRONMENT]["deploy"]["parameters"][name])


def compute_fingerprint(settings: StackSettings) -> str:
    """Return a hash of everything that a deployment is made of."""
    digest = hashlib.sha256(json.dumps(_parameters(settings), sort_keys=True).encode())
    for file in _deployed_files(settings.root):
        digest.update(f"{file.relative_to(settings.root)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _marker(settings: StackSettings) -> Path:
    return settings.local / "deployed"


def _deployed_files(root: Path) -> Iterator[Path]:
    for source in DEPLOYED_SOURCES:
        path = root / source
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)
