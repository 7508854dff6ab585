"""A gateway in this process, and a client that speaks plain HTTP to it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from promptops.config.settings import find_settings
from promptops.gateway.server import Gateway, GatewayOptions
from promptops.service import RepositorySource
from support.forked_commands import ForkedPopen


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]  # names in lower case
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> Any:
        return self.body["error"]

    @property
    def text(self) -> str:
        return str(self.body["choices"][0]["message"]["content"])

    @property
    def named_events(self) -> list[Any]:
        """What an event stream holds whose events have names; each holds its own."""
        found = [event.split(b"\n", 1) for event in self.raw.split(b"\n\n") if event]
        events = [
            (name.removeprefix(b"event: ").decode(), json.loads(data[len(b"data: ") :]))
            for name, data in found
        ]
        assert [name for name, _ in events] == [event["type"] for _, event in events]
        return [event for _, event in events]

    @property
    def events(self) -> list[Any]:
        """What an event stream holds; its last line is [DONE]."""
        lines = [line[len(b"data: ") :] for line in self.raw.split(b"\n\n") if line]
        return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


@dataclass(frozen=True)
class Client:
    port: int
    host: str = "127.0.0.1"

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}/v1"

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        connection = HTTPConnection(self.host.strip("[]"), self.port, timeout=30)
        try:
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, found, answer.read())
        finally:
            connection.close()

    def respond(self, *, headers: Any = None, **body: Any) -> Response:
        """A request of the Responses API."""
        return self.send("POST", "/v1/responses", body, headers)

    def get(self, path: str, **headers: str) -> Response:
        return self.send("GET", path, None, headers)

    def chat(self, model: str = "greet:production", /, *, headers: Any = None, **body: Any) -> Response:
        """A chat request; without ``messages`` or ``inputs`` it greets Ada."""
        if not {"messages", "inputs", "metadata"} & body.keys():
            body["inputs"] = {"name": "Ada"}
        return self.send("POST", "/v1/chat/completions", {"model": model, **body}, headers)


@contextmanager
def running_gateway(folder: Path, **options: Any) -> Iterator[Client]:
    settings = find_settings(folder, os.environ)
    with Gateway(settings, RepositorySource(settings), GatewayOptions(port=0, **options)) as gateway:
        yield Client(gateway.start())


@contextmanager
def serving_process(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """``promptops serve`` on a free port, in a process of its own."""
    command = [sys.executable, "-m", "promptops", "serve", "--port", "0", *options]
    with ForkedPopen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            line = process.stderr.readline()
            assert "/v1" in line, line + process.stderr.read()
            host, _, port = line.partition("http://")[2].partition("/v1")[0].rpartition(":")
            yield process, Client(int(port), host if host == "[::1]" else "127.0.0.1")
        finally:
            process.kill()
