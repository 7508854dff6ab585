"""Options of the verbs that make many calls."""

from typing import Annotated

import typer

from promptops.cli.options.flags import (
    assume_cost_option,
    jobs_option,
    max_cost_option,
    on_option,
    retries_option,
    rpm_option,
    tpm_option,
)
from promptops.cli.options.overrides import TimeoutOption
from promptops.runner.batch import BatchOptions
from promptops.runner.batch.ray.place import ray_address
from promptops.runner.retry import Limits

JobsOption = Annotated[int, jobs_option()]
RetriesOption = Annotated[int, retries_option()]
RpmOption = Annotated[float | None, rpm_option(min_value=0.001)]
TpmOption = Annotated[float | None, tpm_option()]
MaxCostOption = Annotated[float | None, max_cost_option()]
AssumeCostOption = Annotated[float | None, assume_cost_option()]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Ask the model though an answer is kept.")]
RefreshOption = Annotated[
    bool, typer.Option("--refresh", help="Ask the model, and keep its answers in place of older ones.")
]
OnOption = Annotated[str | None, on_option()]


def read_call_options(
    *,
    retries: RetriesOption = 5,
    timeout: TimeoutOption = 120.0,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    max_cost: MaxCostOption = None,
    assume_cost: AssumeCostOption = None,
    no_cache: NoCacheOption = False,
    refresh: RefreshOption = False,
    on: OnOption = None,
) -> BatchOptions:
    """How calls are made; how many at once is for each verb to say."""
    return BatchOptions(
        limits=Limits(retries=retries, timeout=timeout),
        rpm=rpm,
        tpm=tpm,
        max_cost=max_cost,
        assume_cost=assume_cost,
        on=None if on is None else ray_address(on),
        cache="refresh" if refresh else "off" if no_cache else "use",
    )
