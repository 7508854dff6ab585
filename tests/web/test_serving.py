"""The server of pages as a process: alone, and beside the gateway."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.greet_releases import ok
from support.provider import Provider


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """The process, its port, and the path that opens a session, where one does."""
    port = () if words[0] == "review" else ("--port", "0")
    command = [sys.executable, "-m", "promptops", *words, *port]
    with ForkedPopen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            for line in process.stderr:
                if found := re.search(r"pages at http://[^:/]+(?::(\d+))?(/ui/\S*)", line):
                    yield process, int(found[1] or 0), found[2].rstrip(";")
                    return
            raise AssertionError("it has not said where the pages are")
        finally:
            process.kill()


def get(port: int, path: str, **headers: str) -> tuple[int, str, str]:
    """Status, cookie and text."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0], answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_when_it_is_told_to(number: signal.Signals, live: Repo) -> None:
    with serving(live.path, "ui", "--no-browser") as (process, port, path):
        assert get(port, "/")[0] == 302
        status, cookie, _ = get(port, path)
        assert (status, get(port, "/ui/", Cookie=cookie)[0]) == (303, 200)
        process.send_signal(number)
        assert process.wait(20) == 0


def test_a_queue_is_opened_where_it_is_made(cli: Cli, live: Repo, provider: Provider) -> None:
    ok(cli("run", "greet:production", "-i", "name=Ada"))
    with serving(live.path, "review", "start", "greet", "--open") as (_, port, path):
        assert path.startswith("/ui/review/1?token=")
        _, cookie, _ = get(port, path)
        status, _, page = get(port, "/ui/review/1", Cookie=cookie)
        assert (status, "Would you send this answer as it is?" in page) == (200, True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_beside_the_gateway_each_takes_its_own_credentials(cli: Cli, live: Repo, workers: str) -> None:
    secret = ok(cli("keys", "new", "acme")).out.strip()
    with serving(live.path, "serve", "--ui", "--workers", workers) as (_, port, path):
        key = {"Authorization": f"Bearer {secret}"}
        assert get(port, "/v1/models", **key)[0] == 200
        assert get(port, "/ui/", **key)[0] == 401
        status, cookie, _ = get(port, path)
        assert (status, get(port, path)[0]) == (303, 401)
        for _ in range(8):  # by whichever process
            assert get(port, "/ui/", Cookie=cookie)[0] == 200
        assert get(port, "/v1/models", Cookie=cookie)[0] == 401
        assert get(port, "/ui/", Cookie=cookie, Host="evil.example")[0] == 403
        assert get(port, "/livez")[0] == 200


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ui", "--host", "0.0.0.0"), "people on other machines need keys"),  # noqa: S104 - it is refused
        (("ui", "--proxy-header", "X-User"), "--proxy-header and --proxy-from go together"),
        (("ui", "--proxy-header", "X-User", "--proxy-from", "10.0.0.0/99"), "10.0.0.0/99"),
        (("ui", "--public-url", "prompts.example"), "is not the address of a site"),
        (("serve", "--ui", "--bundle", "bundle.json"), "pages show a repository"),
    ],
)
def test_what_cannot_be_served_is_said(cli: Cli, live: Repo, words: tuple[str, ...], said: str) -> None:
    ok(cli("release", "bundle", "--out", "bundle.json"))
    done = cli(*words)
    assert (done.code, said in done.err) == (4, True), done.err
