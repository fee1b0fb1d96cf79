"""Start and stop the local stack: `python -m sandbox.stack up | down`."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from sandbox.stack import deployment, organisations, processes
from sandbox.stack.bridge import close_bridge
from sandbox.stack.preflight import complete_preflight
from sandbox.stack.processes import Service, StackError
from sandbox.stack.settings import LOOPBACK, StackSettings, read_settings
from sandbox.wire import detach

HEALTHY_WITHIN_SECONDS = 60
#: The test suite keeps up to 100 workers.
PLENTY_OF_MEMORY_BYTES = 12 * 1024**3
_MEMORY = Path("/dev/shm")  # noqa: S108 - made there by mkdtemp, for this user alone


def _engine(settings: StackSettings) -> Service:
    environment = settings.environment() | {
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(settings.aws_port),
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": settings.environment()["AWS_REGION"],
        "LOG_LEVEL": "INFO",
        # Every function runs under its own role, so a permission that the template forgets shows here.
        "AUTH": "true",
        "TMPDIR": str(_scratch(settings)),
    }
    return Service(
        name="The local AWS engine",
        command=[
            str(settings.root / ".venv-engine" / "bin" / "python"),
            str(settings.root / "sandbox" / "stack" / "engine.py"),
        ],
        folder=settings.root,
        environment=environment,
        health_url=f"{settings.aws_url}/_ministack/health",
        log=settings.logs / "engine.log",
        pid_file=settings.local / "engine.pid",
    )


def _scratch(settings: StackSettings) -> Path:
    """Where the engine unpacks functions and layers, once per worker: 70 MB in 2,700 files."""
    return settings.local / "engine"


def _make_scratch(scratch: Path) -> None:
    """Make the folder, in memory where there is plenty: to delete a worker's files takes a busy disk many seconds."""
    if scratch.is_dir():
        return
    scratch.unlink(missing_ok=True)
    if _MEMORY.is_dir() and _available_memory() >= PLENTY_OF_MEMORY_BYTES:
        scratch.symlink_to(tempfile.mkdtemp(prefix="configuration-hub-engine-", dir=_MEMORY))
    else:
        scratch.mkdir()


def _available_memory() -> int:
    return int(psutil.virtual_memory().available)


def _delete_scratch(scratch: Path) -> None:
    shutil.rmtree(scratch.resolve(), ignore_errors=True)
    scratch.unlink(missing_ok=True)


def _sandbox(settings: StackSettings) -> Service:
    python = str(settings.root / ".venv" / "bin" / "python")
    command = [python, "-m", "sandbox.server", "--port", str(settings.sandbox_port)]
    validating = [*command, "--validate"]
    return Service(
        name="The sandbox",
        command=validating if settings.validate else command,
        also_accepted=() if settings.validate is not None else (validating,),
        folder=settings.root,
        environment=settings.environment(),
        health_url=f"{settings.sandbox_url}/_sandbox/health",
        log=settings.logs / "sandbox.log",
        pid_file=settings.local / "sandbox.pid",
    )


def up(settings: StackSettings) -> None:
    """Bring the stack up to date and write down where everything is.

    Raises:
        StackError: a process or the deployment failed.
    """
    began = time.monotonic()
    settings.local.mkdir(exist_ok=True)
    known: dict[str, Any] = json.loads(settings.stack_file.read_text()) if settings.stack_file.is_file() else {}
    sandbox_is_new = processes.start(_sandbox(settings), HEALTHY_WITHIN_SECONDS)
    _say("sandbox", settings.sandbox_url, sandbox_is_new)
    _make_scratch(_scratch(settings))
    _say("engine", settings.aws_url, processes.start(_engine(settings), HEALTHY_WITHIN_SECONDS))
    is_current = deployment.is_current(settings)
    if not is_current:
        fingerprint = deployment.compute_fingerprint(settings)
        deployment.deploy(settings)
        complete_preflight(settings)
        deployment.remember(settings, fingerprint)
    _say("stack", deployment.stack_name(settings), not is_current)
    detach(deployment.client(settings, "lambda"))
    inhabitants = organisations.prepare(settings, {} if sandbox_is_new else known.get("selections", {}))
    settings.stack_file.write_text(json.dumps(_describe(settings) | inhabitants, indent=2) + "\n")
    _say("described in", str(settings.stack_file.relative_to(settings.root)), None)
    print(f"Ready after {time.monotonic() - began:.1f} s. The API: {_describe(settings)['api_url']}")


def down(settings: StackSettings) -> None:
    """Stop what `up` started, and what lets containers reach it, and nothing else."""
    close_bridge(settings)
    for service in (_engine(settings), _sandbox(settings)):
        stopped = processes.stop(service.pid_file)
        print(f"{service.name}: {'stopped' if stopped else 'was not running'}")
    _delete_scratch(_scratch(settings))
    deployment.forget(settings)
    settings.stack_file.unlink(missing_ok=True)


def _describe(settings: StackSettings) -> dict[str, Any]:
    outputs = deployment.find_outputs(settings)
    if outputs is None:
        raise StackError("The stack is not deployed.")
    tables = ("IndexTable", "SyncJobsTable", "SyncResourcesTable", "LineageTable", "MemoryTable", "CredentialsTable")
    return {
        "api_url": f"{settings.aws_url}/_aws/execute-api/{outputs['ApiId']}/{outputs['StageName']}",
        "aws_endpoint_url": settings.aws_url,
        "sandbox_url": settings.sandbox_url,
        "stack_name": deployment.stack_name(settings),
        "state_machine_arn": outputs["StateMachineArn"],
        "delete_state_machine_arn": outputs["DeleteStateMachineArn"],
        "tables": {name: outputs[name] for name in tables},
        "payload_bucket": outputs["PayloadBucket"],
        "log_groups": deployment.list_physical_ids(settings, "AWS::Logs::LogGroup"),
    }


def _say(what: str, where: str, is_new: bool | None) -> None:
    how = {True: "started", False: "unchanged", None: ""}[is_new]
    print(f"{what:>14}  {where}  {how}", flush=True)


def main() -> int:
    """Run one command; return 0 when it worked."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.stack", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    command = parser.parse_args().command
    try:
        {"up": up, "down": down}[command](read_settings())
    except StackError as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
