"""A report on usage in Prometheus' text format, for the folder of node_exporter's textfile collector.

All are gauges of the time that the report is of: a later report may say less.
"""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.usage.view import UsageReport
from promptops.config.clock import utc_seconds
from promptops.registry import RunCell, StatsRow, sum_up
from promptops.telemetry.prometheus import sample_line

_MAX_SERIES = 500  # versions with figures of their own; the others are counted together
_GAUGES = (
    ("calls", "calls", "Calls."),
    ("errors", "errors", "Calls that ended with an error."),
    ("unfinished", "unfinished", "Calls that have not ended."),
    ("input_tokens", "input_tokens", "Tokens sent."),
    ("output_tokens", "output_tokens", "Tokens received."),
    ("cost_usd", "cost_usd", "What the answers would have cost without the cache."),
    ("spent_usd", "spent_usd", "What was paid."),
    ("cache_hits", "cache_hits", "Answers from the cache."),
    ("checked", "checked_answers", "Answers that were checked."),
    ("checks_failed", "failed_answers", "Answers that failed a check."),
)
_SECOND_MS = 1000


def render_usage_prometheus(report: UsageReport) -> str:
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: UsageReport) -> Iterator[str]:
    usage = report.usage
    series = _series(usage.cells)
    for name, moment in (("since", usage.since), ("until", usage.until)):
        yield from _head(f"promptops_report_{name}_timestamp_seconds", "The time that is reported on.")
        yield sample_line(f"promptops_report_{name}_timestamp_seconds", {}, utc_seconds(moment))
    for column, name, about in _GAUGES:
        yield from _head(f"promptops_report_{name}", about)
        for labels, row in series:
            if row[column] is not None:
                yield sample_line(f"promptops_report_{name}", labels, row[column])
    yield from _head("promptops_report_latency_seconds", "Of calls that a model answered.")
    for labels, row in series:
        for quantile, column in (("0.5", "p50_ms"), ("0.95", "p95_ms")):
            if row[column] is not None:
                of = {**labels, "quantile": quantile}
                yield sample_line("promptops_report_latency_seconds", of, row[column] / _SECOND_MS)


def _head(name: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} gauge"


def _series(cells: Sequence[RunCell]) -> list[tuple[dict[str, str], StatsRow]]:
    """Labels and figures of each version, those with the most calls first."""
    groups: dict[tuple[str, str], list[RunCell]] = {}
    for cell in cells:
        groups.setdefault((cell["prompt"], cell["version"] or f"sha256:{cell['digest'][:12]}"), []).append(
            cell
        )
    ordered = sorted(groups.items(), key=lambda item: (-sum(cell["calls"] for cell in item[1]), item[0]))
    found = [({"prompt": key[0], "version": key[1]}, sum_up(some)) for key, some in ordered[:_MAX_SERIES]]
    if rest := [cell for _, some in ordered[_MAX_SERIES:] for cell in some]:
        found.append(({"prompt": "other", "version": "other"}, sum_up(rest)))
    return found
