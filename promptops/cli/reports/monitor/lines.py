"""The sentences of a check (pure)."""

from promptops.monitoring.alarm import Alarm
from promptops.monitoring.check import MetricStatus, TargetCheck
from promptops.monitoring.metrics import find_metric
from promptops.reports.numbers import format_percent, pluralize

_STATES = {
    "alarm": "alarm",
    "quiet": "no alarm",
    "gathering": "too little data: the reference is not complete",
    "no calls": "no calls",
}


def head_line(check: TargetCheck) -> str:
    version = check.served.version if check.served and check.served.version else ""
    return f"{check.target}{f' {version}' if version else ''}: {_STATES[check.state]}"


def alarm_head(alarm: Alarm) -> str:
    runs = f", {pluralize(alarm.runs, 'run')}" if alarm.runs > 1 else ""
    return f"{alarm.title}: {alarm.size}, since {alarm.since}{runs}"


def alarm_lines(alarm: Alarm) -> list[str]:
    """What, since when and how much; of which kinds; examples; what to do."""
    examples = [f"examples: {' '.join(alarm.examples)}"] if alarm.examples else []
    kinds = [f"rose: {alarm.kinds_text}"] if alarm.kinds else []
    return [alarm_head(alarm), *kinds, *examples, f"next: {alarm.advice}"]


def level_cell(status: MetricStatus) -> str:
    if status.level is None:
        return ""
    return f"{status.level:.4g}" if _is_number(status) else format_percent(status.level)


def _is_number(status: MetricStatus) -> bool:
    metric = find_metric(status.name)
    return metric is not None and metric.number


def needed_cell(status: MetricStatus) -> str:
    """How soon a change that matters would be found."""
    if status.level is None:
        return ""
    what = "x1.3" if _is_number(status) else "10 points"
    nights = status.nights_needed
    return f"{what}: not found" if nights is None else f"{what}: about {pluralize(nights, 'night')}"


HEADERS = ("METRIC", "STATE", "REFERENCE", "NIGHTS", "RUNS", "FINDS")


def status_cells(status: MetricStatus) -> tuple[str, str, str, str, str, str]:
    return (
        status.name,
        status.state,
        level_cell(status),
        str(status.nights),
        f"{status.runs:,}",
        needed_cell(status),
    )
