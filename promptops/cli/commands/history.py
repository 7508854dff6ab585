"""``promptops history``: the versions of a prompt, newest first."""

from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import limit_option
from promptops.cli.reports.run_tables import eval_cell, format_age
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_table
from promptops.errors import PromptopsError
from promptops.registry import LatestEval, RegistryDatabase, latest_evals, version_stats
from promptops.reports.numbers import integer_cell, usd_cell
from promptops.versions.history import HistoryEntry, VersionStats
from promptops.versions.history import read_history as history_of

HISTORY_HEADERS = (
    "VERSION", "AGE", "AUTHOR", "CHANGE", "RUNS", "ERR", "PASS", "MS", "USD", "THUMBS", "EVAL", "SUBJECT",
)  # fmt: skip

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The prompt.")]
LimitOption = Annotated[int | None, limit_option("Only the newest so many.")]


def history(reference: NameArgument, limit: LimitOption = None, as_json: JsonOption = False) -> None:
    """List the versions of a prompt, newest first: what changed, by whom, and how each did in its runs."""
    settings = current_settings()
    with _registry(settings) as registry:
        timeline = history_of(reference, settings, registry)
        stats = version_stats(registry, timeline.name)
        evals = {digest: each for (_, digest), each in latest_evals(registry, timeline.name).items()}
    figures = {digest: _figures(each) for digest, each in stats.items()}
    for digest, latest in evals.items():
        figures[digest] = _with_eval(figures.get(digest, VersionStats()), latest)
    timeline = timeline.with_stats(figures)
    shown = timeline.versions[:limit]
    if as_json:
        print_json([_as_json(entry) for entry in shown])
    elif shown:
        print_table(HISTORY_HEADERS, [_row(entry) for entry in shown], numeric=(1, 4, 5, 6, 7, 8))
    if timeline.note:
        note(timeline.note)


def _registry(settings: Settings) -> RegistryDatabase:
    """The project's; one in memory where that can't be had, as a history needs no log."""
    try:
        return RegistryDatabase.open(settings.registry)
    except PromptopsError as error:
        note(f"{error.message}; the figures of runs are left out")
        return RegistryDatabase.in_memory()


def _figures(stats: dict[str, Any]) -> VersionStats:
    calls, checked, priced = (
        stats["calls"],
        stats["checked"],
        stats["calls"] - stats["errors"] - stats["unpriced"],
    )
    return VersionStats(
        runs=calls,
        error_rate=stats["errors"] / calls,
        check_pass_rate=1 - stats["checks_failed"] / checked if checked else None,
        p50_latency_ms=stats["p50_ms"],
        cost_per_run_usd=stats["cost_usd"] / priced if priced and stats["cost_usd"] is not None else None,
        thumbs_up=stats["thumbs_up"],
        thumbs_down=stats["thumbs_down"],
    )


def _with_eval(figures: VersionStats, latest: LatestEval) -> VersionStats:
    return replace(figures, eval_rate=latest.rate, eval_cases=latest.cases, eval_at=latest.finished_at)


def _as_json(entry: HistoryEntry) -> dict[str, Any]:
    return {**asdict(entry), "digest": entry.digest and f"sha256:{entry.digest}"}


def _pasteable_label(entry: HistoryEntry) -> str:
    """As it can be pasted: by the number of its release where it has one."""
    name, _, commit = entry.pasteable.partition("@")
    return f"{name}@{entry.version or commit}"


def _row(entry: HistoryEntry) -> tuple[Any, ...]:
    figures = entry.figures
    thumbs = (
        f"+{figures.thumbs_up} -{figures.thumbs_down}" if figures.thumbs_up + figures.thumbs_down else None
    )
    return (
        " ".join(filter(None, (_pasteable_label(entry), *(f"[{place}]" for place in entry.live)))),
        format_age(entry.date),
        entry.author,
        entry.change,
        figures.runs,
        _percent(figures.error_rate),
        _percent(figures.check_pass_rate),
        integer_cell(figures.p50_latency_ms),
        usd_cell(figures.cost_per_run_usd),
        thumbs,
        eval_cell(figures.eval_rate, figures.eval_cases, figures.eval_at),
        entry.problem or entry.subject,
    )


def _percent(rate: float | None) -> str | None:
    return None if rate is None else f"{rate:.0%}"
