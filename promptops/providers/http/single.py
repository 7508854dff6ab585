"""One call at a time over ``http.client`` in a thread of its own; cancelled by closing its socket."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from ssl import SSLContext
from typing import Any

from promptops.providers.http.body import TURN_BYTES, BodyReader
from promptops.providers.http.errors import (
    PROXY_HINT,
    connection_error,
    cut_off_error,
    route_error,
    tunnel_error,
)
from promptops.providers.http.network import Address, Network, Proxy, parse_address
from promptops.providers.http.response import BoundedResponse
from promptops.providers.http.transport import (
    HttpReply,
    HttpRequest,
    OnLine,
    is_event_stream,
)

_WAITING = 4  # pieces of a stream that the event loop has not looked at yet


class SingleTransport:
    """Opens a connection for each call: right for one call, or a few one after another."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def send(self, request: HttpRequest, on_line: OnLine | None = None) -> HttpReply:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[HttpReply] = loop.create_future()
        exchange = _Exchange(self._network, request, on_line, _LoopBridge(loop, done))
        # A daemon: a name lookup cannot be interrupted, and must not hold up the end of the program.
        threading.Thread(target=exchange.work, daemon=True).start()
        try:
            return await done
        finally:
            exchange.close()

    async def aclose(self) -> None:
        pass  # nothing outlives a call


class _LoopBridge:
    """Brings what the thread finds to the event loop, in order, until the call is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[HttpReply]) -> None:
        self._loop = loop
        self._done = done

    def post(self, deliver: Callable[..., Any], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._run, deliver, args)

    def finish(self, reply: HttpReply) -> None:
        self.post(self._done.set_result, reply)

    def fail(self, error: BaseException) -> None:
        self.post(self._done.set_exception, error)

    def _run(self, deliver: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._done.done():
            return
        try:
            deliver(*args)
        except Exception as error:  # noqa: BLE001 - the caller's await raises it
            self._done.set_exception(error)


class _Exchange:
    def __init__(
        self, network: Network, request: HttpRequest, on_line: OnLine | None, box: _LoopBridge
    ) -> None:
        self._network = network
        self._request = request
        self._on_line = on_line
        self._box = box
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._connection: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._closed = False
        self._room = threading.Semaphore(_WAITING)
        self._lines: list[bytes] = []

    def close(self) -> None:
        """Wake the thread from whatever it waits for."""
        with self._lock:
            self._closed = True
            self._room.release()
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    # The plain socket's method: it leaves a TLS object alone that the thread may be reading.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def work(self) -> None:
        try:
            self._box.finish(self._talk(parse_address(self._request.url)))
        except BaseException as error:  # noqa: BLE001 - the caller's await raises it
            self._box.fail(error)
        finally:
            self._release()

    def _release(self) -> None:
        with self._lock, contextlib.ExitStack() as stack:
            for held in (self._socket, self._connection, self._response):
                if held is not None:
                    stack.callback(held.close)

    def _talk(self, address: Address) -> HttpReply:
        proxy = self._network.proxy_for(address)
        try:
            response = self._response = self._ask(address, proxy)
        except (OSError, HTTPException, ValueError) as error:
            raise route_error(error, address.netloc, proxy.url if proxy else None) from None
        try:
            return self._read(response)
        except (OSError, IncompleteRead, ValueError, EOFError):
            raise cut_off_error(address.netloc) from None
        except HTTPException as error:
            raise connection_error(error, address.netloc) from None

    def _ask(self, address: Address, proxy: Proxy | None) -> HTTPResponse:
        target, headers = self._request.url if proxy else address.target, dict(self._request.headers)
        context = self._network.tls() if address.scheme == "https" else None
        link = self._connect_to_proxy(proxy) if proxy else self._connect(address.host, address.port)
        if context:
            link, target = self._secure(link, context, address, proxy), address.target
        elif proxy and proxy.authorization:
            headers["Proxy-Authorization"] = proxy.authorization
        connection = self._connection = HTTPConnection(address.host, address.port)
        connection.sock = link
        connection.response_class = BoundedResponse
        headers |= {"Host": address.netloc, "Connection": "close"}
        body = self._request.pieces or self._request.body or None
        connection.request(self._request.method, target, body, headers)
        return connection.getresponse()

    def _connect_to_proxy(self, proxy: Proxy) -> socket.socket:
        try:
            return self._connect(proxy.host, proxy.port)
        except OSError as error:
            raise connection_error(error, f"the proxy {proxy.url}", hint=PROXY_HINT) from None

    def _connect(self, host: str, port: int) -> socket.socket:
        problem: OSError | None = None
        for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            link = self._hold(socket.socket(family, kind, protocol))
            try:
                link.connect(place)
            except OSError as error:
                problem = error
                link.close()
                continue
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
        raise problem or OSError(f"{host} has no address")

    def _hold(self, link: socket.socket) -> socket.socket:
        with self._lock:
            self._socket = link
            if self._closed:
                raise ConnectionAbortedError
        return link

    def _secure(
        self, link: socket.socket, context: SSLContext, address: Address, proxy: Proxy | None
    ) -> socket.socket:
        if proxy:
            _open_tunnel(link, address, proxy)
        secured = context.wrap_socket(link, server_hostname=address.host, do_handshake_on_connect=False)
        self._hold(secured)  # before the handshake, which may hang
        secured.do_handshake()
        return secured

    def _read(self, response: HTTPResponse) -> HttpReply:
        headers = {name.lower(): value for name, value in response.getheaders()}
        streamed = self._on_line is not None and is_event_stream(response.status, headers)
        into = self._request.into if response.status == 200 else None
        body = BodyReader(headers, self._lines_append if streamed else None, into, self._request.most)
        while chunk := response.read1(TURN_BYTES):
            for _ in body.feed(chunk):
                self._deliver()
        if response.length:
            raise IncompleteRead(b"", response.length)
        rest = body.end()
        self._deliver()
        return HttpReply(response.status, headers, rest)

    def _lines_append(self, line: bytes) -> bool:
        self._lines.append(line)
        return True

    def _deliver(self) -> None:
        """Hand the lines over, when the event loop has looked at those before."""
        if not self._lines:
            return
        self._room.acquire()
        if self._closed:
            raise ConnectionAbortedError
        lines, self._lines = self._lines, []
        self._box.post(self._take, lines)

    def _take(self, lines: list[bytes]) -> None:
        """On the event loop; a line that ends the answer ends the call."""
        self._room.release()
        if self._on_line is not None and not all(map(self._on_line, lines)):
            self._box.finish(HttpReply(200, {}, b""))


def _open_tunnel(link: socket.socket, address: Address, proxy: Proxy) -> None:
    place = f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    link.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    response = BoundedResponse(link, method="CONNECT")
    with response:
        response.begin()
    if response.status != 200:
        raise tunnel_error(response.status, proxy.url)
