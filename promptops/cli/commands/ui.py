"""``promptops ui``: pages for people."""

from typing import Annotated

import typer

from promptops.cli.options.flags import host_option, port_option, read_only_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.pages import PageOptions
from promptops.cli.served_pages import serve_pages
from promptops.config.settings import current_settings

HostOption = Annotated[str, host_option()]
PortOption = Annotated[int, port_option()]
ReadOnlyOption = Annotated[bool, read_only_option("Show everything, change nothing.")]
BrowserOption = Annotated[bool, typer.Option("--no-browser", help="Print the address and open nothing.")]


@with_option_groups(given=PageOptions)
def ui(
    port: PortOption = 4456,
    host: HostOption = "127.0.0.1",
    read_only: ReadOnlyOption = False,
    no_browser: BrowserOption = False,
    *,
    given: PageOptions,
) -> None:
    """Open pages on which people read answers, review them, compare versions and approve releases.

    On this machine the address that is printed opens them, once. On other machines people sign in with keys
    of their own (keys new ADDRESS --role ROLE), or a proxy says who is there. Ctrl-C ends it.
    """
    settings = current_settings()
    serve_pages(settings, host, port, given, read_only=read_only, browser=not no_browser)
