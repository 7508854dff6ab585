"""``--provider-batch``: calls that the provider's batch service answers, at its price."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from promptops.cli.command_words import current_words
from promptops.cli.options.flags import wait_option
from promptops.cli.progress import Progress
from promptops.cli.running_command import GOES_ON_WITH
from promptops.dataclass import dataclass
from promptops.errors import Invalid, WrongUsage
from promptops.runner.batch import BatchOptions
from promptops.runner.batch.provider_jobs.options import ProviderBatch

ProviderBatchOption = Annotated[
    bool,
    typer.Option(
        "--provider-batch", help="Let the provider's batch service answer, at its price, within a day."
    ),
]
WaitOption = Annotated[
    bool,
    wait_option("With --provider-batch: wait for the answers, which is what is done."),
]
DetachOption = Annotated[
    bool,
    typer.Option("--detach", help="With --provider-batch: submit, and exit with 3; jobs collect goes on."),
]


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    asked: bool
    detach: bool


AT_ONCE = ProviderOptions(asked=False, detach=False)


def read_provider_options(
    *, provider_batch: ProviderBatchOption = False, wait: WaitOption = False, detach: DetachOption = False
) -> ProviderOptions:
    if wait and detach:
        raise WrongUsage("--wait or --detach: one of them")
    if (wait or detach) and not provider_batch:
        flag = "--wait" if wait else "--detach"
        raise WrongUsage(f"{flag} is about jobs of a provider", hint="give --provider-batch as well")
    return ProviderOptions(provider_batch, detach)


def with_provider(calls: BatchOptions, options: ProviderOptions, **values: Any) -> BatchOptions:
    """The options of a verb's calls. ``values`` are those of its parameters by which it goes on later."""
    if not options.asked:
        return calls
    if calls.on is not None:
        raise WrongUsage("with --provider-batch the provider makes the calls", hint="leave --on out")
    for name, given in (("--rpm", calls.rpm), ("--tpm", calls.tpm)):
        if given is not None:
            raise Invalid(
                f"{name}: with --provider-batch the provider sets the pace", hint=f"leave {name} out"
            )
    provider = ProviderBatch(detach=options.detach, command=current_words(**values), only=GOES_ON_WITH.get())
    return replace(calls, provider=provider)


def showing_jobs(calls: BatchOptions, bar: Progress) -> BatchOptions:
    """The same with jobs shown while they are waited for."""
    if calls.provider is None:
        return calls
    return replace(calls, provider=replace(calls.provider, on_waiting=bar.show_jobs))
