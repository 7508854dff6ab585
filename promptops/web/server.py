"""The pages as an application of aiohttp, and a server of their own."""

import socket
from types import ModuleType

from aiohttp import web

from promptops.config.closing import Closing
from promptops.service.background_loop import BackgroundLoop
from promptops.web import answers, compare, evals, overview, release, review, signing_in, trends
from promptops.web.access import ACCESS, PageAccess
from promptops.web.context import PROJECT, Project
from promptops.web.eval_jobs import EVAL_JOBS, EvalJobs
from promptops.web.guard import guard
from promptops.web.pages import BASE, NAV, send_static

PAGES: tuple[ModuleType, ...] = (
    overview,
    trends,
    answers,
    compare,
    evals,
    release,
    review,
)
"""Modules of pages: each has ``ROUTES``, and ``TAB`` (title, path) where it stands in the navigation."""

_DRAIN_S = 5.0
_MAX_HEADER_BYTES = 8190


def application(project: Project, access: PageAccess) -> web.Application:
    """The pages, to be mounted under ``BASE``. Who made ``project`` closes it."""
    app = web.Application(middlewares=[guard])
    app[PROJECT] = project
    app[EVAL_JOBS] = EvalJobs(project.settings)
    app.on_cleanup.append(_end_evals)
    app[ACCESS] = access
    app[NAV] = tuple(page.TAB for page in PAGES if hasattr(page, "TAB"))
    app.router.add_get("/static/{name}", send_static)
    for page in (signing_in, *PAGES):
        app.add_routes(page.ROUTES)
    app.on_startup.append(_check_reachable)
    return app


async def _end_evals(app: web.Application) -> None:
    app[EVAL_JOBS].close()


async def _check_reachable(app: web.Application) -> None:
    await app[ACCESS].check_reachable()


def whole_application(project: Project, access: PageAccess) -> web.Application:
    """The pages alone on a server, where the addresses above lead to them."""
    app = web.Application()
    app.add_subapp(BASE, application(project, access))
    for path in ("/", BASE):
        app.router.add_get(path, _lead_to_pages)
    return app


async def _lead_to_pages(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"{BASE}/" + (f"?{request.query_string}" if request.query_string else ""))


class PageServer(Closing):
    """Serves the pages of one project. ``start`` returns when it listens."""

    def __init__(self, project: Project, access: PageAccess) -> None:
        self._project = project
        self._access = access
        self._loop = BackgroundLoop("promptops-pages")
        self._runner: web.AppRunner | None = None

    def start(self, listening: socket.socket) -> None:
        self._loop.result(self._start(listening))

    def close(self) -> None:
        self._loop.close(self._end)
        self._project.close()

    async def _start(self, listening: socket.socket) -> None:
        self._runner = web.AppRunner(
            whole_application(self._project, self._access),
            access_log=None,
            shutdown_timeout=_DRAIN_S,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def _end(self) -> None:
        if self._runner:
            await self._runner.cleanup()
