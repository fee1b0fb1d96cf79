"""Start, watch and stop the processes of the local stack, by recorded process id only."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import requests

STOP_SECONDS = 10
POLL_SECONDS = 0.1
# A process began when it was recorded to, give or take what the clock was set by since.
CLOCK_SECONDS = 2
LOG_TAIL_LINES = 20


class StackError(RuntimeError):
    """The local stack cannot be started as asked."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process of the stack: how it is started, which others would do where one runs, when it is healthy."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    health_url: str
    log: Path
    pid_file: Path
    also_accepted: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A process that we started.

    Attributes:
        started_at: epoch seconds, so that a reused id is not mistaken for ours.
    """

    pid: int
    started_at: float
    command: list[str]

    @property
    def runs(self) -> bool:
        """It has not ended."""
        try:
            process = psutil.Process(self.pid)
            began = process.create_time()
            return process.status() != psutil.STATUS_ZOMBIE and abs(began - self.started_at) < CLOCK_SECONDS
        except psutil.NoSuchProcess:
            return False


def _recorded(service_pid_file: Path) -> _Recorded | None:
    try:
        recorded = _Recorded(**json.loads(service_pid_file.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    # A record of an earlier version gave the beginning in another unit: that process is not known any more.
    return recorded if isinstance(recorded.started_at, float) and recorded.runs else None


def _is_healthy(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def start(service: Service, within_seconds: float) -> bool:
    """Start a service unless a recorded process that does is healthy; return whether it was started.

    Raises:
        StackError: something else holds its port, it ended, or it did not become healthy in time.
    """
    recorded = _recorded(service.pid_file)
    accepted = [list(command) for command in (service.command, *service.also_accepted)]
    if recorded and recorded.command in accepted and _is_healthy(service.health_url):
        return False
    if recorded:
        stop(service.pid_file)
    if _is_healthy(service.health_url):
        raise StackError(
            f"Something that this checkout did not start answers at {service.health_url}. "
            "Stop it, or set HUB_AWS_PORT and HUB_SANDBOX_PORT to free ports."
        )
    service.log.parent.mkdir(parents=True, exist_ok=True)
    with service.log.open("ab") as log:
        process = subprocess.Popen(
            list(service.command),
            cwd=service.folder,
            env=dict(service.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record = _Recorded(process.pid, time.time(), list(service.command))
    service.pid_file.write_text(json.dumps(asdict(record)))
    wait_until(
        lambda: _is_healthy(service.health_url),
        within_seconds,
        lambda: f"{service.name} did not become healthy at {service.health_url}. {_tail(service.log)}",
        is_hopeless=lambda: process.poll() is not None,
    )
    return True


def wait_until(
    is_so: Callable[[], bool],
    within_seconds: float,
    explain: Callable[[], str],
    *,
    is_hopeless: Callable[[], bool] = lambda: False,
) -> None:
    """Return as soon as a condition holds.

    Raises:
        StackError: with the explanation, once the time is over or there is no hope left.
    """
    deadline = time.monotonic() + within_seconds
    while not is_so():
        if is_hopeless() or time.monotonic() > deadline:
            raise StackError(explain())
        time.sleep(POLL_SECONDS)


def stop(pid_file: Path) -> bool:
    """End the recorded process and its session, politely first; return whether one was running."""
    recorded = _recorded(pid_file)
    pid_file.unlink(missing_ok=True)
    if recorded is None:
        return False
    for polite_or_not in (signal.SIGTERM, signal.SIGKILL):
        _signal_session(recorded.pid, polite_or_not)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            _reap(recorded.pid)
            if not recorded.runs:
                _signal_session(recorded.pid, signal.SIGKILL)
                return True
            time.sleep(POLL_SECONDS)
    return True


def _signal_session(leader: int, what: signal.Signals) -> None:
    # Each service leads a session of its own, so its group holds nothing but it and its children.
    try:
        os.killpg(leader, what)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"The end of {log.name}:\n" + "\n".join(lines)
