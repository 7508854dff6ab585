"""How long texts of runs are kept: ``retention: {inputs: 30d, outputs: 90d}``."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

RETENTION_TEXTS = ("inputs", "outputs")
_SPAN = re.compile(r"(\d{1,5})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}

RETENTION_PROPERTIES: dict[str, Any] = {
    name: {"type": "string", "description": f"How long {name} are kept: 12h, 30d or 8w."}
    for name in RETENTION_TEXTS
}


def retention_problems(limits: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Which of ``inputs`` and ``outputs`` is no span of time, and why."""
    for name in RETENTION_TEXTS:
        if name in limits and not _SPAN.fullmatch(limits[name]):
            yield name, f"`{limits[name]}` is no span of time: write 12h, 30d or 8w"


def shortest_limit(name: str, rules: Iterable[Mapping[str, Any]]) -> str | None:
    """The shortest of what several rules say; None where none says anything."""
    return min((rule[name] for rule in rules if name in rule), key=_hours, default=None)


def _hours(span: str) -> int:
    found = _SPAN.fullmatch(span)
    assert found is not None  # noqa: S101 - looked at where it was read
    return int(found[1]) * _HOURS[found[2]]
