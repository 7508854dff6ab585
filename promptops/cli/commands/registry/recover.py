"""``promptops registry recover``: save from a damaged registry what can be read."""

from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.options.flags import out_option
from promptops.config.settings import current_settings
from promptops.console import note, print_text
from promptops.errors import Invalid
from promptops.registry import recover_to_file, swap_registry

OutOption = Annotated[Path | None, out_option("The new registry. Default: beside the damaged one.")]
SwapOption = Annotated[
    bool,
    typer.Option("--swap", help="Put the new registry in the place of the damaged one, which moves aside."),
]


def registry_recover(out: OutOption = None, swap: SwapOption = False) -> None:
    """Save from a damaged registry what can be read, into a new one. The damaged file stays as it is."""
    damaged = current_settings().registry
    if not isinstance(damaged, Path):
        raise Invalid(f"{damaged} is kept by PostgreSQL", hint="restore it from a backup of the server")
    if swap and out:
        raise Invalid("--swap puts the new registry in the place of the damaged one", hint="leave out --out")
    if swap:
        swapped = swap_registry(damaged)
        saved = swapped.saved
        print_text(f"{saved.runs:,} runs saved; the damaged registry is now {swapped.aside}")
    else:
        new = out or damaged.with_name(f"{damaged.name}-recovered")
        saved = recover_to_file(damaged, new)
        print_text(f"{saved.runs:,} runs saved to {new}")
        note(f"to go on with what was saved: promptops --registry '{damaged}' registry recover --swap")
    if saved.without_texts:
        note(f"{saved.without_texts:,} of them without inputs and output")
