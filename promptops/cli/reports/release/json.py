"""The status as JSON: one object for each channel, with the names of the view and what follows from it."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any

from promptops.cli.reports.release.view import commands, following, headline
from promptops.release.status_view import StatusView

_LEFT_OUT = {"content", "metrics_given"}  # of a plan: its fields say the same


def json(views: Sequence[StatusView]) -> str:
    return dumps([status_data(view) for view in views], ensure_ascii=False, indent=2, default=str) + "\n"


def status_data(view: StatusView) -> dict[str, Any]:
    """One view as JSON data; numbers that JSON has not are null."""
    derived = {"headline": headline(view), "next": following(view), "commands": commands(view)}
    return {**_data(view), **_data(derived)}


def _data(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.name not in _LEFT_OUT]
        return {name: _data(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): _data(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_data(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
