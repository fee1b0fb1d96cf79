"""Cuts the connection of a client, as a failing network would."""

import os
import socket
from pathlib import Path

_OPEN_FILES = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")


def cut_connection(client_port: int) -> bool:
    """Shut down the socket whose peer has this port; return whether there was one.

    The server owns the socket and offers no way to drop it, so it is found among the open files of the process.
    """
    for entry in _OPEN_FILES.iterdir():
        try:
            candidate = socket.socket(fileno=os.dup(int(entry.name)))
        except OSError:
            continue
        with candidate:
            try:
                if candidate.family == socket.AF_INET and candidate.getpeername()[1] == client_port:
                    candidate.shutdown(socket.SHUT_RDWR)
                    return True
            except OSError:
                continue
    return False
