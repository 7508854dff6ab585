"""``promptops serve``: released prompts for programs in any language."""

import gc
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptops.cli.options.flags import host_option, port_option, read_only_option, retries_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.overrides import TimeoutOption
from promptops.cli.options.pages import PageOptions
from promptops.cli.served_pages import ServedPages, announce_pages
from promptops.config.held_signals import take_ending_signals
from promptops.config.settings import Settings, current_settings
from promptops.console import note
from promptops.errors import Invalid
from promptops.runner.retry import Limits

if TYPE_CHECKING:  # loaded where it serves
    from promptops.gateway.server import Gateway
    from promptops.service import RefreshableSource
    from promptops.web.access import PageAccess

_PARENT_INTERVAL_S = 1.0

HostOption = Annotated[str, host_option()]
PortOption = Annotated[int, port_option()]
RetriesOption = Annotated[int, retries_option()]
DrainOption = Annotated[
    float,
    typer.Option("--drain", metavar="SECONDS", min=0, help="Wait for answers under way when it is stopped."),
]


WorkersOption = Annotated[
    int, typer.Option("--workers", metavar="N", min=1, max=64, help="Processes that answer on the port.")
]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="FILE", help="Serve what release bundle wrote, where there is no git."),
]
ReadOnlyOption = Annotated[
    bool, read_only_option("Show models, runs and metrics; make no calls and log nothing.")
]
SyncOption = Annotated[
    float | None,
    typer.Option("--sync-every", metavar="SECONDS", min=1, help="Fetch what others release so often."),
]
UiOption = Annotated[bool, typer.Option("--ui", help="Serve pages for people too, under /ui.")]
McpOption = Annotated[
    bool, typer.Option("--mcp", help="Serve prompts to one MCP client, on stdin and stdout.")
]


@with_option_groups(given=PageOptions)
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 4455,
    workers: WorkersOption = 1,
    bundle: BundleOption = None,
    read_only: ReadOnlyOption = False,
    sync_every: SyncOption = None,
    mcp: McpOption = False,
    ui: UiOption = False,
    retries: RetriesOption = 2,
    timeout: TimeoutOption = 120.0,
    drain: DrainOption = 30.0,
    *,
    given: PageOptions,
) -> int:
    """Serve released prompts to programs, in OpenAI's API. Clients change base URL and model.

    The model is NAME:CHANNEL or NAME@vN. Ctrl-C, SIGTERM and SIGHUP end it when answers under way are sent.
    """
    if mcp:
        _serve_mcp(*_project(bundle))
        return 0
    from promptops.gateway.server import Gateway, GatewayOptions
    from promptops.gateway.workers import WorkerPool, listen, url_of
    from promptops.registry import remove_shared_state, shared_state_path
    from promptops.service.periodic_sync import PeriodicSync, sync_releases

    limits = Limits(retries=retries, timeout=timeout)
    options = GatewayOptions(host=host, port=port, read_only=read_only, limits=limits, drain_s=drain)
    settings, source = _project(bundle)
    _refuse_beside_bundle(bundle, sync_every=sync_every, ui=ui)
    with listen(host, port) as listening:
        pool = os.getpid()
        served = None
        if ui:
            reached = given.access(host, listening.getsockname()[1])
            served = ServedPages(settings, reached, read_only=read_only)
        several = f" with {workers} workers" if workers > 1 else ""
        where = f"{settings.root} at {url_of(listening)}{several}"

        def work(number: int = 0, shared: Path | None = None) -> int:
            own = replace(options, shared=shared, member=number)
            sync = None
            if sync_every and not number:  # one of the workers is enough
                sync = PeriodicSync(sync_every, lambda: sync_releases(settings))
            with ExitStack() as stack:
                mounted, access = served.mount(stack) if served else ({}, None)
                gateway = stack.enter_context(Gateway(settings, source, own, sync, mounted))
                say = (lambda: _announce(gateway, where, access)) if not number else None
                _serve_until_ended(gateway, listening, say, pool if shared else None)
            return 0

        if workers == 1:
            return work()
        shared = shared_state_path(settings.registry)
        try:
            return WorkerPool(workers, partial(work, shared=shared)).run()
        finally:
            remove_shared_state(shared)


def _refuse_beside_bundle(bundle: Path | None, *, sync_every: float | None, ui: bool) -> None:
    if bundle and sync_every:
        raise Invalid("a bundle has no remote", hint="leave out --sync-every; a new file is read by itself")
    if bundle and ui:
        raise Invalid("pages show a repository, and a bundle is none", hint="promptops ui in a clone of it")


def _project(bundle: Path | None) -> "tuple[Settings, RefreshableSource]":
    if bundle is None:
        from promptops.service import RepositorySource

        settings = current_settings()
        return settings, RepositorySource(settings)
    from promptops.release.bundle import BundleSource

    source = BundleSource(bundle.absolute())
    return source.settings(), source


def _serve_mcp(settings: Settings, source: "RefreshableSource") -> None:
    from promptops.gateway.mcp import McpServer
    from promptops.service import Service

    def write(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    service = Service(settings, source)
    try:
        McpServer(service).serve(sys.stdin.buffer.readline, write)
    finally:
        service.close()


def _announce(gateway: "Gateway", where: str, access: "PageAccess | None") -> None:
    note(f"serving {where}")
    if gateway.serves_nothing:
        note(
            "nothing is released yet: promptops promote NAME@REV releases a version, which is served at once"
        )
    if access:
        announce_pages(access, browser=False)


def _serve_until_ended(
    gateway: "Gateway", listening: socket.socket, say: Callable[[], None] | None, pool: int | None
) -> None:
    """Until it is told to; a worker of ``pool`` also when the process is gone that would tell it.

    ``say``: what is said once it serves; None where another worker says it.
    """
    ended = threading.Event()
    take_ending_signals(lambda *_: ended.set())
    gateway.start(listening)
    gc.freeze()  # what was loaded by now stays, and is not looked through again
    if say:
        say()
    while not ended.wait(_PARENT_INTERVAL_S if pool else None):
        if pool != os.getppid():
            break
    if say:
        note("ending: no more requests are taken")
