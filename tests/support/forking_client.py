"""Asks the forking server for a command line; as a program it ends as that does, and loads little itself."""

import marshal
import os
import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence


def ask(
    address: str,
    arguments: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    streams: Iterable[int] = (0, 1, 2),
    *,
    new_session: bool = False,
) -> socket.socket:
    """Start what follows ``python`` on a command line; the answers are its number and then its status."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = marshal.dumps((list(arguments), folder, dict(environment), new_session))
    socket.send_fds(connection, [struct.pack("i", len(request))], list(streams))
    connection.sendall(request)
    return connection


def answer(connection: socket.socket) -> int:
    (number,) = struct.unpack("i", connection.recv(4))
    return number


if __name__ == "__main__":
    connection = ask(sys.argv[1], sys.argv[2:], os.getcwd(), os.environ)  # noqa: PTH109 - pathlib loads much
    answer(connection)
    code = os.waitstatus_to_exitcode(answer(connection))
    if code < 0:
        os.kill(os.getpid(), -code)
    sys.exit(code)
