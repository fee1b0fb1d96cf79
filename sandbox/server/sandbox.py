"""What the sandbox holds: the organisations, who may call, how it behaves, what it saw."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.server.behaviour import Behaviour
from sandbox.server.request_log import RequestLog
from sandbox.server.routing import Router
from sandbox.server.store import Store
from sandbox.server.tokens import Tokens
from sandbox.server.validation import Validator


@dataclass(frozen=True, slots=True)
class Settings:
    """What a sandbox is started with."""

    issuer: str
    key_file: Path
    validate: bool = False


class Sandbox:
    """All downstream APIs in one process."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store()
        self.tokens = Tokens(settings.issuer, settings.key_file)
        self.behaviour = Behaviour()
        self.log = RequestLog()
        self.router = Router()
        self.validator = Validator() if settings.validate else None

    def behave(self, behaviour: Behaviour) -> None:
        """Take up another behaviour; what the one before held goes on."""
        self.behaviour.over.set()
        self.behaviour = behaviour
