"""Many calls at once on connections that are kept; over aiohttp where there is a proxy or a stream."""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from promptops.providers.http.errors import connection_error, cut_off_error, tunnel_error
from promptops.providers.http.network import Address, Network, parse_address
from promptops.providers.http.pool import ConnectionPool
from promptops.providers.http.transport import BodyReader, HttpReply, HttpRequest, OnLine, is_event_stream

if TYPE_CHECKING:
    import ssl

    import aiohttp


class PooledTransport:
    """Any number of calls at once; of those over aiohttp ``limit``, further ones wait for a connection."""

    def __init__(self, network: Network, *, limit: int = 128) -> None:
        self._network = network
        self._limit = limit
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._kept = ConnectionPool()
        self._addresses: dict[str, Address] = {}  # those that are reached without a proxy

    async def send(self, request: HttpRequest, on_line: OnLine | None = None) -> HttpReply:
        if on_line is None and (address := self._direct(request.url)):
            return await self._kept.send(request, address, self._tls_for(address))
        return await self._send(request, on_line)

    def _direct(self, url: str) -> Address | None:
        if url not in self._addresses:
            address = parse_address(url)
            if self._network.proxy_for(address):
                return None
            self._addresses[url] = address
        return self._addresses[url]

    def _tls_for(self, address: Address) -> ssl.SSLContext | None:
        if address.scheme != "https":
            return None
        self._tls = self._tls or self._network.tls()
        return self._tls

    async def _send(self, request: HttpRequest, on_line: OnLine | None) -> HttpReply:
        import aiohttp

        address = parse_address(request.url)
        listener = _LineListener(on_line) if on_line else None
        try:
            reply = await self._exchange(request, listener, address)
        except aiohttp.ClientHttpProxyError as error:
            failure = tunnel_error(error.status, _proxy_url(self._network, address))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = connection_error(_unwrap_error(error), address.netloc)
        else:
            if listener and listener.error:
                raise listener.error
            return reply
        # Raised out here: an exception of aiohttp's holds the request's headers, and so the key.
        raise failure

    async def _exchange(self, request: HttpRequest, on_line: OnLine | None, address: Address) -> HttpReply:
        route = {"headers": dict(request.headers), **self._route(address)}
        if address.scheme == "http":
            route["headers"] |= route.get("proxy_headers", {})  # aiohttp sends them to tunnels only
        async with self._opened().post(request.url, data=request.body, **route) as response:
            return await _read(response, on_line, address)

    async def aclose(self) -> None:
        self._kept.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limit),
                timeout=aiohttp.ClientTimeout(total=None),  # the adapter bounds the whole call
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _route(self, address: Address) -> dict[str, Any]:
        route: dict[str, Any] = {"allow_redirects": False}
        if tls := self._tls_for(address):
            route["ssl"] = tls
        if proxy := self._network.proxy_for(address):
            route["proxy"] = proxy.url
            route["proxy_headers"] = (
                {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            )
        return route


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

    headers = {name.lower(): value for name, value in response.headers.items()}
    body = BodyReader(on_line if is_event_stream(response.status, headers) else None)
    broken = False
    try:
        async for chunk in response.content.iter_any():
            if not body.feed(chunk):
                break
    except (aiohttp.ClientError, OSError):
        broken = True
    if broken:
        raise cut_off_error(address.netloc)
    return HttpReply(response.status, headers, body.end())


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


def _proxy_url(network: Network, address: Address) -> str:
    proxy = network.proxy_for(address)
    return proxy.url if proxy else address.netloc
