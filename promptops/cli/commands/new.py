"""``promptops new``: a prompt file to fill in."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from promptops.cli.options.flags import judge_option, model_option
from promptops.cli.scaffold import new_prompt_name, write_judge, write_prompt
from promptops.config.settings import current_settings
from promptops.console import note, print_text


class ShippedJudge(StrEnum):
    TOXICITY = "toxicity"
    TONE = "tone"
    TOPIC = "topic"
    INJECTION = "injection"


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as support/triage.")]
PinOption = Annotated[str, model_option("The model to pin.")]
DescriptionOption = Annotated[str, typer.Option("--description", help="What the prompt is for.")]
JudgeOption = Annotated[
    ShippedJudge | None,
    judge_option("Write this judge instead, which the check of the same name asks."),
]


def new(
    name: NameArgument,
    model: PinOption = "local/smollm2-135m-instruct",
    description: DescriptionOption = "Say here what it is for.",
    judge: JudgeOption = None,
) -> None:
    """Write a new prompt file, with a file of cases beside it."""
    settings = current_settings()
    name = new_prompt_name(name, settings)
    if judge is None:
        paths = write_prompt(settings, name, model, description)
        following = f"edit it, then promptops render {name} -i text=…"
    else:
        paths = write_judge(settings, name, judge, model)
        following = f"promptops judge calibrate {name} --labels FILE, with labels of people"
    for path in paths:
        print_text(f"wrote {os.path.relpath(path)}")
    note(f"next: {following}")
