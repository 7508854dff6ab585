"""``promptops bisect``: the commit since which a prompt does worse."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from promptops.cli.options.cases import NameArgument, TagOption
from promptops.cli.options.common import JsonOption
from promptops.cli.options.evaluation import CasesOption, TrialsOption, open_cases
from promptops.cli.options.flags import jobs_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.model_calls import read_call_options
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_table, print_text
from promptops.errors import ExitCode
from promptops.evaluation.bisect import BisectRequest, BisectResult, BisectStep, find_culprit, version_range
from promptops.prompt.diff import compare_prompts
from promptops.runner.batch import BatchOptions
from promptops.versions.history import HistoryEntry
from promptops.versions.resolve import resolve_version

GoodOption = Annotated[str, typer.Option("--good", metavar="REV", help="A revision at which it did well.")]
BadOption = Annotated[str, typer.Option("--bad", metavar="REV", help="A later one at which it does worse.")]
JobsOption = Annotated[int, jobs_option("Maximum concurrent cases.")]


@with_option_groups(without=("rpm", "tpm", "on"), calls=read_call_options)
def bisect(
    name: NameArgument,
    *,
    good: GoodOption,
    bad: BadOption = "HEAD",
    trials: TrialsOption = 1,
    cases: CasesOption = None,
    tags: TagOption = None,
    jobs: JobsOption = 4,
    calls: BatchOptions,
    as_json: JsonOption = False,
) -> int:
    """Find the commit since which a prompt does worse on its golden set.

    Cases and checks are those of the bad revision. Each version that the search looks at is run until it is
    clear that it does worse than the good one, or better than the bad one. Exit code 3: undecided.
    """
    settings = current_settings()
    first, last = (resolve_version(f"{name}@{rev}", settings) for rev in (good, bad))
    search = BisectRequest(entries=version_range(name, first, last, settings), trials=trials)
    options = replace(calls, concurrency=jobs)
    with open_cases(last, settings, cases, tags) as found_cases:
        result = find_culprit(settings, options, search, found_cases, _note_step)
    changed = list(_changes(result, settings))
    if as_json:
        print_json(_as_json(result, changed))
    else:
        _print(result, changed)
    return ExitCode.OK if result.culprit else ExitCode.UNDECIDED


_STEP_WORDS = {"good": "does as the good one", "bad": "does worse", "cannot tell": "cannot tell"}


def _note_step(step: BisectStep) -> None:
    words = _STEP_WORDS[step.word]
    rates = (
        f": passes {step.rate:.1%} of {step.cases} cases, the good one {step.good_rate:.1%}"
        if step.rate is not None and step.good_rate is not None
        else f": {step.entry.problem or step.entry.change}"
    )
    note(f"{step.entry.pasteable} {words}{rates}")


def _changes(result: BisectResult, settings: Settings) -> Iterator[str]:
    """What the found commit changed, in words."""
    if result.culprit is None or result.before is None:
        return
    before, after = (
        resolve_version(each.pasteable, settings).prompt for each in (result.before, result.culprit)
    )
    for change in compare_prompts(before, after):
        for line in (*change.lines, *map(str, change.texts)):
            yield f"{change.kind}: {line}"


def _print(result: BisectResult, changed: list[str]) -> None:
    if result.culprit:
        culprit = result.culprit
        print_text(f"{culprit.pasteable} is the first version that does worse")
        print_text(f"commit {culprit.commit_sha}\nAuthor: {culprit.author}\nDate:   {culprit.date}")
        print_text(f"\n    {culprit.subject}\n")
        for line in changed:
            print_text(f"  {line}")
    elif result.suspects:
        print_text("cannot tell which of these it was:")
        print_table(("VERSION", "AUTHOR", "CHANGE", "SUBJECT"), map(_row, result.suspects))
        note("more cases or --trials would tell, if the versions between can be run at all")
    else:
        print_text(
            f"cannot tell: {result.bad.pasteable} is not shown to do worse than {result.good.pasteable}"
        )
        note("more cases or --trials would tell, or cases that ask for what broke")


def _row(entry: HistoryEntry) -> tuple[str, ...]:
    return entry.pasteable, entry.author, entry.change, entry.problem or entry.subject


def _as_json(result: BisectResult, changed: list[str]) -> dict[str, Any]:
    return {
        "culprit": _entry(result.culprit),
        "last_good": _entry(result.before),
        "suspects": [_entry(each) for each in result.suspects],
        "changed": changed,
        "steps": [{**asdict(step), "entry": step.entry.pasteable} for step in result.steps],
    }


def _entry(entry: HistoryEntry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    names = ("pasteable", "commit_sha", "author", "date", "subject", "change", "digest")
    return {name: getattr(entry, name) for name in names}
