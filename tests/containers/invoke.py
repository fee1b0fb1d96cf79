"""Invoke one function in a container, as a person would: `sam local invoke` with an event file."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.stack.settings import StackSettings

# A cold container, its image and a step's own limit.
_LONGEST_S = 240


class InvocationFailedError(RuntimeError):
    """A function gave no answer, or another one than expected."""


def logical_id(event: str) -> str:
    """Return the logical id of the function that an event is for: `api/list_configs` -> `ListConfigsFunction`."""
    return "".join(word.capitalize() for word in event.rpartition("/")[2].split("_")) + "Function"


@dataclass(frozen=True, slots=True)
class Containers:
    """Where functions are invoked: in containers that know the local stack."""

    settings: StackSettings

    def command(self, event: str) -> list[str]:
        """Return the command line that invokes the function of an event with its filled-in file."""
        # Template and variables, as the bridge writes them, are named in samconfig.toml.
        file = self.event_file(event).relative_to(self.settings.root)
        return [".venv/bin/sam", "local", "invoke", logical_id(event), "--event", str(file)]

    def event_file(self, event: str) -> Path:
        """Return where the event with the local stack's ids and tokens in it is kept."""
        return self.settings.local / "events" / f"{event}.json"

    def invoke(self, event: str, payload: Mapping[str, Any]) -> Any:
        """Return a function's answer to a payload.

        Raises:
            InvocationFailedError: the container or the function broke off; the log says how.
        """
        file = self.event_file(event)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(payload, indent=2) + "\n")
        log = self.settings.logs / "sam-local" / f"{event.replace('/', '.')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            finished = subprocess.run(
                self.command(event),
                cwd=self.settings.root,
                env=self.settings.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=_LONGEST_S,
                check=False,
            )
        where = log.relative_to(self.settings.root)
        if finished.returncode or not finished.stdout.strip():
            raise InvocationFailedError(f"sam local invoke ended with {finished.returncode}, see {where}")
        answer = json.loads(finished.stdout.strip().splitlines()[-1])
        if isinstance(answer, dict) and "errorMessage" in answer:
            raise InvocationFailedError(f"{answer.get('errorType')}: {answer['errorMessage']}, see {where}")
        return answer
