"""``promptops new``: a prompt file to fill in."""

import os
from typing import Annotated

import typer

from promptops.cli.options.flags import model_option
from promptops.cli.scaffold import new_prompt_name, write_prompt
from promptops.config.settings import current_settings
from promptops.console import note, print_text

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as support/triage.")]
PinOption = Annotated[str, model_option("The model to pin.")]
DescriptionOption = Annotated[str, typer.Option("--description", help="What the prompt is for.")]


def new(
    name: NameArgument,
    model: PinOption = "local/smollm2-135m-instruct",
    description: DescriptionOption = "Say here what it is for.",
) -> None:
    """Write a new prompt file, with a file of cases beside it."""
    settings = current_settings()
    name = new_prompt_name(name, settings)
    for path in write_prompt(settings, name, model, description):
        print_text(f"wrote {os.path.relpath(path)}")
    note(f"next: edit it, then promptops render {name} -i text=…")
