"""Starts the sandbox: ``python -m sandbox.server --port 8600 [--validate]``."""

import argparse
from functools import partial
from pathlib import Path

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from sandbox.server.application import Application
from sandbox.server.sandbox import Settings


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="sandbox.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8600)
    parser.add_argument("--validate", action="store_true", help="check every request and answer")
    parser.add_argument("--issuer", help="issuer of the tokens; by default the address of the control interface")
    parser.add_argument("--key-file", type=Path, default=Path(".local/sandbox-key.pem"))
    arguments = parser.parse_args()
    settings = Settings(
        issuer=arguments.issuer or f"http://127.0.0.1:{arguments.port}/_sandbox",
        key_file=arguments.key_file.absolute(),
        validate=arguments.validate,
    )
    server = Server(
        "sandbox",
        address=arguments.host,
        port=arguments.port,
        interface=Interfaces.ASGINL,
        workers=1,
        websockets=False,
        backlog=1024,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=partial(Application, settings), wrap_loader=False)


if __name__ == "__main__":
    main()
