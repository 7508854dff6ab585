"""Options that say which judge scores which runs."""

from typing import Annotated

import typer

from promptops.cli.options.flags import judge_option, sample_option

SampleOption = Annotated[
    float | None,
    sample_option(
        "The share of runs; as the plan says unless given.", metavar="P", min_value=0.0, max_value=1.0
    ),
]
JudgeOption = Annotated[
    str | None, judge_option("The judge; those of the rollout's plan unless given.", metavar="REF")
]
PassOption = Annotated[
    list[str] | None,
    typer.Option("--pass", metavar="CHOICE", help="A choice of the judge that counts 1; others count 0."),
]
