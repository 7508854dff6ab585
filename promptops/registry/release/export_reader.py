"""Reading the files that ``release_export`` writes. Every line is looked at before any of them counts."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from promptops.errors import Invalid
from promptops.registry.records import Kind, State
from promptops.registry.release.export_format import COLUMNS, FORMAT, OUTCOME, REQUIRED
from promptops.registry.ulid import LENGTH, as_prefix

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_TIMES = ("started_at", "finished_at")
_AGAIN = "export it again: promptops runs export --for-release --out FILE"
_ALL_BP = 10_000
_ONE_OF = {
    "kind": get_args(Kind),
    "state": get_args(State),
    "arm": ("stable", "canary", "control", "candidate"),
}
_SOURCES = ("check", "judge", "person")


@dataclass(frozen=True, slots=True)
class Header:
    registry_id: str
    unit_key_id: str
    since_seq: int
    through_seq: int
    gaps: tuple[Mapping[str, Any], ...]
    exported_at: str


@dataclass(frozen=True, slots=True)
class ReleaseRun:
    values: tuple[Any, ...]  # of COLUMNS
    outcomes: tuple[tuple[Any, ...], ...]  # of OUTCOME


def read_header(name: str, line: bytes) -> Header:
    data = _object(f"{name}:1", line) if line.strip() else {}
    if data.get("format") != FORMAT:
        found = f"its format is {data['format']}" if "format" in data else "its first line is no header"
        raise Invalid(f"{name} is no export for releases: {found}", hint=_AGAIN)
    try:
        header = Header(
            str(data["registry_id"]),
            str(data["unit_key_id"]),
            data["since_seq"],
            data["through_seq"],
            tuple(_gap(gap) for gap in data["gaps"]),
            str(data["exported_at"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(f"{name}:1: the header is damaged: {error}", hint=_AGAIN) from None
    numbers = (header.since_seq, header.through_seq)
    if not all(type(each) is int for each in numbers) or not 0 <= numbers[0] <= numbers[1]:
        raise Invalid(f"{name}:1: its stretch is {numbers[0]} to {numbers[1]}", hint=_AGAIN)
    return header


def _gap(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: str(data[name]) for name in ("writer_id", "at")},
        **{name: int(data[name]) for name in ("after", "before")},
    }


def read_runs(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, ReleaseRun]]:
    """The runs behind the header, with their lines. Raises Invalid at a bad line or a missing end."""
    count, ended = 0, False
    for number, line in enumerate(lines, 2):
        if ended and line.strip():
            raise Invalid(f"{name}:{number}: something stands behind the end", hint=_AGAIN)
        data = _object(f"{name}:{number}", line)
        if "end" in data:
            ended = data["end"] == count
            if not ended:
                raise Invalid(f"{name} says it holds {data['end']} runs, and has {count}", hint=_AGAIN)
            continue
        count += 1
        yield number, _run(f"{name}:{number}", data)
    if not ended:
        raise Invalid(f"{name} has been cut off after {count:,} runs", hint=f"copy it again, or {_AGAIN}")


def _object(where: str, line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{where}: not JSON: {error}", hint=_AGAIN) from None
    if not isinstance(data, dict):
        raise Invalid(f"{where}: not an object", hint=_AGAIN)
    return data


def _run(where: str, data: dict[str, Any]) -> ReleaseRun:
    outcomes = data.pop("outcomes", [])
    if unknown := data.keys() - COLUMNS:
        raise _bad(where, min(unknown), "is no column that is known here")
    for name in REQUIRED:
        if name not in data:
            raise _bad(where, name, "is missing")
    for name, value in data.items():
        if problem := _problem(name, value):
            raise _bad(where, name, problem)
    if not isinstance(outcomes, list) or not all(map(_is_outcome, outcomes)):
        raise _bad(where, "outcomes", f"is no list of {', '.join(OUTCOME)}")
    return ReleaseRun(tuple(map(data.get, COLUMNS)), tuple(map(tuple, outcomes)))


def _bad(where: str, name: str, problem: str) -> Invalid:
    return Invalid(f"{where}: `{name}` {problem}", hint=_AGAIN)


def _problem(name: str, value: Any) -> str:  # noqa: PLR0911 - a table
    if not _fits(value, COLUMNS[name]):
        return f"is {value!r}"
    match name:
        case "run_id" if len(value) != LENGTH or as_prefix(value) != value:
            return f"is no run id: {value}"
        case "digest" if not re.fullmatch(r"[0-9a-f]{64}", value):
            return f"is no digest: {value}"
        case "weight_bp" if not 0 <= value <= _ALL_BP:
            return f"is {value}"
        case "kind" | "state" | "arm" if value not in _ONE_OF[name]:
            return f"is {value}, not one of {', '.join(_ONE_OF[name])}"
        case "started_at" | "finished_at" if not _TIME.fullmatch(value):
            return f"is no time: {value}"
    return ""


def _fits(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _is_outcome(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != len(OUTCOME):
        return False
    source, name, passed, value, occurred_at, recorded_at = row
    return (
        source in _SOURCES
        and isinstance(name, str)
        and passed in (None, 0, 1)
        and (value is None or _fits(value, float))
        and all(isinstance(each, str) and _TIME.fullmatch(each) for each in (occurred_at, recorded_at))
    )
