"""``promptops feedback``: what people say of an answer, or do with it."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from promptops.cli.last_run import resolve_run_id
from promptops.cli.options.common import RUN_HELP, JsonOption
from promptops.cli.options.flags import from_option
from promptops.config.settings import Settings, current_settings
from promptops.config.text import MAX_BYTES
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid
from promptops.registry import (
    ULID_LENGTH,
    AddedOutcomes,
    RegistryDatabase,
    RunOutcome,
    Spool,
    add_run_outcomes,
    get_run,
    import_outcomes,
    make_outcome,
)

FEEDBACK_KEYS = ("run_id", "metric", "value", "comment", "occurred_at")
_LINE_EXAMPLE = (
    '{"run_id": "01J…", "metric": "thumbs", "value": 1}, with `comment` and `occurred_at` if known'
)


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
        "JSON lines {run_id, metric, value, comment?, occurred_at?}; - is stdin. All of them or none."
    ),
]


def feedback(
    run: RunArgument = None,
    thumbs: ThumbsArgument = None,
    comment: CommentOption = "",
    edit: EditOption = None,
    metric: MetricOption = None,
    value: ValueOption = None,
    source: FromOption = None,
    as_json: JsonOption = False,
) -> None:
    """Log what people say of an answer, or do with it. Saying the same again changes nothing.

    Outcomes are compared between versions once a plan names them: `source: outcome.thumbs`.
    """
    settings = current_settings()
    if source is not None:
        if run or thumbs or comment or metric or edit is not None or value is not None:
            raise Invalid("--from takes everything from its lines", hint="leave the other arguments out")
        added = _from_file(settings, source)
    else:
        added = _log_outcomes(settings, run, _outcome_values(thumbs, metric, value, edit), comment, edit)
    if as_json:
        print_json({"new": added.new, "known": added.known})
    else:
        known = f"; {added.known:,} told before" if added.known else ""
        print_text(f"{added.new:,} outcome{'' if added.new == 1 else 's'} logged{known}")


def _outcome_values(
    thumbs: Thumbs | None, metric: str | None, value: float | None, edit: str | None
) -> list[tuple[str, Any]]:
    """Names and values of what is said."""
    if (metric is None) != (value is None):
        raise Invalid("--metric and --value belong together", hint="--metric correct --value 1")
    said: list[tuple[str, Any]] = []
    if thumbs is not None:
        said.append(("thumbs", thumbs.value))
    if metric is not None:
        said.append((metric, value))
    if edit is not None:
        said.append(("edited", 1))
    if not said:
        raise Invalid(
            "what was the answer like?", hint="promptops feedback RUN up, or --metric NAME --value X"
        )
    return said


def _log_outcomes(
    settings: Settings, run: str | None, said: list[tuple[str, Any]], comment: str, edit: str | None
) -> AddedOutcomes:
    if run is None:
        raise Invalid("which run?", hint="promptops feedback RUN up; `promptops runs list` shows the latest")
    with _registry(settings) as registry:
        run_id = get_run(registry, resolve_run_id(run, settings))["run_id"]
        kept = edit if settings.log.outputs == "full" else None
        if edit is not None and kept is None:
            note("the edited text is not kept, as the settings say of outputs")
        outcomes = [make_outcome(run_id, name, value, text=comment) for name, value in said]
        if kept is not None:
            outcomes[-1] = make_outcome(run_id, "edited", 1, text=kept)
        new = add_run_outcomes(registry, run_id, outcomes)
    return AddedOutcomes(new, len(outcomes) - new)


def _registry(settings: Settings) -> RegistryDatabase:
    """Open, with the runs that waited beside it: feedback may be quicker than they are."""
    if not settings.registry.exists() and not Spool(settings.registry).waiting():
        return RegistryDatabase.in_memory(settings.registry)
    registry = RegistryDatabase.open(settings.registry)
    Spool(settings.registry).replay(registry)
    return registry


def _from_file(settings: Settings, source: str) -> AddedOutcomes:
    name = "stdin" if source == "-" else source
    try:
        with _open_lines(source) as lines, _registry(settings) as registry:
            return import_outcomes(registry, name, read_outcomes(name, lines))
    except OSError as error:
        raise Invalid(f"--from: cannot read {source}: {error.strerror}") from None


def _open_lines(source: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb")


def read_outcomes(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, RunOutcome]]:
    """What the lines of a file say, with their numbers. Raises Invalid, naming the first bad line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, _parse_outcome(line)
            except Invalid as error:
                raise Invalid(f"{name}:{number}: {error.message}", hint=error.hint) from None


def _parse_outcome(line: bytes) -> RunOutcome:
    try:
        data = json.loads(line) if len(line) <= MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not JSON: {error}", hint=_LINE_EXAMPLE) from None
    if not isinstance(data, dict):
        raise Invalid("not an object", hint=_LINE_EXAMPLE)
    if unknown := data.keys() - FEEDBACK_KEYS:
        raise Invalid(f"unknown key `{min(unknown)}`", hint=f"a line is {_LINE_EXAMPLE}")
    run_id, comment = data.get("run_id"), data.get("comment") or ""
    if not isinstance(run_id, str) or len(run_id) != ULID_LENGTH:
        raise Invalid(f"`run_id` must be the whole id of a run, not {run_id!r}", hint=_LINE_EXAMPLE)
    if not isinstance(comment, str):
        raise Invalid("`comment` must be text", hint=_LINE_EXAMPLE)
    when = data.get("occurred_at")
    return make_outcome(run_id.upper(), data.get("metric"), data.get("value"), text=comment, occurred_at=when)
