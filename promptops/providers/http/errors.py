"""Failures of the network itself as ModelError, in words a person can act on."""

import socket
import ssl
from http.client import HTTPException, RemoteDisconnected

from promptops.providers.errors import sanitize_line
from promptops.providers.types import ModelError

PROXY_HINT = "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, and whether the proxy runs"
_NETWORK_HINT = "is the address right, and the network up?"
_TLS_HINT = "if the certificate is your own authority's, name its file in SSL_CERT_FILE"


def connection_error(error: Exception, place: str, *, hint: str = _NETWORK_HINT) -> ModelError:
    """Nothing of an answer had come."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ModelError(
            "connection", f"{place}: TLS: {sanitize_line(error.verify_message)}", hint=_TLS_HINT
        )
    if isinstance(error, ssl.SSLError):
        why = sanitize_line(error.reason or str(error))
        return ModelError("connection", f"{place}: TLS: {why}", hint="does this address speak https?")
    if isinstance(error, HTTPException) and not isinstance(error, RemoteDisconnected):
        wrong = "does this address speak http, and not https?"
        return ModelError("malformed_reply", f"{place} did not answer in HTTP", hint=wrong)
    return ModelError("connection", f"{place} {_what(error)}", hint=hint)


def _what(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return "cannot be found: its name does not resolve"
        case ConnectionRefusedError():
            return "refused the connection"
        case ConnectionError():
            return "closed the connection without an answer"
        case OSError(strerror=str(why)):
            return f"cannot be reached: {sanitize_line(why)}"
        case _:
            return f"cannot be reached: {sanitize_line(str(error)) or type(error).__name__}"


def route_error(error: Exception, netloc: str, proxy: str | None) -> ModelError:
    """As ``connection_error``, for a host behind a proxy, if any: which of the two it was is not known."""
    if proxy is None:
        return connection_error(error, netloc)
    return connection_error(error, f"{netloc} (through the proxy {proxy})", hint=PROXY_HINT)


def cut_off_error(place: str) -> ModelError:
    """A part of the answer had come."""
    return ModelError("cut_off", f"{place} closed the connection in the middle of the answer")


def tunnel_error(status: int, proxy: str) -> ModelError:
    hint = "the proxy asks for a user and password" if status == 407 else "check HTTPS_PROXY"
    return ModelError("connection", f"the proxy {proxy} answered {status}", hint=hint)
