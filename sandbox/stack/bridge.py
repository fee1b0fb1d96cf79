"""Let containers reach the stack: they do not see this machine's loopback address, only that of the Docker bridge."""

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from sandbox.stack import deployment, processes
from sandbox.stack.processes import Service
from sandbox.stack.settings import LOOPBACK, StackSettings

HEALTHY_WITHIN_SECONDS = 15
_PULLED_WITHIN_SECONDS = 300
BASE_IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
# Builds the runtime's base image, and starts an engine, on a machine that cannot pull public images.
_BASE_IMAGE_SCRIPT = Path("shared") / "tools" / "lambda-base-image.sh"


class NoDockerError(RuntimeError):
    """No function can run in a container on this machine."""


def find_bridge(settings: StackSettings) -> str:
    """Return the address at which containers see this machine.

    Raises:
        NoDockerError: no Docker engine answers and none can be started, the runtime's image cannot be had, or no
            container starts.
    """
    _prepare_engine(settings)
    docker = shutil.which("docker")
    if docker is None:
        raise NoDockerError("there is no docker command on the PATH")
    asked = subprocess.run([docker, "network", "inspect", "bridge"], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise NoDockerError(f"no Docker engine answers: {asked.stderr.strip()}")
    if not _has_base_image(docker):
        raise NoDockerError(f"{BASE_IMAGE} is not here and cannot be pulled")
    tried = subprocess.run(
        [docker, "run", "--rm", "--entrypoint", "/bin/true", BASE_IMAGE], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        raise NoDockerError(f"no container starts: {tried.stderr.strip()}")
    (network,) = json.loads(asked.stdout)
    config = network["IPAM"]["Config"][0]
    # Some engines leave the gateway out where it is the first address.
    return str(config.get("Gateway") or next(ipaddress.ip_network(config["Subnet"]).hosts()))


def open_bridge(settings: StackSettings, address: str) -> None:
    """Let the engine and the sandbox be heard at the bridge's address, on their own ports.

    Raises:
        StackError: a port is taken there.
    """
    for service in _relays(settings, address):
        processes.start(service, HEALTHY_WITHIN_SECONDS)


def close_bridge(settings: StackSettings) -> None:
    """End what `open_bridge` started."""
    for pid_file in _pid_files(settings).values():
        processes.stop(pid_file)


def write_environment(settings: StackSettings, address: str) -> Path:
    """Write what `sam local invoke --env-vars` takes: the deployed functions' variables, as containers need them."""
    aws = deployment.client(settings, "lambda")
    variables = {
        logical_id: {
            **_seen_from(address, aws.get_function_configuration(FunctionName=name)["Environment"]["Variables"]),
            "AWS_ENDPOINT_URL": f"http://{address}:{settings.aws_port}",
        }
        for logical_id, name in deployment.list_resources(settings, "AWS::Lambda::Function").items()
    }
    file = settings.local / "env.json"
    file.write_text(json.dumps(variables, indent=2) + "\n")
    return file


def write_template(settings: StackSettings) -> Path:
    """Write a copy of the built template whose functions know the engine's address; the next build leaves it alone.

    `sam local invoke` sets only those variables that a template declares.
    """
    build = settings.root / ".aws-sam" / "build"
    text = re.sub(r"((?:Code|Content|Definition)Uri: )", rf"\g<1>{build.name}/", (build / "template.yaml").read_text())
    text = re.sub(r"( +)(?=POWERTOOLS_SERVICE_NAME:)", r'\g<1>AWS_ENDPOINT_URL: ""\n\g<1>', text, count=1)
    file = build.with_name("sam-local.yaml")
    file.write_text(text)
    return file


def _has_base_image(docker: str) -> bool:
    for command in (["image", "inspect"], ["pull", "--quiet"]):
        try:
            finished = subprocess.run(
                [docker, *command, BASE_IMAGE], capture_output=True, timeout=_PULLED_WITHIN_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            continue
        if finished.returncode == 0:
            return True
    return False


def _prepare_engine(settings: StackSettings) -> None:
    script = settings.root.parent / _BASE_IMAGE_SCRIPT
    if not script.is_file() or os.geteuid() != 0:
        return
    with (settings.logs / "docker.log").open("ab") as log:
        subprocess.run([str(script)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False)


def _relays(settings: StackSettings, address: str) -> list[Service]:
    health = {settings.aws_port: "/_ministack/health", settings.sandbox_port: "/_sandbox/health"}
    return [
        Service(
            name=f"The relay to port {port}",
            command=[sys.executable, "-m", "sandbox.stack.relay", "--address", address, "--port", str(port)],
            folder=settings.root,
            environment=settings.environment(),
            health_url=f"http://{address}:{port}{health[port]}",
            log=settings.logs / "relay.log",
            pid_file=pid_file,
        )
        for port, pid_file in _pid_files(settings).items()
    ]


def _pid_files(settings: StackSettings) -> dict[int, Path]:
    return {
        settings.aws_port: settings.local / "engine-relay.pid",
        settings.sandbox_port: settings.local / "sandbox-relay.pid",
    }


def _seen_from(address: str, variables: dict[str, Any]) -> dict[str, str]:
    # An issuer is a name that tokens carry, not an address that is called.
    return {
        name: value if name.endswith("_ISSUER") else str(value).replace(LOOPBACK, address)
        for name, value in variables.items()
    }
