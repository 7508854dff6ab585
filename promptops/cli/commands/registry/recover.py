"""``promptops registry recover``: save from a damaged registry what can be read."""

from pathlib import Path
from typing import Annotated

from promptops.cli.options.flags import out_option
from promptops.config.settings import current_settings
from promptops.console import note, print_text
from promptops.registry import recover_registry

OutOption = Annotated[
    Path | None,
    out_option("The new registry. Default: beside the damaged one."),
]


def registry_recover(out: OutOption = None) -> None:
    """Save from a damaged registry what can be read, into a new one. The damaged file stays as it is."""
    damaged = current_settings().registry
    new = out or damaged.with_name(f"{damaged.stem}.recovered{damaged.suffix}")
    saved = recover_registry(damaged, new)
    print_text(f"{saved.runs:,} runs saved to {new}")
    if saved.without_texts:
        note(f"{saved.without_texts:,} of them without inputs and output")
    note(f"to go on with it: mv '{new}' '{damaged}'")
