"""What ``eval`` and the verbs that evaluate on the way share: options, versions, cases, one eval."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, product
from pathlib import Path
from typing import Annotated, Any

import typer

from promptops.cli.options.common import parse_overrides
from promptops.cli.options.flags import (
    against_option,
    cases_option,
    model_option,
    no_worse_option,
    set_option,
)
from promptops.cli.options.overrides import apply_overrides, local_model_override
from promptops.cli.options.provider_batch import showing_jobs
from promptops.cli.progress import Progress
from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import ExitCode, Invalid
from promptops.evaluation.engine import EvalOutcome, EvalRequest, evaluate
from promptops.evaluation.golden_set import filter_by_tags
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.evaluation.variants import Variant
from promptops.prompt.cases import Case, read_cases
from promptops.providers.types import ModelError
from promptops.runner.batch import BatchOptions
from promptops.versions.resolve import Version, resolve_version, with_provenance

TrialsOption = Annotated[
    int,
    typer.Option("--trials", min=1, max=1000, help="Trials per case (also at temperature 0)."),
]
CasesOption = Annotated[Path | None, cases_option("Use these cases, not the version's own.", metavar="FILE")]
ModelsOption = Annotated[
    list[str] | None,
    model_option("Use this model; several are compared in one table."),
]
SetsOption = Annotated[
    list[str] | None,
    set_option("Override, such as parameters.temperature=0.2; several values of one key are compared."),
]
NoWorseOption = Annotated[
    float | None,
    no_worse_option(
        "Exit 0 only if it is shown to fail at most this much more often (0.03), 1 if it fails more often, "
        "3 if undecided."
    ),
]
AgainstOption = Annotated[str | None, against_option("The version to compare with, on the same cases.")]
MarginOption = Annotated[
    float,
    typer.Option(
        "--margin", min=0.0, max=0.99, help="Non-inferiority margin: allowed increase in failure rate."
    ),
]


def build_variants(
    references: Sequence[str],
    settings: Settings,
    models: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
) -> list[Variant]:
    """Every version with every model and every combination of settings."""
    variants = []
    for reference in references:
        version = with_provenance(resolve_version(reference, settings), settings)
        local = local_model_override(version)
        wanted: Sequence[str | None] = models or [local]
        for model, overrides in product(wanted, override_combinations(sets or ())):
            other, changed = apply_overrides(version, model, overrides)
            variants.append(Variant(version=other, label=_label(version, changed), overrides=changed))
    return _with_distinct_labels(variants) if models or sets else variants


def override_combinations(pairs: Sequence[str]) -> list[dict[str, Any]]:
    """``--set`` of different keys go together, those of one key are alternatives."""
    values: dict[str, list[Any]] = {}
    for key, value in chain.from_iterable(parse_overrides([pair]).items() for pair in pairs):
        values.setdefault(key, []).append(value)
    return [dict(zip(values, each, strict=True)) for each in product(*values.values())]


def _with_distinct_labels(variants: Sequence[Variant]) -> list[Variant]:
    """Labels with what differs between them alone; one that stands alone is called by all that it changes."""
    words = [_label_parts(each.version, each.overrides) for each in variants]
    common = set.intersection(*map(set, words)) if len(words) > 1 else {words[0][0]}
    labels = [" ".join(word for word in each if word not in common) for each in words]
    return [
        replace(each, label=label or " ".join(own))
        for each, label, own in zip(variants, labels, words, strict=True)
    ]


def _label(version: Version, overrides: Mapping[str, Any]) -> str:
    return " ".join(_label_parts(version, overrides))


def _label_parts(version: Version, overrides: Mapping[str, Any]) -> list[str]:
    values = ((key.removeprefix("parameters."), value) for key, value in overrides.items())
    changed = (str(value) if key == "model" else f"{key}={value}" for key, value in values)
    return [version.pasteable, *changed]


@contextmanager
def open_cases(
    version: Version, settings: Settings, file: Path | None, tags: Sequence[str] | None
) -> Iterator[Iterator[Case]]:
    """The cases in ``file``, else those of the version as they were where it comes from."""
    if file is None:
        with open_golden_set(version, settings) as cases:
            yield filter_by_tags(cases, tags)
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise Invalid(f"--cases: cannot read {file}: {error.strerror}") from None
    with stream:
        yield filter_by_tags(read_cases(str(file), stream, version.prompt.inputs), tags)


def run_eval(
    settings: Settings,
    options: BatchOptions,
    request: EvalRequest,
    cases: Path | None = None,
    tags: Sequence[str] | None = None,
) -> EvalOutcome:
    """One eval, with its progress shown."""
    candidate = request.variants[int(request.against)].version
    with (
        open_cases(candidate, settings, cases, tags) as opened,
        Progress(candidate.prompt.name) as bar,
    ):
        return evaluate(settings, showing_jobs(options, bar), request, opened, bar.show_tally)


def eval_exit_code(outcome: EvalOutcome) -> int:
    """Raise what kept an eval from its end; the code of one that was interrupted, else 0."""
    if outcome.over_budget:
        raise outcome.over_budget
    failure = outcome.aborted_by or outcome.every_call_failed
    if failure:
        raise ModelError(
            failure.type,
            f"{'call after call' if outcome.aborted_by else 'every call'} failed: {failure.message}",
            status=failure.status,
            hint=failure.hint,
        )
    if outcome.result.stopped == "interrupted":
        note("interrupted; the same command goes on from here, by the answers that are kept")
        return ExitCode.INTERRUPTED
    if outcome.result.stopped == "cancelled":
        note("its job was cancelled before all was answered; the same command asks for the rest")
        return ExitCode.UNAVAILABLE
    return ExitCode.OK
