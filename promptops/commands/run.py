"""``promptops run``: one version, one set of inputs, one logged answer."""

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from promptops.calling import Limits
from promptops.commands.options import (
    InputOption,
    InputsOption,
    JsonOption,
    ModelOption,
    ReferenceArgument,
    SetOption,
    read_inputs,
    read_settings,
)
from promptops.commands.overrides import TimeoutOption, local_weights, overridden
from promptops.errors import Invalid
from promptops.output import note, print_json, print_text
from promptops.runner import Origin, Run
from promptops.session import Session
from promptops.settings import here
from promptops.versions import Version, provenance, resolve

if TYPE_CHECKING:
    from promptops.further import FurtherChecks

RetriesOption = Annotated[int, typer.Option(min=0, help="Further attempts after a failure that may pass.")]
StreamOption = Annotated[
    bool | None, typer.Option("--stream/--no-stream", help="Print text as it comes, as on a terminal.")
]
MetaOption = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Log this with the run.")
]
AllChecksOption = Annotated[
    bool, typer.Option("--all-checks", help="Also make the checks that cost further calls, as a judge does.")
]
NoLogOption = Annotated[bool, typer.Option("--no-log", help="Do not write to the registry.")]


def run(
    reference: ReferenceArgument,
    given: InputOption = None,
    inputs: InputsOption = None,
    model: ModelOption = None,
    assignments: SetOption = None,
    retries: RetriesOption = 2,
    timeout: TimeoutOption = 120.0,
    metadata: MetaOption = None,
    stream: StreamOption = None,
    all_checks: AllChecksOption = False,
    no_log: NoLogOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run a version once and print the model's answer alone on stdout. Every run is logged."""
    settings = here()
    version = provenance(resolve(reference, settings), settings)
    version, overrides = overridden(version, model or local_weights(version), read_settings(assignments))
    values = read_inputs(version.prompt, given, inputs)
    origin = Origin(overrides=overrides, metadata=_metadata(metadata))
    on_text = _print_piece if _streams(version, stream, as_json=as_json) else None

    async def once() -> Run:
        async with Session(settings, log=not no_log) as session:
            limits = Limits(retries=retries, timeout=timeout)
            further = _further(session, version, limits) if all_checks else None
            done = await session.run(version, values, origin=origin, limits=limits, on_text=on_text)
            return await further.finish(done, log=not no_log) if further else done

    return show(asyncio.run(once()), streamed=on_text is not None, as_json=as_json)


def _further(session: Session, version: Version, limits: Limits) -> "FurtherChecks":
    from promptops.further import Asking, Judges, further_checks

    asking = Asking(session=session, judges=Judges(session.settings), limits=limits)
    return further_checks(version, asking)


def show(run: Run, *, streamed: bool, as_json: bool) -> int:
    """Print one run: the answer on stdout, what is to be said about it on stderr. Returns the exit code."""
    if as_json:
        print_json(run.as_json())
    elif run.error is None and not streamed:
        print_text(run.answer)
    elif streamed and run.finished.output:
        print_text("")
    if run.error:
        raise run.error
    if run.finished.error_type:
        note(f"invalid output: {run.finished.error_message}")
    for check in run.finished.checks:
        if not check.passed:
            note(f"check {'error' if check.error else 'failed'}: {check.name}: {check.message}")
    return 0 if run.passed else 1


def _print_piece(text: str) -> None:
    print_text(text, end="", flush=True)


def _streams(version: Version, asked: bool | None, *, as_json: bool) -> bool:
    """On a terminal text is shown as it comes, unless a repair may still replace it."""
    if as_json:
        return False
    if asked is not None:
        return asked
    output = version.prompt.output
    return sys.stdout.isatty() and not (output and output.repair)


def _metadata(pairs: Sequence[str] | None) -> dict[str, str]:
    metadata = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"--meta {pair}: metadata is KEY=VALUE")
        metadata[key] = value
    return metadata
