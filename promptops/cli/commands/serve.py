"""``promptops serve``: released prompts for programs in any language."""

import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptops.cli.options.flags import retries_option
from promptops.cli.options.overrides import TimeoutOption
from promptops.config.settings import Settings, current_settings
from promptops.console import note
from promptops.errors import Invalid
from promptops.runner.retry import Limits

if TYPE_CHECKING:  # loaded where it serves
    from promptops.gateway.server import Gateway
    from promptops.service import RefreshableSource

_PARENT_INTERVAL_S = 1.0

HostOption = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Listen on this address.")]
PortOption = Annotated[
    int,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="Listen on this port; 0 takes a free one."),
]
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
    bool, typer.Option("--read-only", help="Show models, runs and metrics; make no calls and log nothing.")
]
SyncOption = Annotated[
    float | None,
    typer.Option("--sync-every", metavar="SECONDS", min=1, help="Fetch what others release so often."),
]
McpOption = Annotated[
    bool, typer.Option("--mcp", help="Serve prompts to one MCP client, on stdin and stdout.")
]


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 4455,
    workers: WorkersOption = 1,
    bundle: BundleOption = None,
    read_only: ReadOnlyOption = False,
    sync_every: SyncOption = None,
    mcp: McpOption = False,
    retries: RetriesOption = 2,
    timeout: TimeoutOption = 120.0,
    drain: DrainOption = 30.0,
) -> int:
    """Serve released prompts to programs, in OpenAI's API. Clients change base URL and model.

    The model is NAME:CHANNEL or NAME@vN. Ctrl-C and SIGTERM end it when the answers under way are sent.
    """
    if mcp:
        _serve_mcp(*_project(bundle))
        return 0
    from promptops.gateway.server import Gateway, GatewayOptions
    from promptops.gateway.workers import WorkerPool, listen
    from promptops.registry import remove_shared_state, shared_state_path
    from promptops.service.periodic_sync import PeriodicSync, sync_releases

    limits = Limits(retries=retries, timeout=timeout)
    options = GatewayOptions(host=host, port=port, read_only=read_only, limits=limits, drain_s=drain)
    settings, source = _project(bundle)
    if bundle and sync_every:
        raise Invalid("a bundle has no remote", hint="leave out --sync-every; a new file is read by itself")
    with listen(host, port) as listening:
        pool = os.getpid()
        where = f"{settings.root} at http://{host}:{listening.getsockname()[1]}/v1"

        def work(number: int = 0, shared: Path | None = None) -> int:
            own = replace(options, shared=shared, member=number)
            sync = None
            if sync_every and not number:  # one of the workers is enough
                sync = PeriodicSync(sync_every, lambda: sync_releases(settings))
            with Gateway(settings, source, own, sync) as gateway:
                _serve_until_ended(gateway, listening, where, pool if shared else None)
            return 0

        if workers == 1:
            return work()
        shared = shared_state_path(settings.registry)
        try:
            return WorkerPool(workers, partial(work, shared=shared)).run()
        finally:
            remove_shared_state(shared)


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


def _serve_until_ended(gateway: "Gateway", listening: socket.socket, where: str, pool: int | None) -> None:
    """Until it is told to; a worker of ``pool`` also when the process is gone that would tell it."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    gateway.start(listening)
    note(f"serving {where}")
    while not ended.wait(_PARENT_INTERVAL_S if pool else None):
        if pool != os.getppid():
            break
    note("ending: no more requests are taken")
