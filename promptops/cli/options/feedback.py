"""What can be said of an answer."""

from enum import StrEnum
from typing import Annotated

import typer

from promptops.cli.options.common import RUN_HELP
from promptops.cli.options.flags import from_option


class Thumbs(StrEnum):
    UP = "up"
    DOWN = "down"


RunArgument = Annotated[str | None, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=False)]
ThumbsArgument = Annotated[
    Thumbs | None,
    typer.Argument(metavar="up|down", help="Whether the answer was good.", show_default=False),
]
CommentOption = Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why, in words.")]
EditOption = Annotated[
    str | None, typer.Option("--edit", metavar="TEXT", help="What became of the answer when it was used.")
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="thumbs, correct, accepted, edited, copied, regenerated, dwell_s, or a name of your own.",
    ),
]
ValueOption = Annotated[
    float | None, typer.Option("--value", metavar="X", help="Its value; yes is 1, no is 0.")
]
FromOption = Annotated[
    str | None,
    from_option(
        "JSON lines {run_id, metric, value, comment?, occurred_at?} (- is stdin), or a .csv. All or none."
    ),
]
