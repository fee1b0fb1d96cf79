"""A debugger for a function in its container: what sam needs for it, and a client that stops at a line by itself."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.stack.processes import wait_until
from sandbox.stack.settings import LOOPBACK
from tests.containers.invoke import InvocationFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.stack.settings import StackSettings
    from tests.containers.invoke import Containers

PORT = 5858
#: Never a part of a layer: it is mounted into the container.
_DEBUGPY = "debugpy==1.8.22"
# Where sam mounts the debugger.
_MOUNTED = "/tmp/lambci_debug_files"
_WITHIN_S = 90


def prepare(settings: StackSettings) -> list[str]:
    """Put the debugger under `.local/debugger` and return the options that make `sam local invoke` wait for it."""
    folder = settings.local / "debugger"
    if not (folder / "debugpy").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), _DEBUGPY]
        subprocess.run(command, check=True)
    shutil.copy(Path(__file__).with_name("attach.py"), folder)
    environment = folder / "environment.json"
    # The runtime's own bootstrap sets the first two; sam starts Python without it.
    environment.write_text(
        json.dumps(
            {
                "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/opt/lib",
                "PYTHONPATH": f"{_MOUNTED}:/var/task:/opt/python:/var/runtime",
                "PYDEVD_DISABLE_FILE_VALIDATION": "1",
                "DEBUG_PORT": str(PORT),
            }
        )
    )
    local = folder.relative_to(settings.root)
    return [
        *("--debug-port", str(PORT), "--debugger-path", str(local)),
        *("--container-env-vars", str(local / environment.name), "--debug-args", f"{_MOUNTED}/attach.py"),
    ]


def stop_at(containers: Containers, event: str, payload: Mapping[str, Any], file: str, line: int) -> list[str]:
    """Invoke a function under the debugger, stop at a line once, go on, and return the names on its stack.

    Raises:
        InvocationFailedError: it did not stop there, or gave no answer afterwards.
    """
    answers: list[Any] = []
    invocation = threading.Thread(target=lambda: answers.append(containers.invoke(event, payload)))
    log = containers.log(event)
    log.unlink(missing_ok=True)
    invocation.start()
    wait_until(
        lambda: log.is_file() and "Waiting for a debugger" in log.read_text(),
        _WITHIN_S,
        lambda: f"{event} does not wait for a debugger, see {log}",
        is_hopeless=lambda: not invocation.is_alive(),
    )
    with socket.create_connection((LOOPBACK, PORT), timeout=_WITHIN_S) as connection:
        frames = _Client(connection).stop_at(file, line)
    invocation.join(_WITHIN_S)
    if not answers:
        raise InvocationFailedError(f"{event} gave no answer after the stop, see {log}")
    return frames


class _Client:
    """Speaks the Debug Adapter Protocol, as an editor does: https://microsoft.github.io/debug-adapter-protocol."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("rb")
        self._sent = 0

    def stop_at(self, file: str, line: int) -> list[str]:
        self._send("initialize", adapterID="test", pathFormat="path")
        self._until("initialize")
        self._send("attach", justMyCode=False)
        self._until("initialized")
        self._send("setBreakpoints", source={"path": file}, breakpoints=[{"line": line}])
        self._send("configurationDone")
        thread = self._until("stopped")["body"]["threadId"]
        self._send("stackTrace", threadId=thread)
        frames = self._until("stackTrace")["body"]["stackFrames"]
        self._send("disconnect", terminateDebuggee=False)
        return [frame["name"] for frame in frames]

    def _send(self, command: str, **arguments: Any) -> None:
        self._sent += 1
        request = {"seq": self._sent, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(request).encode()
        self._connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def _until(self, name: str) -> dict[str, Any]:
        """Return the next event or answer of this name."""
        while True:
            length = 0
            while header := self._answers.readline().strip():
                if header.lower().startswith(b"content-length:"):
                    length = int(header.partition(b":")[2])
            if not length:
                raise InvocationFailedError(f"The debugger hung up before {name}.")
            message: dict[str, Any] = json.loads(self._answers.read(length))
            if name == message.get("event" if message["type"] == "event" else "command"):
                return message
