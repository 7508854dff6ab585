"""Pages beside the gateway, and how people hear where they are."""

import os
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from promptops.cli.options.pages import PageOptions
from promptops.config.held_signals import take_ending_signals
from promptops.config.settings import Settings
from promptops.console import note

if TYPE_CHECKING:  # loaded where it serves
    from aiohttp.web import Application

    from promptops.web.access import AccessOptions, PageAccess


class ServedPages:
    """The pages of the processes that share a port: made before they part, mounted in each."""

    def __init__(self, settings: Settings, options: "AccessOptions", *, read_only: bool) -> None:
        from promptops.web.sessions import Sessions

        self._settings = settings
        self._options = options
        self._read_only = read_only
        self._sessions = Sessions()

    def mount(self, stack: ExitStack) -> "tuple[dict[str, Application], PageAccess]":
        """By the prefix that they are under; what they hold is let go of by ``stack``."""
        from promptops.web.access import PageAccess
        from promptops.web.context import Project
        from promptops.web.pages import BASE
        from promptops.web.server import application

        project = stack.enter_context(Project(self._settings, read_only=self._read_only))
        access = PageAccess(project, self._options, self._sessions)
        return {BASE: application(project, access)}, access


def serve_pages(
    settings: Settings,
    host: str,
    port: int,
    given: PageOptions,
    *,
    page: str = "",
    read_only: bool = False,
    browser: bool = True,
) -> None:
    """Serve the pages until a signal ends them. ``page``: the one that is opened, such as ``review/7``."""
    from promptops.gateway.workers import listen
    from promptops.web.access import PageAccess
    from promptops.web.context import Project
    from promptops.web.server import PageServer

    with listen(host, port) as listening:
        options = given.access(host, listening.getsockname()[1])
        project = Project(settings, read_only=read_only)
        access = PageAccess(project, options)
        with PageServer(project, access) as server:
            server.start(listening)
            ended = threading.Event()
            take_ending_signals(lambda *_: ended.set())
            announce_pages(access, page=page, browser=browser)
            ended.wait()
            note("ending")


def announce_pages(access: "PageAccess", *, page: str = "", browser: bool) -> None:
    """Say where the pages are, and open the browser of a desktop. Each Enter gives a new address."""
    if not access.options.is_personal:
        note(f"pages at {access.address}; people sign in with keys of their own")
        return
    note(f"pages at {access.one_time_address(page)}\n  this address opens one session; Ctrl-C ends")
    if browser and _is_desktop():
        import webbrowser

        webbrowser.open(access.one_time_address(page))
    if sys.stdin.isatty():
        threading.Thread(target=_offer_again, args=(access, page), daemon=True).start()


def _offer_again(access: "PageAccess", page: str) -> None:
    for _ in sys.stdin:
        note(f"pages at {access.one_time_address(page)}")


def _is_desktop() -> bool:
    shown = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown) and sys.stdout.isatty() and not os.environ.get("SSH_CONNECTION")
