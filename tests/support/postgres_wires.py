"""What stands between a client and a PostgreSQL server: a wire that is cut, a pooler."""

import contextlib
import select
import socket
import threading
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

_ENCRYPTION = {80877103, 80877104}  # asked for by TLS and by GSSAPI, before all else
_COMMIT, _GOODBYE = b"COMMIT\0", b"X\0\0\0\x04"
_READY, _CHUNK = b"Z", 1 << 16


class _Between:
    """Listens at ``url`` for clients of the server that another URL names."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        user = f"{parts.username}@" if parts.username else ""
        here = f"{user}127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=here))

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:  # closed
                return
            with contextlib.suppress(OSError):
                self._meet(client)

    def _meet(self, client: socket.socket) -> None:
        raise NotImplementedError


Cut = Literal["", "before", "after"]


class Wire(_Between):
    """``cut``: at the next COMMIT, before the server has it, or after its answer, which is not passed on.

    ``hold``: the server does not see that the client has gone; until ``let_go``.
    """

    cut: Cut = ""
    cuts = 0
    hold = False

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._held: list[socket.socket] = []
        self._servers: list[socket.socket] = []

    def drop(self) -> None:
        """Cut it now, wherever it is."""
        for server in self._servers:
            _close(server)

    def let_go(self) -> None:
        while self._held:
            _close(self._held.pop())

    def __exit__(self, *_: object) -> None:
        self.let_go()
        super().__exit__()

    def _meet(self, client: socket.socket) -> None:
        server = socket.create_connection(self._server)
        self._servers.append(server)
        threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()
        threading.Thread(target=_pass, args=(server, client), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(_CHUNK):
                if self.cut and _COMMIT in data:
                    how, self.cut, self.cuts = self.cut, "", self.cuts + 1
                    client.shutdown(socket.SHUT_RD)
                    if how == "before":
                        break
                    client.shutdown(socket.SHUT_WR)  # nothing more reaches it, while the server goes on
                server.sendall(data)
        _close(client)
        if self.hold:
            self._held.append(server)
        else:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)  # it does what it was asked for first


class SharedSession(_Between):
    """A pooler of one session, which its clients have in turn. ``reset``: as if each had it alone."""

    def __init__(self, url: str, *, reset: bool = False) -> None:
        super().__init__(url)
        self._reset = reset
        self._session: socket.socket | None = None
        self._greeting = b""

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._session:
            _close(self._session)

    def _meet(self, client: socket.socket) -> None:
        startup = _startup(client)
        if self._session is None:
            self._session = socket.create_connection(self._server)
            self._session.sendall(startup)
            self._greeting = _until_ready(self._session)
        with client, contextlib.suppress(OSError):
            client.sendall(self._greeting)
            self._relay(client, self._session)
        if self._reset:
            text = b"DISCARD ALL\0"
            self._session.sendall(b"Q" + (len(text) + 4).to_bytes(4, "big") + text)
            _until_ready(self._session)

    def _relay(self, client: socket.socket, session: socket.socket) -> None:
        """Until the client takes its leave, which the session does not hear of."""
        while True:
            for source in select.select([client, session], [], [])[0]:
                data = source.recv(_CHUNK)
                if source is session:
                    client.sendall(data)
                elif not data or data.endswith(_GOODBYE):
                    return
                else:
                    session.sendall(data)


def _startup(client: socket.socket) -> bytes:
    while True:
        head = client.recv(8, socket.MSG_WAITALL)
        if int.from_bytes(head[4:], "big") not in _ENCRYPTION:
            return head + client.recv(int.from_bytes(head[:4], "big") - 8, socket.MSG_WAITALL)
        client.sendall(b"N")


def _until_ready(server: socket.socket) -> bytes:
    said = b""
    while True:
        if not (head := server.recv(5, socket.MSG_WAITALL)):
            raise ConnectionResetError
        said += head + server.recv(int.from_bytes(head[1:], "big") - 4, socket.MSG_WAITALL)
        if head[:1] == _READY:
            return said


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    _close(target)
    _close(source)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
