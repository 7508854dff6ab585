"""The status as JSON: one object for each channel, with the names of the view and what follows from it."""

from collections.abc import Sequence
from typing import Any

from promptops.cli.reports.json_data import report_json, to_json_data
from promptops.release.status_view import StatusView
from promptops.reports.channel import available_commands, next_steps, status_headline

_OMITTED_FIELDS = {"content", "metrics_given"}  # of a plan: its fields say the same


def render_status_json(views: Sequence[StatusView]) -> str:
    return report_json([status_data(view) for view in views])


def status_data(view: StatusView) -> dict[str, Any]:
    """One view as JSON data; numbers that JSON has not are null."""
    derived = {
        "headline": status_headline(view),
        "next": next_steps(view),
        "commands": available_commands(view),
    }
    return {**to_json_data(view, _OMITTED_FIELDS), **to_json_data(derived)}
