"""``promptops feedback``: what people say of an answer, or do with it."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from promptops.cli.options.common import JsonOption
from promptops.config.settings import Settings, here
from promptops.config.text import MAX_BYTES
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid
from promptops.registry.runs.journal import Spool
from promptops.registry.runs.outcomes import Added, Outcome, add_all, add_many, outcome
from promptops.registry.runs.queries import get_run
from promptops.registry.store import Registry
from promptops.registry.ulid import LENGTH

KEYS = ("run_id", "metric", "value", "comment", "occurred_at")
_LINE = '{"run_id": "01J…", "metric": "thumbs", "value": 1}, with `comment` and `occurred_at` if known'


class Thumbs(StrEnum):
    UP = "up"
    DOWN = "down"


RunArgument = Annotated[
    str | None, typer.Argument(metavar="RUN", help="A run's id, or the start of it.", show_default=False)
]
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
    typer.Option(
        "--from",
        metavar="FILE",
        help="JSON lines {run_id, metric, value, comment?, occurred_at?}; - is stdin. All of them or none.",
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
    settings = here()
    if source is not None:
        if run or thumbs or comment or metric or edit is not None or value is not None:
            raise Invalid("--from takes everything from its lines", hint="leave the other arguments out")
        added = _from_file(settings, source)
    else:
        added = _of_one(settings, run, _said(thumbs, metric, value, edit), comment, edit)
    if as_json:
        print_json({"new": added.new, "known": added.known})
    else:
        known = f"; {added.known:,} told before" if added.known else ""
        print_text(f"{added.new:,} outcome{'' if added.new == 1 else 's'} logged{known}")


def _said(
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


def _of_one(
    settings: Settings, run: str | None, said: list[tuple[str, Any]], comment: str, edit: str | None
) -> Added:
    if run is None:
        raise Invalid("which run?", hint="promptops feedback RUN up; `promptops runs list` shows the latest")
    with _registry(settings) as registry:
        run_id = get_run(registry, run)["run_id"]
        kept = edit if settings.log.outputs == "full" else None
        if edit is not None and kept is None:
            note("the edited text is not kept, as the settings say of outputs")
        outcomes = [outcome(run_id, name, value, text=comment) for name, value in said]
        if kept is not None:
            outcomes[-1] = outcome(run_id, "edited", 1, text=kept)
        new = add_all(registry, run_id, outcomes)
    return Added(new, len(outcomes) - new)


def _registry(settings: Settings) -> Registry:
    """Open, with the runs that waited beside it: feedback may be quicker than they are."""
    if not settings.registry.exists() and not Spool(settings.registry).waiting():
        return Registry.in_memory(settings.registry)
    registry = Registry.open(settings.registry)
    Spool(settings.registry).take_in(registry)
    return registry


def _from_file(settings: Settings, source: str) -> Added:
    name = "stdin" if source == "-" else source
    try:
        with _lines(source) as lines, _registry(settings) as registry:
            return add_many(registry, name, read_outcomes(name, lines))
    except OSError as error:
        raise Invalid(f"--from: cannot read {source}: {error.strerror}") from None


def _lines(source: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb")


def read_outcomes(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, Outcome]]:
    """What the lines of a file say, with their numbers. Raises Invalid, naming the first bad line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, _outcome(line)
            except Invalid as error:
                raise Invalid(f"{name}:{number}: {error.message}", hint=error.hint) from None


def _outcome(line: bytes) -> Outcome:
    try:
        data = json.loads(line) if len(line) <= MAX_BYTES else None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not JSON: {error}", hint=_LINE) from None
    if not isinstance(data, dict):
        raise Invalid("not an object", hint=_LINE)
    if unknown := data.keys() - KEYS:
        raise Invalid(f"unknown key `{min(unknown)}`", hint=f"a line is {_LINE}")
    run_id, comment = data.get("run_id"), data.get("comment") or ""
    if not isinstance(run_id, str) or len(run_id) != LENGTH:
        raise Invalid(f"`run_id` must be the whole id of a run, not {run_id!r}", hint=_LINE)
    if not isinstance(comment, str):
        raise Invalid("`comment` must be text", hint=_LINE)
    when = data.get("occurred_at")
    return outcome(run_id.upper(), data.get("metric"), data.get("value"), text=comment, occurred_at=when)
