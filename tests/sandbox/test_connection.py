"""A connection is cut without a trace in the process that cuts it."""

import socket
from pathlib import Path

from sandbox.server.connection import cut_connection


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_cuts_exactly_the_connection_of_the_peer_and_leaks_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        clients = [socket.create_connection(server.getsockname()) for _ in range(2)]
        accepted = [server.accept()[0] for _ in clients]
        before = _open_files()
        assert cut_connection(clients[0].getsockname())
        assert _open_files() == before
        assert clients[0].recv(1) == b""
        accepted[1].sendall(b"x")
        assert clients[1].recv(1) == b"x"
        for connection in (*clients, *accepted):
            connection.close()


def test_unknown_peer_cuts_nothing(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w"):
        assert not cut_connection(("127.0.0.1", 1))


def test_same_port_of_another_address_is_another_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
        assert not cut_connection(("127.0.0.2", client.getsockname()[1]))
        accepted.sendall(b"x")
        assert client.recv(1) == b"x"
        accepted.close()
