"""What stands before each page: who is there, whether a form is theirs, and what browsers are forbidden."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from promptops.web.access import ACCESS, PageAccess
from promptops.web.context import FORM_TOKEN, PROJECT, VIEWER, Forbidden
from promptops.web.forms import read_form
from promptops.web.pages import BASE
from promptops.web.problems import problem_page
from promptops.web.signing_in import SIGN_IN, open_by_address, set_session, sign_in_page

PageHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOOKING = {"GET", "HEAD"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # not no-referrer, under which browsers send forms with the origin "null"
    "Referrer-Policy": "same-origin",
    "Server": "promptops",
    "X-Content-Type-Options": "nosniff",
}


@web.middleware
async def guard(request: web.Request, handler: PageHandler) -> web.StreamResponse:
    """Find out who is there; whatever goes wrong is answered with a page that says what to do."""
    request[VIEWER] = None
    try:
        answer = await _answer(request, handler)
    except ConnectionError:
        raise  # nobody is left who could be answered
    except Exception as error:  # noqa: BLE001 - one request's failure is no other's
        answer = problem_page(request, error)
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


async def _answer(request: web.Request, handler: PageHandler) -> web.StreamResponse:
    access, project = request.app[ACCESS], request.app[PROJECT]
    access.check_request(request)
    path = request.path.removeprefix(BASE)
    if path.startswith("/static/"):
        return await handler(request)
    if request.method == "GET" and (token := request.query.get("token")):
        return open_by_address(request, token)
    known = await access.viewer(request)
    if known is None:
        return await handler(request) if path == SIGN_IN else sign_in_page(request, status=401)
    viewer, session = known
    request[VIEWER] = viewer
    request[FORM_TOKEN] = access.sessions.form_token(viewer.session)
    if request.method not in _LOOKING:
        if project.read_only and path != "/sign-out":
            raise Forbidden("this server is read-only: nothing is written or released here")
        await _check_form_token(request, access, viewer.session)
    answer = await handler(request)
    if session and path != "/sign-out" and (renewed := access.sessions.renewed(session)):
        set_session(answer, access, renewed)
    return answer


async def _check_form_token(request: web.Request, access: PageAccess, session: str) -> None:
    """Raises Forbidden for a request that no page of this session has sent."""
    given = request.headers.get("X-CSRF-Token") or (await read_form(request)).get("csrf", "")
    if not access.sessions.is_form_token(given, session):
        raise Forbidden(
            "this form is of another session, and was not done",
            hint="load the page again, then send it again",
        )
