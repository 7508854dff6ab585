"""``promptops runs export`` of a data set: what was asked for, and what is said of what came of it."""

import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptops.config.settings import Settings
from promptops.console import note
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.interop.datasets import (
    DatasetFormat,
    DatasetReport,
    DatasetRequest,
    Minimum,
    describe_reason,
    export_dataset,
)
from promptops.prompt import Prompt
from promptops.prompt.cases import Case
from promptops.registry import RunFilter, open_with_waiting_runs
from promptops.reports.numbers import pluralize
from promptops.versions.resolve import resolve_version


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetChoices:
    """What is taken of the runs that the filters choose."""

    passed: bool
    minimums: tuple[Minimum, ...]
    edits: bool
    redacted: bool


def read_choices(*, passed: bool, minimum: list[str] | None, edits: bool, redacted: bool) -> DatasetChoices:
    minimums = tuple(map(_parse_minimum, minimum or ()))
    return DatasetChoices(passed=passed, minimums=minimums, edits=edits, redacted=redacted)


def _parse_minimum(text: str) -> Minimum:
    name, is_there, number = text.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not is_there or not name.strip() or not math.isfinite(value):
        raise Invalid(f"--min {text}: not NAME=VALUE", hint="--min thumbs=1, or --min judge.quality=4")
    return Minimum(name.strip(), value)


def export_training_data(
    settings: Settings, form: DatasetFormat, chosen: RunFilter, choices: DatasetChoices, out: Path | None
) -> None:
    """Write the file and its manifest, and say what is in them and what is not."""
    if out is None or str(out) == "-":
        raise Invalid(
            f"--format {form} writes a file and a manifest beside it", hint="name the file: --out FILE"
        )
    if form == "trl-dpo" and (choices.passed or choices.edits):
        raise Invalid(
            "pairs need passed and failed answers, and take people's answers wherever there are some",
            hint="leave out --passed and --edits; --min NAME=VALUE says which answers are the better ones",
        )

    def load(reference: str) -> Prompt:
        return resolve_version(reference, settings).prompt

    def cases(reference: str) -> Iterator[Case]:
        return _cases(reference, settings)

    request = DatasetRequest(
        form=form,
        runs=chosen,
        filters=_filters(chosen, choices),
        passed=choices.passed,
        minimums=choices.minimums,
        edits=choices.edits,
        redacted=choices.redacted,
        log=settings.log,
        load=load,
        read_cases=cases,
    )
    with open_with_waiting_runs(settings) as registry:
        report = export_dataset(registry, request, out)
    _say(report, form, out)


def _cases(reference: str, settings: Settings) -> Iterator[Case]:
    """None of a prompt that is gone, or that names no cases; a set that cannot be read is an error."""
    try:
        version = resolve_version(reference, settings)
    except NotFound:
        return
    if version.prompt.cases is not None:
        with open_golden_set(version, settings) as found:
            yield from found


def _filters(chosen: RunFilter, choices: DatasetChoices) -> dict[str, Any]:
    """What was asked for, without what was not."""
    given = {name: value for name, value in asdict(chosen).items() if value is not None}
    if choices.minimums:
        given["min"] = {each.name: each.value for each in choices.minimums}
    return given | {name: True for name in ("passed", "edits", "redacted") if getattr(choices, name)}


def _say(report: DatasetReport, form: DatasetFormat, out: Path) -> None:
    what = "pair" if form == "trl-dpo" else "example"
    note(
        f"{pluralize(report.examples, what)} of {pluralize(report.runs, 'run')} written to {out}, "
        f"what they are made of to {report.manifest}"
    )
    for reason, count in report.left_out.items():
        note(f"  {count:,} left out: {describe_reason(reason)}")
    if report.redacted:
        note(f"  {report.redacted:,} of them with redacted texts")
    if report.doubtful:
        note(f"  {report.doubtful:,} of them failed a check or were rated badly: see --passed and --min")
    if report.unused_edits:
        note(f"  {report.unused_edits:,} of them have a person's better answer, which --edits takes")
    for reference, problem in report.unread.items():
        note(f"  the golden set of {reference} could not be read: {problem}")
