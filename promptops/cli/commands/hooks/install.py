"""``promptops hooks install``: hooks of plain git that check prompts before they are committed."""

from typing import Annotated

import typer

from promptops.console import note, print_text
from promptops.git.hooks import find_repository_settings, install_hooks

TrailersOption = Annotated[
    bool,
    typer.Option("--summary-trailers", help="Also add what changes in prompts to each message, as trailers."),
]


def hooks_install(summary_trailers: TrailersOption = False) -> None:
    """Install git hooks: lint what is staged, then say what the commit changes in prompts.

    They go where git looks for hooks (core.hooksPath too). A hook that is there is kept and runs first.
    Safe to repeat; `promptops hooks uninstall` puts everything back.
    """
    steps = install_hooks(find_repository_settings(), trailers=summary_trailers)
    for step in steps:
        print_text(str(step))
    if not steps:
        note("nothing to do: the hooks are installed")
