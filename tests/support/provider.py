"""A loopback provider that speaks OpenAI's chat completions, with scripted answers.

    with Provider([status(429, retry_after=1), text("hello")]) as provider: ...

A script is one answer, a list (one per request; the last repeats), or a function of the request.
Without one it echoes the last user message. ``text`` and ``reply`` answer a streaming request as a stream.
"""

import json
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self

import pytest

from support.readable import readable


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]  # names in lower case
    raw: bytes
    method: str = "POST"

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def streams(self) -> bool:
        return b'"stream":true' in self.raw.replace(b" ", b"")


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    wait: float = 0.0  # before the first byte
    pause: float = 0.0  # between pieces
    ending: Literal["whole", "cut", "reset", "hang"] = "whole"
    message: dict[str, Any] | None = None  # a chat message: sent whole or as a stream, as the request asks
    finish: str = "stop"
    usage: dict[str, Any] | None = None


Script = Answer | Sequence[Answer] | Callable[[Received], Answer]


def text(content: str, *, finish: str = "stop", usage: dict[str, Any] | None = None) -> Answer:
    return reply({"role": "assistant", "content": content}, finish=finish, usage=usage)


def reply(message: dict[str, Any], *, finish: str = "stop", usage: dict[str, Any] | None = None) -> Answer:
    return Answer(message=message, finish=finish, usage=usage)


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return body(json.dumps(value).encode(), status, **{"Content-Type": "application/json", **headers})


def body(content: bytes, status: int = 200, **headers: str) -> Answer:
    return Answer(status=status, headers=headers, pieces=(content,))


def status(number: int, message: str = "scripted", /, *, retry_after: object = None, **error: Any) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return as_json({"error": {"message": message, **error}}, number, **headers)


def html(code: int = 200, title: str = "Sign in") -> Answer:
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body></body></html>"
    return body(page.encode(), code, **{"Content-Type": "text/html"})


def empty_choices() -> Answer:
    return as_json({"id": "x", "object": "chat.completion", "model": "m", "choices": []})


def malformed() -> Answer:
    return body(b'{"id": "x", "choices": [', **{"Content-Type": "application/json"})


def slow(seconds: float, answer: Answer) -> Answer:
    return replace(answer, wait=seconds)


def reset() -> Answer:
    return Answer(ending="reset")


def events(*payloads: Any, done: bool = True) -> Answer:
    """An event stream of these objects (or raw bytes)."""
    lines = [p if isinstance(p, bytes) else b"data: " + json.dumps(p).encode() + b"\n\n" for p in payloads]
    return Answer(headers=EVENTS, pieces=(*lines, b"data: [DONE]\n\n") if done else tuple(lines))


def cut_off(content: str, *, ending: Literal["cut", "reset", "hang"] = "cut") -> Answer:
    """A stream that stops in the middle."""
    return replace(events(chunk({"content": content}), done=False), ending=ending)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "stub-1",
        "choices": [choice],
        **more,
    }


EVENTS = {"Content-Type": "text/event-stream"}
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def echo(request: Received) -> Answer:
    said = [message for message in request.body["messages"] if message.get("role") == "user"]
    content = said[-1]["content"] if said else ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    return text(content)


class Provider:
    """``requests`` holds what came in; ``script`` may be set at any time."""

    def __init__(self, script: Script = echo, *, tls: tuple[Path, Path] | None = None, port: int = 0) -> None:
        self.script = script
        self.requests: list[Received] = []
        self.connections = 0  # that were opened
        self.hung_up = threading.Event()  # a client closed its end before its answer was complete
        self._served = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"provider": self}))
        self._scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._scheme = "https"

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Received) -> Answer:
        with self._lock:
            self.requests.append(request)
            turn = self._served
            self._served += 1
        if isinstance(self.script, Answer):
            return self.script
        if callable(self.script):
            return self.script(request)
        return self.script[min(turn, len(self.script) - 1)]

    def pause(self, seconds: float, connection: socket.socket) -> bool:
        """Wait; False when the client has hung up or the test is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._over.is_set():
            if readable(connection, seconds=min(left, 0.02)):
                self.hung_up.set()
                return False
        return not self._over.is_set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, *_: object) -> None:
        pass  # clients that hang up are part of the tests


class _Handler(BaseHTTPRequestHandler):
    provider: Provider
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        self.provider.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PATCH(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def _respond(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.path, headers, raw, self.command)
        answer = _delivered(self.provider.answer(request), request)
        if answer.wait and not self.provider.pause(answer.wait, self.connection):
            self.close_connection = True
            return
        if answer.ending == "reset" and not answer.pieces:
            self._reset()
            return
        self._head(answer)
        self._send(answer)

    def _head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if _chunked(answer):
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(sum(map(len, answer.pieces))))
        self.end_headers()

    def _send(self, answer: Answer) -> None:
        for piece in answer.pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if _chunked(answer) else piece)
            if answer.pause and not self.provider.pause(answer.pause, self.connection):
                self.close_connection = True
                return
        if answer.ending == "whole":
            self.wfile.write(b"0\r\n\r\n" if _chunked(answer) else b"")
        elif answer.ending == "hang":
            self.provider.pause(60, self.connection)
        self.close_connection = self.close_connection or answer.ending != "whole"
        if answer.ending == "reset":
            self._reset()

    def _reset(self) -> None:
        time.sleep(0.02)  # what was written before gets out
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def _chunked(answer: Answer) -> bool:
    return answer.headers.get("Content-Type") == "text/event-stream" or answer.ending in {"cut", "hang"}


def _delivered(answer: Answer, request: Received) -> Answer:
    """A chat message as the request wants it: whole, or as a stream of pieces."""
    if answer.message is None:
        return answer
    usage = answer.usage or USAGE
    if not request.streams:
        choice = {"index": 0, "message": answer.message, "finish_reason": answer.finish}
        whole = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "stub-1",
            "choices": [choice],
            "usage": usage,
        }
        made = as_json(whole)
    else:
        content = answer.message.get("content") or ""
        halves = [content[: len(content) // 2], content[len(content) // 2 :]]
        rest = {k: v for k, v in answer.message.items() if k not in {"role", "content"} and v}
        deltas = [{"role": "assistant", "content": ""}, *({"content": half} for half in halves if half)]
        if rest:
            deltas.append(rest)
        last = {"id": "chatcmpl-1", "model": "stub-1", "choices": [], "usage": usage}
        made = events(*map(chunk, deltas), chunk({}, answer.finish), last)
    return replace(made, wait=answer.wait, pause=answer.pause)


def make_certificate(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += [
        "-addext",
        f"subjectAltName={names}",
        "-keyout",
        str(key),
        "-out",
        str(cert),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key
