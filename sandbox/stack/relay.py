"""Let containers reach a port of the loopback address: `python -m sandbox.stack.relay --address A --port P`.

Only the Docker bridge hears it; nothing beyond this machine does.
"""

import argparse
import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter

from sandbox.stack.settings import LOOPBACK

_CHUNK_BYTES = 64 * 1024


async def _copy(source: StreamReader, sink: StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(_CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    sink.close()


async def relay(address: str, port: int) -> None:
    """Pass every connection to the address on to the same port of the loopback address, until cancelled."""

    async def pass_on(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            near_reader, near_writer = await asyncio.open_connection(LOOPBACK, port)
        except ConnectionError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, near_writer), _copy(near_reader, writer))

    server = await asyncio.start_server(pass_on, address, port)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Relay until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.stack.relay", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(relay(arguments.address, arguments.port))


if __name__ == "__main__":
    main()
