"""How the network is reached: proxies and certificates, by the environment variables that users have."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from promptops.config.text import whole_number
from promptops.dataclass import dataclass
from promptops.providers.errors import sanitize_line
from promptops.providers.types import ModelError
from promptops.redaction import add_secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a URL points. ``host`` has no brackets."""

    scheme: str
    host: str
    port: int
    target: str  # path and query

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Proxy:
    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Network:
    """Without arguments: no proxy, the system's certificates."""

    proxies: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # scheme -> URL, which may hold a password
    no_proxy: tuple[str, ...] = ()
    ca_file: str | None = None
    ca_folder: str | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Network:
        every = _env_value(env, "all_proxy")
        found = {scheme: _env_value(env, f"{scheme}_proxy") or every for scheme in _PORTS}
        return cls(
            proxies={scheme: url for scheme, url in found.items() if url},
            no_proxy=tuple(
                entry.strip().lower() for entry in _env_value(env, "no_proxy").split(",") if entry.strip()
            ),
            ca_file=env.get("SSL_CERT_FILE") or None,
            ca_folder=env.get("SSL_CERT_DIR") or None,
        )

    def proxy_for(self, address: Address) -> Proxy | None:
        url = self.proxies.get(address.scheme)
        if not url or any(_exempts(entry, address) for entry in self.no_proxy):
            return None
        return _proxy(url, address.scheme)

    def tls(self) -> ssl.SSLContext:
        """Verifies the server's certificate and name."""
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca_file, capath=self.ca_folder)
        except (OSError, ssl.SSLError):
            place = self.ca_file or self.ca_folder or "the system"
            raise ModelError(
                "connection",
                f"no certificates could be read from {sanitize_line(place)}",
                hint="SSL_CERT_FILE names a file of certificates in PEM form",
            ) from None
        if self.ca_file is None and self.ca_folder is None and _lacks_system_certificates():
            import certifi

            context.load_verify_locations(certifi.where())
        return context


def parse_address(url: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_address(url) from None
    if parts.username or parts.password:
        raise ModelError(
            "bad_request", "the base URL holds a password", hint="keys belong in environment variables"
        )
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _bad_address(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], target)


def _bad_address(url: str) -> ModelError:
    shown = sanitize_line(url.partition("?")[0].rpartition("@")[2])  # without what may be a password
    return ModelError(
        "bad_request", f"not a usable base URL: {shown}", hint="it starts with https:// or http://"
    )


def _env_value(env: Mapping[str, str], name: str) -> str:
    return env.get(name) or env.get(name.upper()) or ""


def _lacks_system_certificates() -> bool:
    """Python built without a certificate store, as on macOS before its own installer step was run."""
    import ssl

    paths = ssl.get_default_verify_paths()
    return not (paths.cafile or (paths.capath and os.listdir(paths.capath)))  # noqa: PTH208 - names are enough


def _proxy(url: str, scheme: str) -> Proxy:
    with suppress(ValueError):  # of a port that is none, or a host in brackets
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme == "http" and parts.hostname:
            return Proxy(parts.hostname, parts.port or 80, _basic(parts))
    raise ModelError(
        "connection",
        f"{scheme.upper()}_PROXY names no http:// proxy, and no other kind is supported",
        hint="write it as http://host:port",
    )


def _basic(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    import base64

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    add_secret(pair)
    add_secret(unquote(parts.password or ""))
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _exempts(entry: str, address: Address) -> bool:
    """One entry: ``*``, a host with its subdomains, ``host:port``, or a network ``10.0.0.0/8``."""
    if entry == "*":
        return True
    if "/" in entry:
        return _in_network(entry, address.host)
    host, colon, port = entry.rpartition(":")
    number = whole_number(port)
    if colon and number is not None and ":" not in host.strip("[]"):
        return address.port == number and _exempts(host, address)
    name = entry.strip("[]").lstrip("*").lstrip(".")
    return address.host == name or address.host.endswith("." + name)


def _in_network(entry: str, host: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
