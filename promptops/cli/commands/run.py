"""``promptops run``: one version, one set of inputs, one logged answer."""

import asyncio
from dataclasses import replace
from typing import Annotated

import typer

from promptops.cli.last_run import note_own_run
from promptops.cli.options.common import REFERENCE_HELP
from promptops.cli.options.flags import watch_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_calls import RunCall, read_run_call
from promptops.cli.planned_call import PlannedCall
from promptops.config.settings import Settings
from promptops.console import print_json
from promptops.errors import Invalid, WrongUsage
from promptops.runner import PreparedRun
from promptops.runner.session import Session

OptionalReferenceArgument = Annotated[
    str | None, typer.Argument(metavar="REF", help=REFERENCE_HELP, show_default=False)
]
MessageArgument = Annotated[
    str | None,
    typer.Argument(metavar="MESSAGE", help="With -c: the next message; - is stdin.", show_default=False),
]
AllChecksOption = Annotated[
    bool, typer.Option("--all-checks", help="Also make the checks that cost more calls, as a judge does.")
]
PrepareOption = Annotated[
    bool,
    typer.Option(
        "--prepare", help="Call no model: log the run as begun and print what to send; see runs finish."
    ),
]
WatchOption = Annotated[bool, watch_option("Run again whenever a file of the prompt or an input is saved.")]


@with_option_groups(call=read_run_call)
def run(
    reference: OptionalReferenceArgument = None,
    message: MessageArgument = None,
    *,
    call: RunCall,
    all_checks: AllChecksOption = False,
    prepare: PrepareOption = False,
    watch: WatchOption = False,
) -> int:
    """Run a version once and print the model's answer alone on stdout. Every run is logged.

    -c goes on from your last run: its messages and answer are sent, then the next message.
    """
    execution, options, earlier = call
    if all_checks:
        execution = replace(execution, all_checks=True)
    if prepare and (watch or not execution.log):
        other = "--watch several" if watch else "--no-log none"
        raise Invalid(f"--prepare logs a run to be finished later, and {other}")
    if earlier is not None:
        from promptops.cli.earlier_run import continue_run

        words = (reference, message)
        reference, options = continue_run(execution.settings, options, words, earlier)
    elif reference is None or message is not None:
        raise _wrong_words(message)
    if watch:
        from promptops.cli.watched_run import watch_run

        return watch_run(execution, reference, options)
    if not prepare:
        return execution.run(reference, options)
    with execution.plan(reference, options) as planned:
        print_json(asyncio.run(_prepare_run(execution.settings, planned)).as_json())
    return 0


def _wrong_words(message: str | None) -> WrongUsage:
    if message is None:
        return WrongUsage("run what? REF is missing", hint="promptops list shows the prompts")
    hint = "" if "=" in message else "-c MESSAGE goes on from your last run"
    return WrongUsage(f"Got unexpected extra argument ({message})", hint=hint)


async def _prepare_run(settings: Settings, call: PlannedCall) -> PreparedRun:
    async with Session(settings) as session:
        runner = session.runner()
        prepared = runner.begin(call.ready(runner, False))
    note_own_run(settings, prepared.started.run_id)
    return prepared
