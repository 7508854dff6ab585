"""Many calls at once over aiohttp: one session, whose connections are kept and used again."""

from __future__ import annotations

import asyncio
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from promptops.dataclass import dataclass
from promptops.providers.http.body import BodyReader
from promptops.providers.http.errors import (
    PROXY_HINT,
    connection_error,
    cut_off_error,
    route_error,
    tunnel_error,
)
from promptops.providers.http.network import Address, Network, parse_address
from promptops.providers.http.transport import HttpReply, HttpRequest, OnLine, is_event_stream

if TYPE_CHECKING:
    import ssl

    import aiohttp
    from yarl import URL


_LONGEST_LINE = 64 * 1024  # of a reply's head, as http.client has it


@dataclass(frozen=True, slots=True)
class _Route:
    """What reaches one URL, found once: the same for every call to it."""

    address: Address
    url: URL
    options: dict[str, Any]
    headers: dict[str, str]  # beside the request's own


class PooledTransport:
    """Any number of calls at once: how many there may be is for the caller to say."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._routes: dict[str, _Route] = {}

    async def send(self, request: HttpRequest, on_line: OnLine | None = None) -> HttpReply:
        import aiohttp

        route = self._route(request.url)
        listener = _LineListener(on_line) if on_line else None
        try:
            reply = await self._exchange(request, listener, route)
        except aiohttp.ClientProxyConnectionError as error:
            failure = connection_error(error.os_error, f"the proxy {route.options['proxy']}", hint=PROXY_HINT)
        except aiohttp.ClientHttpProxyError as error:
            failure = tunnel_error(error.status, str(route.options["proxy"]))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = route_error(_unwrap_error(error), route.address.netloc, route.options.get("proxy"))
        else:
            if listener and listener.error:
                raise listener.error
            return reply
        # Raised out here: an exception of aiohttp's holds the request's headers, and so the key.
        raise failure

    async def _exchange(self, request: HttpRequest, on_line: OnLine | None, route: _Route) -> HttpReply:
        headers = {**request.headers, **route.headers}
        async with self._opened().post(
            route.url, data=request.body, headers=headers, allow_redirects=False, **route.options
        ) as response:
            return await _read(response, on_line, route.address)

    def _tls_for(self, address: Address) -> ssl.SSLContext | None:
        if address.scheme != "https":
            return None
        self._tls = self._tls or self._network.tls()
        return self._tls

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            from promptops.providers.http.connector import BoundedConnector

            self._session = aiohttp.ClientSession(
                connector=BoundedConnector(),
                timeout=aiohttp.ClientTimeout(total=None),  # the adapter bounds the whole call
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
            )
        return self._session

    def _route(self, url: str) -> _Route:
        if url not in self._routes:
            self._routes[url] = self._find_route(url)
        return self._routes[url]

    def _find_route(self, url: str) -> _Route:
        from yarl import URL

        address = parse_address(url)
        options: dict[str, Any] = {}
        headers: dict[str, str] = {}
        if tls := self._tls_for(address):
            options["ssl"] = tls
        if proxy := self._network.proxy_for(address):
            options["proxy"] = proxy.url
            secret = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            if tls:
                options["proxy_headers"] = secret
            else:
                headers = secret  # aiohttp sends the others to tunnels only
        return _Route(address, URL(url, encoded=True), options, headers)


class _LineListener:
    """Keeps what the caller's function raises apart from what the network does."""

    def __init__(self, on_line: OnLine) -> None:
        self._on_line = on_line
        self.error: Exception | None = None

    def __call__(self, line: bytes) -> bool:
        try:
            return self._on_line(line)
        except Exception as error:  # noqa: BLE001 - raised again where the call ends
            self.error = error
            return False


async def _read(response: aiohttp.ClientResponse, on_line: OnLine | None, address: Address) -> HttpReply:
    import aiohttp
    from aiohttp.http_exceptions import HttpProcessingError

    headers = {name.lower(): value for name, value in response.headers.items()}
    body = BodyReader(headers, on_line if is_event_stream(response.status, headers) else None)
    try:
        await _feed(response, body)
        return HttpReply(response.status, headers, body.end())
    except HttpProcessingError:
        failure = connection_error(HTTPException(), address.netloc)
    except (aiohttp.ClientError, OSError, EOFError):
        failure = cut_off_error(address.netloc)
    raise failure


async def _feed(response: aiohttp.ClientResponse, body: BodyReader) -> None:
    while chunk := await response.content.readany():
        for wanted in body.feed(chunk):
            if not wanted:
                return
            if body.long:
                await asyncio.sleep(0)  # others have their turn


def _unwrap_error(error: Exception) -> Exception:
    """What the operating system or the TLS library said, out of aiohttp's wrapping."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorCertificateError():
            return error.certificate_error
        case aiohttp.ClientConnectorError():
            return error.os_error
        case aiohttp.ServerDisconnectedError():
            return ConnectionResetError()
        case aiohttp.ClientResponseError():
            return HTTPException()
        case aiohttp.ClientOSError():
            return OSError(*error.args[:2])
        case _:
            return error
