"""``promptops serve``: released prompts for programs in any language."""

import signal
import threading
from typing import Annotated

import typer

from promptops.cli.options.flags import retries_option
from promptops.cli.options.overrides import TimeoutOption
from promptops.config.settings import current_settings
from promptops.console import note
from promptops.runner.retry import Limits

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


def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 4455,
    retries: RetriesOption = 2,
    timeout: TimeoutOption = 120.0,
    drain: DrainOption = 30.0,
) -> int:
    """Serve released prompts to programs, in OpenAI's API. Clients change base URL and model.

    The model is NAME:CHANNEL or NAME@vN. Ctrl-C and SIGTERM end it when the answers under way are sent.
    """
    from promptops.gateway.server import Gateway, GatewayOptions
    from promptops.service import RepositorySource

    settings = current_settings()
    limits = Limits(retries=retries, timeout=timeout)
    options = GatewayOptions(host=host, port=port, limits=limits, drain_s=drain)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with Gateway(settings, RepositorySource(settings), options) as gateway:
        listening = gateway.start()
        note(f"serving {settings.root} at http://{host}:{listening}/v1")
        ended.wait()
        note("ending: no more requests are taken")
    return 0
