"""``promptops feedback``: what people say of an answer, or do with it."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from promptops.cli.last_run import resolve_run_id
from promptops.cli.options.common import JsonOption
from promptops.cli.options.feedback import (
    CommentOption,
    EditOption,
    FromOption,
    MetricOption,
    RunArgument,
    Thumbs,
    ThumbsArgument,
    ValueOption,
)
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid
from promptops.registry import (
    AddedOutcomes,
    import_outcomes,
    log_run_outcomes,
    open_with_waiting_runs,
    outcome_redaction,
    read_outcomes,
)
from promptops.reports.numbers import pluralize


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
        repeated = f"; {added.known:,} recorded before" if added.known else ""
        print_text(f"{pluralize(added.new, 'outcome')} logged{repeated}")


def _outcome_values(
    thumbs: Thumbs | None, metric: str | None, value: float | None, edit: str | None
) -> list[tuple[str, Any]]:
    """Names and values of the outcomes."""
    if (metric is None) != (value is None):
        raise Invalid("--metric and --value belong together", hint="--metric correct --value 1")
    values: list[tuple[str, Any]] = []
    if thumbs is not None:
        values.append(("thumbs", thumbs.value))
    if metric is not None:
        values.append((metric, value))
    if edit is not None:
        values.append(("edited", 1))
    if not values:
        raise Invalid(
            "what was the answer like?", hint="promptops feedback RUN up, or --metric NAME --value X"
        )
    return values


def _log_outcomes(
    settings: Settings, run: str | None, values: list[tuple[str, Any]], comment: str, edit: str | None
) -> AddedOutcomes:
    if run is None:
        raise Invalid("which run?", hint="promptops feedback last up; `promptops runs list` shows the latest")
    run = resolve_run_id(run, settings)
    if edit is not None and settings.log.outputs != "full":
        note("the edited text is not kept, as the settings say of outputs")
        edit = None
    with open_with_waiting_runs(settings) as registry:
        return log_run_outcomes(registry, run, values, comment, edit, settings.log)


def _from_file(settings: Settings, source: str) -> AddedOutcomes:
    name = "stdin" if source == "-" else source
    try:
        with _open_lines(source) as lines, open_with_waiting_runs(settings) as registry:
            redact = outcome_redaction(registry, settings.log)
            outcomes = ((line, redact(each)) for line, each in read_outcomes(name, lines))
            return import_outcomes(registry, name, outcomes)
    except OSError as error:
        raise Invalid(f"--from: cannot read {source}: {error.strerror}") from None


def _open_lines(source: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if source == "-" else Path(source).open("rb")
