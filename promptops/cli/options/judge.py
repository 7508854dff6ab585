"""Options that say which judge scores which runs."""

from typing import Annotated

import typer

SampleOption = Annotated[
    float | None,
    typer.Option(
        "--sample", min=0.0, max=1.0, metavar="P", help="The share of runs; as the plan says unless given."
    ),
]
JudgeOption = Annotated[
    str | None,
    typer.Option("--judge", metavar="REF", help="The judge; those of the rollout's plan unless given."),
]
PassOption = Annotated[
    list[str] | None,
    typer.Option("--pass", metavar="CHOICE", help="A choice of the judge that counts 1; others count 0."),
]
