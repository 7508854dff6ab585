"""Both transports against real sockets: proxies, TLS, time-outs, cancellation, bytes in odd places."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from promptops.providers.http.body import MAX_REPLY_BYTES
from promptops.providers.http.connector import BoundedConnector
from promptops.providers.http.errors import connection_error
from promptops.providers.http.network import Network, Proxy, parse_address
from promptops.providers.http.pooled import PooledTransport
from promptops.providers.http.single import SingleTransport
from promptops.providers.http.transport import HttpRequest
from promptops.providers.openai.client import OpenAIClient
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.forked_commands import ForkedPopen
from support.provider import (
    Answer,
    Provider,
    body,
    chunk,
    cut_off,
    events,
    make_certificate,
    reset,
    slow,
    text,
)
from support.readable import readable
from support.workspace_clients import until

KEY = "sk-secret-0123456789"
HELLO = CompletionRequest(model="openai/m", messages=({"role": "user", "content": "hello"},))

Make = Callable[[Network], Any]


@pytest.fixture(params=[SingleTransport, PooledTransport])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param  # type: ignore[no-any-return]


async def call(
    make: Make,
    base_url: str,
    request: CompletionRequest = HELLO,
    *,
    network: Network | None = None,
    on_text: Any = None,
) -> Completion:
    wire = OpenAIClient(
        name="openai", base_url=base_url, api_key=KEY, model="m", transport=make(network or Network())
    )
    try:
        return await wire.complete(request, on_text)
    finally:
        await wire.aclose()


def fail(
    make: Make, base_url: str, request: CompletionRequest = HELLO, *, network: Network | None = None
) -> ModelError:
    with pytest.raises(ModelError) as caught:
        asyncio.run(call(make, base_url, request, network=network))
    assert KEY not in told(caught.value)
    return caught.value


def told(error: BaseException | None) -> str:
    """Everything that a traceback, or a careless logger, could show of an error."""
    said = ""
    while error is not None:
        said += repr(error) + str(error) + repr(error.args)
        error = error.__cause__ or error.__context__
    return said


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


# ---- the ordinary


def test_one_call(make: Make) -> None:
    with Provider() as provider:
        assert asyncio.run(call(make, provider.base_url)).text == "hello"


def test_several_calls_at_once_on_one_adapter(make: Make) -> None:
    async def several(base_url: str) -> list[Completion]:
        wire = OpenAIClient(name="o", base_url=base_url, api_key=KEY, model="m", transport=make(Network()))
        asked = [
            wire.complete(CompletionRequest(model="o/m", messages=({"role": "user", "content": str(n)},)))
            for n in range(20)
        ]
        done = await asyncio.gather(*asked)
        await wire.aclose()
        return done

    with Provider() as provider:
        assert [c.text for c in asyncio.run(several(provider.base_url))] == [str(n) for n in range(20)]


def test_letters_split_between_chunks_arrive_whole(make: Make) -> None:
    said = "Zażółć gęślą jaźń 🦊"
    line = b"data: " + json.dumps(chunk({"content": said}, "stop"), ensure_ascii=False).encode() + b"\r\n\r\n"
    script = replace(events(b""), pieces=tuple(line[i : i + 1] for i in range(len(line))))
    pieces: list[str] = []
    with Provider(script) as provider:
        got = asyncio.run(call(make, provider.base_url, replace(HELLO, stream=True), on_text=pieces.append))
    assert (got.text, pieces) == (said, [said])


def test_text_is_there_before_the_stream_ends(make: Make) -> None:
    seen: list[float] = []
    started = time.monotonic()
    script = replace(events(chunk({"content": "a"}), chunk({"content": "b"}, "stop")), pause=0.5)
    with Provider(script) as provider:
        request = replace(HELLO, stream=True)
        got = asyncio.run(
            call(make, provider.base_url, request, on_text=lambda _: seen.append(time.monotonic()))
        )
    assert seen[1] - seen[0] > 0.1
    assert got.first_token_ms is not None
    assert got.first_token_ms < 1_000 * (time.monotonic() - started - 0.1)


def test_a_stream_ends_at_its_last_word_though_the_connection_stays(make: Make) -> None:
    script = replace(events(chunk({"content": "all"}, "stop")), ending="hang")
    started = time.monotonic()
    with Provider(script) as provider:
        assert asyncio.run(call(make, provider.base_url, replace(HELLO, stream=True))).text == "all"
        assert time.monotonic() - started < 10
        assert provider.hung_up.wait(10)


def test_a_last_line_without_an_end_counts(make: Make) -> None:
    script = replace(events(chunk({"content": "all"}, "stop"), done=False))
    script = replace(script, pieces=tuple(piece.rstrip(b"\n") for piece in script.pieces))
    with Provider(script) as provider:
        assert asyncio.run(call(make, provider.base_url, replace(HELLO, stream=True))).text == "all"


# ---- the network fails


def test_refused(make: Make) -> None:
    error = fail(make, "http://127.0.0.1:9/v1")
    assert (error.type, error.retryable, error.exit_code) == ("connection", True, 5)
    assert "127.0.0.1:9 refused the connection" in str(error)


def test_reset(make: Make) -> None:
    with Provider(reset()) as provider:
        error = fail(make, provider.base_url)
    assert error.type == "connection"
    assert "closed the connection without an answer" in str(error)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid"])
def test_a_name_that_does_not_resolve(make: Make, host: str) -> None:
    error = fail(make, f"http://{host}/v1")
    assert error.type == "connection"
    assert host[:20] in str(error)


def test_a_body_that_ends_early(make: Make) -> None:
    with Provider(replace(text("x"), message=None, pieces=(b'{"choices"',), ending="cut")) as provider:
        assert fail(make, provider.base_url).type == "cut_off"


def test_a_server_that_does_not_speak_http(make: Make) -> None:
    with listening(lambda link: (link.recv(9999), link.sendall(b"220 mail ready\r\n\r\n"))) as port:
        error = fail(make, f"http://127.0.0.1:{port}/v1")
    assert (error.type, str(error)) == ("malformed_reply", f"127.0.0.1:{port} did not answer in HTTP")


def test_a_connection_that_closes_without_a_word(make: Make) -> None:
    with listening(lambda link: link.recv(9999)) as port:
        error = fail(make, f"http://127.0.0.1:{port}/v1")
    assert str(error) == f"127.0.0.1:{port} closed the connection without an answer"


def test_a_body_shorter_than_announced(make: Make) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    with listening(lambda link: (link.recv(9999), link.sendall(head + b'{"choices"'))) as port:
        assert fail(make, f"http://127.0.0.1:{port}/v1").type == "cut_off"


def test_other_words_of_the_operating_system() -> None:
    assert str(connection_error(OSError(101, "Network is unreachable"), "h")) == (
        "h cannot be reached: Network is unreachable"
    )
    assert str(connection_error(ValueError(), "h")) == "h cannot be reached: ValueError"


def test_redirects_are_not_followed(make: Make) -> None:
    with Provider() as other, Provider(body(b"", 307, Location=other.base_url)) as provider:
        error = fail(make, provider.base_url)
    assert (error.type, error.status) == ("bad_request", 307)
    assert other.requests == []


def test_a_reply_without_end_is_given_up(make: Make) -> None:
    piece = b"x" * (1024 * 1024)
    endless = Answer(
        headers={"Content-Type": "application/json"}, pieces=(piece,) * (MAX_REPLY_BYTES // len(piece) + 2)
    )
    with Provider(endless) as provider:
        assert "larger than 32 MiB" in str(fail(make, provider.base_url))


@pytest.mark.parametrize("url", ["ftp://x/v1", "http:///v1", "http://h:99999/v1", "h/v1", "http://[::1/v1"])
def test_an_address_that_is_none(make: Make, url: str) -> None:
    error = fail(make, url)
    assert (error.type, error.exit_code) == ("bad_request", 4)


def test_a_password_in_the_address_is_refused_and_not_shown(make: Make) -> None:
    assert "hunter2" not in str(fail(make, "http://me:hunter2@h/v1"))
    assert "hunter2" not in str(fail(make, "ftp://h/v1?key=hunter2"))


# ---- time


@pytest.mark.parametrize("stream", [False, True])
def test_the_whole_call_has_a_time_limit(make: Make, stream: bool) -> None:
    script = cut_off("half", ending="hang") if stream else slow(30, text("late"))
    started = time.monotonic()
    with Provider(script) as provider:
        error = fail(make, provider.base_url, replace(HELLO, stream=stream, timeout=0.2))
        assert provider.hung_up.wait(10)
    assert time.monotonic() - started < 10
    assert (error.type, error.partial) == ("timeout", "half" if stream else "")
    assert "--timeout" in error.hint


def test_cancelling_closes_the_socket_at_once(make: Make) -> None:
    async def cancelled(provider: Provider) -> None:
        task = asyncio.create_task(call(make, provider.base_url))
        await asyncio.to_thread(until, lambda: provider.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Provider(slow(30, text("late"))) as provider:
        asyncio.run(cancelled(provider))
        assert provider.hung_up.wait(10)


def test_a_listener_that_fails_ends_the_call(make: Make) -> None:
    def closed(_: str) -> None:
        raise BrokenPipeError

    with Provider(cut_off("half", ending="hang")) as provider:
        with pytest.raises(BrokenPipeError):
            asyncio.run(call(make, provider.base_url, replace(HELLO, stream=True), on_text=closed))
        assert provider.hung_up.wait(10)


def test_a_silent_handshake_is_cut_by_the_time_limit(make: Make) -> None:
    with listening(lambda link: (link.recv(9999), readable(link, seconds=5))) as port:
        error = fail(make, f"https://127.0.0.1:{port}/v1", replace(HELLO, timeout=0.2))
    assert error.type == "timeout"


def test_ctrl_c_leaves_at_once(repo: Any) -> None:
    program = repo.path / "call.py"
    program.write_text(
        "import asyncio, sys\n"
        "from promptops.providers import create_client\n"
        "from promptops.providers.types import CompletionRequest\n"
        "from promptops.config.settings import find_settings\n"
        "from pathlib import Path\n"
        "env = {'OPENAI_API_KEY': 'k', 'OPENAI_BASE_URL': sys.argv[1], 'HOME': sys.argv[2]}\n"
        "wire = create_client('openai/m', find_settings(Path(sys.argv[2]), env), env)\n"
        "said = ({'role': 'user', 'content': 'x'},)\n"
        "asyncio.run(wire.complete(CompletionRequest(model='openai/m', messages=said)))\n"
    )
    with Provider(slow(30, text("late"))) as provider:
        command = [sys.executable, str(program), provider.base_url, str(repo.path)]
        with ForkedPopen(command, stderr=subprocess.PIPE) as child:
            until = time.monotonic() + 60
            while not provider.requests and time.monotonic() < until:
                time.sleep(0.02)
            child.send_signal(2)
            started = time.monotonic()
            _, said = child.communicate(timeout=60)
        assert time.monotonic() - started < 10
        assert said.rstrip().endswith(b"KeyboardInterrupt")
        assert provider.hung_up.wait(10)


# ---- TLS


def test_a_certificate_of_ones_own_authority(make: Make, certificate: tuple[Path, Path]) -> None:
    trusting = Network.from_env({"SSL_CERT_FILE": str(certificate[0])})
    with Provider(tls=certificate) as provider:
        assert asyncio.run(call(make, provider.base_url, network=trusting)).text == "hello"


def test_a_certificate_that_nobody_vouches_for(make: Make, certificate: tuple[Path, Path]) -> None:
    with Provider(tls=certificate) as provider:
        error = fail(make, provider.base_url)
    assert (error.type, provider.requests) == ("connection", [])
    assert "TLS: self-signed certificate" in str(error)
    assert "SSL_CERT_FILE" in error.hint


def test_a_certificate_of_another_name(make: Make, tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "DNS:other.example")
    with Provider(tls=other) as provider:
        error = fail(make, provider.base_url, network=Network(ca_file=str(other[0])))
    assert "TLS" in str(error)
    assert "127.0.0.1" in str(error)


def test_https_to_a_server_without_it(make: Make) -> None:
    with Provider() as provider:
        error = fail(make, provider.base_url.replace("http:", "https:"))
    assert error.type == "connection"
    assert "speak https" in error.hint


def test_a_file_of_certificates_that_is_missing(make: Make) -> None:
    error = fail(make, "https://127.0.0.1:9/v1", network=Network(ca_file="/no/such.pem"))
    assert (error.type, str(error)) == ("connection", "no certificates could be read from /no/such.pem")


def test_a_system_without_certificates_uses_those_of_certifi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert Network().tls().cert_store_stats()["x509_ca"] > 20


# ---- proxies


def test_plain_http_goes_through_the_proxy_with_its_password(make: Make) -> None:
    with Provider() as proxy:
        port = proxy.base_url.split(":")[2].split("/")[0]
        network = Network.from_env({"http_proxy": f"http://me:p%40ss@127.0.0.1:{port}"})
        asyncio.run(call(make, "http://provider.example/v1", network=network))
    [seen] = proxy.requests
    assert seen.path == "http://provider.example/v1/chat/completions"
    assert seen.headers["host"] == "provider.example"
    assert seen.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="


def test_https_goes_through_a_tunnel(make: Make, certificate: tuple[Path, Path]) -> None:
    with Provider(tls=certificate) as provider, tunnel(provider.port) as (port, heard):
        network = Network.from_env(
            {"HTTPS_PROXY": f"me:pw@127.0.0.1:{port}", "SSL_CERT_FILE": str(certificate[0])}
        )
        assert asyncio.run(call(make, provider.base_url, network=network)).text == "hello"
        assert f"CONNECT 127.0.0.1:{provider.port} HTTP/1.1" in heard[0]
        assert "Basic bWU6cHc=" in heard[0]
        assert KEY not in heard[0]
        assert "proxy-authorization" not in provider.requests[0].headers


def test_a_proxy_that_refuses(make: Make) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with listening(lambda link: (link.recv(9999), link.sendall(refusal))) as port:
        network = Network.from_env({"HTTPS_PROXY": f"http://me:hunter2@127.0.0.1:{port}"})
        error = fail(make, "https://provider.example/v1", network=network)
    assert (error.type, str(error)) == ("connection", f"the proxy http://127.0.0.1:{port} answered 407")
    assert "user and password" in error.hint


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n\r\n", b"SSH-2.0-x\r\n\r\n"])
def test_a_proxy_that_closes_the_tunnel_is_named(make: Make, answer: bytes) -> None:
    with listening(lambda link: (link.recv(9999), link.sendall(answer))) as port:
        network = Network.from_env({"HTTPS_PROXY": f"http://me:hunter2@127.0.0.1:{port}"})
        error = fail(make, "https://provider.example/v1", network=network)
    assert f"provider.example (through the proxy http://127.0.0.1:{port})" in str(error)
    assert "hunter2" not in str(error) + error.hint
    assert answer or "PROXY" in error.hint


def test_aiohttp_still_says_where_its_connections_are_made() -> None:
    """``BoundedConnector`` sets an attribute that aiohttp does not document."""

    async def factory_of(connector: type[aiohttp.TCPConnector]) -> Any:
        made = connector()
        try:
            return vars(made)["_factory"]()
        finally:
            await made.close()

    assert type(asyncio.run(factory_of(aiohttp.TCPConnector))) is ResponseHandler
    bounded = asyncio.run(factory_of(BoundedConnector))
    assert isinstance(bounded, ResponseHandler)
    assert type(bounded) is not ResponseHandler


@pytest.mark.parametrize(
    "url", ["socks5://h:1", "https://h:1", "http://", "h:²", "http://h:99999", "http://[::1", "http://h:-1"]
)
def test_other_kinds_of_proxies_are_refused_rather_than_ignored(make: Make, url: str) -> None:
    error = fail(make, "http://provider.example/v1", network=Network.from_env({"ALL_PROXY": url}))
    assert "http://host:port" in error.hint


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "http://example.com/", False),
        ("*", "http://example.com/", True),
        ("example.com", "http://example.com/", True),
        ("example.com", "http://api.example.com/", True),
        (".example.com", "http://api.example.com/", True),
        ("*.example.com", "http://api.example.com/", True),
        ("example.com", "http://badexample.com/", False),
        ("example.com:8080", "http://example.com/", False),
        ("example.com:8080", "http://example.com:8080/", True),
        ("a, 10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://example.com/", False),
        ("example.com:²", "http://example.com/", False),
        (f"example.com:{'9' * 5000}", "http://example.com/", False),
        ("::1", "http://[::1]:8080/", True),
        ("[::1]", "http://[::1]/", True),
    ],
)
def test_no_proxy(no_proxy: str, url: str, direct: bool) -> None:
    network = Network.from_env({"HTTP_PROXY": "http://[::2]:3128", "NO_PROXY": no_proxy})
    assert network.proxy_for(parse_address(url)) == (None if direct else Proxy("::2", 3128))


def test_addresses() -> None:
    address = parse_address("https://[::1]:8443/v1?api-version=2")
    assert (address.netloc, address.target) == ("[::1]:8443", "/v1?api-version=2")
    assert parse_address("http://h").target == "/"
    assert Proxy("::2", 1).url == "http://[::2]:1"


def test_a_query_of_the_base_url_stays_behind_the_path(make: Make) -> None:
    with Provider() as provider:
        asyncio.run(call(make, provider.base_url + "/?v=1"))
    assert provider.requests[0].path == "/v1/chat/completions?v=1"


def test_secrets_are_not_in_any_repr() -> None:
    network = Network.from_env({"http_proxy": "http://me:hunter2@h:1"})
    request = HttpRequest("http://h/", {"Authorization": KEY}, b"")
    proxy = network.proxy_for(parse_address("http://x/"))
    assert "hunter2" not in repr(network) + repr(proxy)
    assert KEY not in repr(request)


def test_a_single_call_loads_no_heavy_module(repo: Any) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from promptops.providers import create_client\n"
        "from promptops.providers.types import CompletionRequest\n"
        "from promptops.config.settings import find_settings\n"
        "env = {'OPENAI_API_KEY': 'k', 'OPENAI_BASE_URL': sys.argv[1], 'HOME': sys.argv[2]}\n"
        "wire = create_client('openai/m', find_settings(Path(sys.argv[2]), env), env)\n"
        "said = ({'role': 'user', 'content': 'x'},)\n"
        "asyncio.run(wire.complete(CompletionRequest(model='openai/m', messages=said)))\n"
        "print([m for m in ('aiohttp', 'litellm', 'httpx', 'urllib.request') if m in sys.modules])\n"
    )
    with Provider() as provider:
        command = [sys.executable, "-c", program, provider.base_url, str(repo.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- small servers


class listening:  # noqa: N801 - used like a function
    """A server that does one thing with each connection."""

    def __init__(self, handle: Callable[[socket.socket], Any]) -> None:
        self._handle = handle
        self._server = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._serve, daemon=True).start()
        return self._server.getsockname()[1]  # type: ignore[no-any-return]

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # macOS: it is not connected
            self._server.shutdown(socket.SHUT_RDWR)  # Linux: a close alone leaves `accept` waiting
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            with link:
                self._handle(link)


class tunnel:  # noqa: N801 - used like a function
    """A proxy that opens tunnels to one port; ``heard`` holds what it was asked."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._heard: list[str] = []
        self._listening = listening(self._handle)

    def __enter__(self) -> tuple[int, list[str]]:
        return self._listening.__enter__(), self._heard

    def __exit__(self, *_: object) -> None:
        self._listening.__exit__()

    def _handle(self, near: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += near.recv(4096)
        self._heard.append(asked.decode())
        near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self._port)) as far:
            for source in _ready(near, far):
                data = source.recv(65536)
                if not data:
                    return
                (far if source is near else near).sendall(data)


def _ready(*links: socket.socket) -> Iterator[socket.socket]:
    while found := readable(*links, seconds=5):
        yield from found
