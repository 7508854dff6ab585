"""A loopback server that answers with raw bytes: what no well-behaved server sends.

    with RawServer(b"HTTP/1.1 200 OK\r\n...") as server: ...

A reply is bytes, or pieces of them; the connection is closed after it. Endless pieces end with the client.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

Pieces = bytes | Callable[[], Iterable[bytes]]


class RawServer:
    def __init__(self, reply: Pieces, *, pause: float = 0.0) -> None:
        self._reply = reply
        self._pause = pause
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.sent = 0
        self.requests: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with suppress(OSError):  # macOS: it is not connected
            self._listener.shutdown(socket.SHUT_RDWR)  # Linux: a close alone leaves `accept` waiting
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with link:
            try:
                self.requests.append(_request(link))
                for piece in (self._reply,) if isinstance(self._reply, bytes) else self._reply():
                    link.sendall(piece)
                    self.sent += len(piece)
                    if self._over.is_set():
                        return
                    time.sleep(self._pause)
                link.shutdown(socket.SHUT_WR)
                link.settimeout(5)
                while link.recv(65536):  # closed at once, what was sent could be lost
                    pass
            except OSError:
                pass  # clients that hang up are part of the tests


def _request(link: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(link)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0] or 0)
    while len(body) < length:
        body += _more(link)
    return head + b"\r\n\r\n" + body


def _more(link: socket.socket) -> bytes:
    data = link.recv(65536)
    if not data:
        raise ConnectionResetError
    return data
