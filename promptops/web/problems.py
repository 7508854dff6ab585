"""What people are shown where something goes wrong: what it is, and the next step."""

import traceback
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from promptops.errors import Invalid, NotFound, PromptopsError, Unavailable
from promptops.log import PackageLogger
from promptops.redaction import redact
from promptops.registry import redact_text
from promptops.release.actions.seen import ChannelMoved
from promptops.web.context import PROJECT, Forbidden
from promptops.web.pages import BASE, render_view

_LOG = PackageLogger("promptops.web")
_KINDS: dict[type[PromptopsError], tuple[int, str]] = {
    Forbidden: (403, "Not allowed"),
    ChannelMoved: (409, "It has moved meanwhile"),
    NotFound: (404, "Not found"),
    Unavailable: (503, "Not available now"),
    Invalid: (400, "That cannot be done"),
}


def problem_page(request: web.Request, error: Exception) -> web.StreamResponse:
    if isinstance(error, web.HTTPException):
        if error.status < HTTPStatus.BAD_REQUEST:
            return web.Response(status=error.status, headers={"Location": error.headers.get("Location", "")})
        hint = "The page may have moved." if error.status == HTTPStatus.NOT_FOUND else ""
        return _page(request, error.status, error.reason, "There is no such page.", hint)
    if isinstance(error, PromptopsError):
        kinds = (found for kind, found in _KINDS.items() if isinstance(error, kind))
        status, title = next(kinds, (500, "That did not work"))
        return _page(request, status, title, error.message, error.hint)
    trace = redact_text(redact("".join(traceback.format_exception(error))), request.app[PROJECT].settings.log)
    _LOG.warning(f"this is a bug. Please report it with these lines:\n{trace}")
    message = "This is a bug; the terminal of the server has the lines to report."
    return _page(request, 500, "That did not work", message, "")


def _page(request: web.Request, status: int, title: str, message: str, hint: str) -> web.Response:
    texts = {"title": title, "message": redact(message), "hint": redact(hint), "back": _sent_from(request)}
    answer = render_view(request, "error.html", status=status, **texts)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = "5"
    return answer


def _sent_from(request: web.Request) -> str:
    """The page that a form was on, as it was asked for; empty where the browser does not say."""
    try:
        page = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return ""
    if request.method != "POST" or page.netloc != request.host or not page.path.startswith(f"{BASE}/"):
        return ""
    return f"{page.path}?{page.query}" if page.query else page.path
