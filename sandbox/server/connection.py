"""Cuts the connection of a client, as a failing network would."""

import socket
from pathlib import Path

_OPEN_FILES = Path("/dev/fd")


def cut_connection(peer: tuple[str, int]) -> bool:
    """Shut down the socket whose peer has this address and port; return whether there was one.

    The server owns the socket and offers no way to drop it, so it is found among the open files of the process.
    """
    for entry in _OPEN_FILES.iterdir():
        try:
            candidate = socket.socket(fileno=int(entry.name))
        except OSError:
            continue
        try:
            if candidate.family == socket.AF_INET and candidate.getpeername() == peer:
                candidate.shutdown(socket.SHUT_RDWR)
                return True
        except OSError:
            continue
        finally:
            candidate.detach()
    return False
