"""Options of the verbs that make one run at a time."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from promptops.cli.options.common import (
    InputOption,
    InputsOption,
    JsonOption,
    ModelOption,
    SetOption,
    parse_overrides,
)
from promptops.cli.options.flags import (
    assume_cost_option,
    continue_option,
    max_cost_option,
    meta_option,
    quiet_option,
    reasoning_option,
    retries_option,
    run_option,
    unit_option,
)
from promptops.cli.options.overrides import TimeoutOption
from promptops.cli.planned_call import RunOptions
from promptops.cli.run_execution import RunExecution, cost_limiter, should_stream
from promptops.config.settings import current_settings
from promptops.errors import Invalid
from promptops.runner.retry import Limits

RetriesOption = Annotated[int, retries_option()]
MetaOption = Annotated[list[str] | None, meta_option()]
UnitOption = Annotated[
    str | None,
    unit_option("Whom it is for: the same unit meets the same version of a channel.", metavar="UNIT"),
]
ReasoningOption = Annotated[bool, reasoning_option("Print what the model thought aloud too, on stderr.")]
StreamOption = Annotated[
    bool | None, typer.Option("--stream/--no-stream", help="Print text as it comes, as on a terminal.")
]
NoLogOption = Annotated[bool, typer.Option("--no-log", help="Do not write to the registry.")]
ContinueOption = Annotated[bool, continue_option("Go on from your last run of this prompt.")]
EarlierOption = Annotated[str | None, run_option("Go on from this run instead.", metavar="RUN")]
MaxCostOption = Annotated[float | None, max_cost_option()]
AssumeCostOption = Annotated[float | None, assume_cost_option()]
QuietOption = Annotated[bool, quiet_option()]


RunCall = tuple[RunExecution, RunOptions, str | None]
"""How runs are made, with what, and which earlier one they go on from: "" is one's own last."""


def read_run_call(
    *,
    given: InputOption = None,
    inputs: InputsOption = None,
    model: ModelOption = None,
    assignments: SetOption = None,
    continues: ContinueOption = False,
    earlier: EarlierOption = None,
    retries: RetriesOption = 2,
    timeout: TimeoutOption = 120.0,
    max_cost: MaxCostOption = None,
    assume_cost: AssumeCostOption = None,
    metadata: MetaOption = None,
    stream: StreamOption = None,
    unit: UnitOption = None,
    reasoning: ReasoningOption = False,
    no_log: NoLogOption = False,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> RunCall:
    settings = current_settings()
    options = RunOptions(
        inputs=given,
        inputs_file=inputs,
        model=model,
        overrides=parse_overrides(assignments),
        metadata=_parse_metadata(metadata),
        unit=unit,
    )
    execution = RunExecution(
        settings=settings,
        limits=Limits(retries=retries, timeout=timeout),
        streams=partial(should_stream, asked=stream, as_json=as_json),
        log=not no_log,
        reasoning=reasoning,
        as_json=as_json,
        quiet=quiet,
        limiter=cost_limiter(settings, max_cost, assume_cost),
    )
    return execution, options, "" if continues and not earlier else earlier


def _parse_metadata(pairs: Sequence[str] | None) -> dict[str, str]:
    metadata = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"--meta {pair}: metadata is KEY=VALUE")
        metadata[key] = value
    return metadata
