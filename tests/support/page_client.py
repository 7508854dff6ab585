"""The pages of a project, served in this process, and a client that acts as a browser without a screen."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from promptops.config.settings import find_settings
from promptops.gateway.workers import listen
from promptops.web.access import AccessOptions, PageAccess
from promptops.web.context import Project
from promptops.web.server import PageServer


@dataclass(frozen=True)
class PageAnswer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    html: str

    @property
    def form_token(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.html)
        assert found, self.html
        return found[1]


@dataclass
class PageClient:
    port: int
    access: PageAccess
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """The address that opens a session."""
        return f"/ui/?token={self.access.sessions.token.current}"

    def sign_in(self) -> None:
        assert self.get(self.address).status == 303

    def get(self, path: str, **headers: str) -> PageAnswer:
        return self.send("GET", path, None, headers)

    def post(self, path: str, fields: Mapping[str, str], **headers: str) -> PageAnswer:
        """A form with the token of a page, as a browser sends it."""
        token = {} if "csrf" in fields else {"csrf": self.get("/ui/").form_token}
        body = urlencode({**token, **fields}).encode()
        return self.send("POST", path, body, {"Origin": self.origin, **headers})

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> PageAnswer:
        sent = {name: value for name, value in {**self.headers, **headers}.items() if value}
        if body is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if self.cookies:
            sent.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                self.cookies[name] = value
            found = {name.lower(): value for name, value in answer.getheaders()}
            return PageAnswer(answer.status, found, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def serving_pages(folder: Path, *, read_only: bool = False, **options: Any) -> Iterator[PageClient]:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        project = Project(find_settings(folder, os.environ), read_only=read_only)
        access = PageAccess(project, AccessOptions(port=port, **options))
        with PageServer(project, access) as server:
            server.start(listening)
            yield PageClient(port, access)
