"""The status as JSON: one object for each channel, with the names of the view and what follows from it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any

from promptops.cli.reports.release.view import available_commands, next_steps, status_headline
from promptops.release.status_view import StatusView

_OMITTED_FIELDS = {"content", "metrics_given"}  # of a plan: its fields say the same


def render_status_json(views: Sequence[StatusView]) -> str:
    return dumps([status_data(view) for view in views], ensure_ascii=False, indent=2, default=str) + "\n"


def status_data(view: StatusView) -> dict[str, Any]:
    """One view as JSON data; numbers that JSON has not are null."""
    derived = {
        "headline": status_headline(view),
        "next": next_steps(view),
        "commands": available_commands(view),
    }
    return {**_to_json_data(view), **_to_json_data(derived)}


def _to_json_data(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.name not in _OMITTED_FIELDS]
        return {name: _to_json_data(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): _to_json_data(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json_data(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
