"""How people come in and leave: the address that a terminal shows, a key of their own."""

from urllib.parse import quote

from aiohttp import web

from promptops.web.access import ACCESS, LOCAL, PageAccess
from promptops.web.context import VIEWER
from promptops.web.forms import read_form
from promptops.web.pages import BASE, render_view
from promptops.web.sessions import PageSession

SIGN_IN = "/sign-in"


def open_by_address(request: web.Request, token: str) -> web.StreamResponse:
    """The address that a terminal shows opens one session, and does not stay in the browser's history."""
    access = request.app[ACCESS]
    if access.options.is_personal and access.sessions.token.redeem(token):
        return _enter(access, access.sessions.open(LOCAL), request.path)
    if access.sessions.read(request.cookies.get(access.cookie_name, "")):
        return _to(request.path)  # a bookmark of somebody who is in
    return sign_in_page(request, status=401, problem="This address has been used before, or is not whole.")


async def _show(request: web.Request) -> web.StreamResponse:
    return sign_in_page(request)


async def _sign_in(request: web.Request) -> web.StreamResponse:
    access = request.app[ACCESS]
    session = await access.sign_in((await read_form(request)).get("key", ""))
    if session is None:
        problem = "This key is unknown, was revoked, or opens no pages."
        return sign_in_page(request, status=401, problem=problem)
    return _enter(access, session, f"{BASE}/")


async def _sign_out(request: web.Request) -> web.StreamResponse:
    answer = sign_in_page(request, problem="You have signed out.")
    answer.del_cookie(request.app[ACCESS].cookie_name, path=BASE)
    return answer


def sign_in_page(request: web.Request, *, status: int = 200, problem: str = "") -> web.Response:
    values = {
        "personal": request.app[ACCESS].options.is_personal,
        "problem": problem,
        "lost": request.method == "POST" and not problem,
    }
    request[VIEWER] = None
    return render_view(request, "sign_in.html", status=status, **values)


def set_session(answer: web.StreamResponse, access: PageAccess, session: PageSession) -> None:
    answer.set_cookie(
        access.cookie_name,
        access.sessions.cookie(session),
        path=BASE,
        httponly=True,
        samesite="Strict",
        secure=access.is_secure,
    )


def _enter(access: PageAccess, session: PageSession, path: str) -> web.StreamResponse:
    answer = _to(path)
    set_session(answer, access, session)
    return answer


def _to(path: str) -> web.Response:
    """A page of ours, as every path below ``BASE`` is."""
    return web.Response(status=303, headers={"Location": quote(path)})


ROUTES = (web.get(SIGN_IN, _show), web.post(SIGN_IN, _sign_in), web.post("/sign-out", _sign_out))
