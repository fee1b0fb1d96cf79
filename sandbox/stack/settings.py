"""Where the local stack listens, logs and remembers what it started."""

import os
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
REGION = "eu-central-1"
# The engine takes any key; these name the account that the stack lives in.
FAKE_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": ""}


@dataclass(frozen=True, slots=True)
class StackSettings:
    """The ports and folders of one checkout's stack; `validate` is None where a running sandbox may stay as it is."""

    root: Path
    aws_port: int
    sandbox_port: int
    validate: bool | None

    @property
    def aws_url(self) -> str:
        """Base URL of the local AWS engine."""
        return f"http://{LOOPBACK}:{self.aws_port}"

    @property
    def sandbox_url(self) -> str:
        """Base URL of the sandbox."""
        return f"http://{LOOPBACK}:{self.sandbox_port}"

    @property
    def local(self) -> Path:
        """The folder of everything that the stack writes."""
        return self.root / ".local"

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs."""
        return self.local / "logs"

    @property
    def stack_file(self) -> Path:
        """The file that tells others where everything is."""
        return self.local / "stack.json"

    def environment(self) -> dict[str, str]:
        """Return the environment of a child process: this one's, with the engine in place of AWS.

        What would change the Lambdas' imports is left out: the engine hands its own environment on to them.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        return {
            **kept,
            **FAKE_CREDENTIALS,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws_url,
            "SAM_CLI_TELEMETRY": "0",
        }


def read_settings() -> StackSettings:
    """Return the settings of this checkout from `HUB_AWS_PORT`, `HUB_SANDBOX_PORT` and `HUB_SANDBOX_VALIDATE`."""
    return StackSettings(
        root=Path(__file__).resolve().parents[2],
        aws_port=int(os.environ.get("HUB_AWS_PORT", "4566")),
        sandbox_port=int(os.environ.get("HUB_SANDBOX_PORT", "8600")),
        validate={"1": True, "0": False}.get(os.environ.get("HUB_SANDBOX_VALIDATE", "")),
    )
