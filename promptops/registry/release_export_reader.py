"""Reading the files that ``release_export`` writes. Every line is looked at before any of them counts."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from promptops.config.clock import utc_seconds
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.registry.line_problems import LineProblems
from promptops.registry.records import RunKind, RunState
from promptops.registry.release_export_format import (
    EXPORT_FORMAT,
    EXPORT_OUTCOME_COLUMNS,
    EXPORT_REQUIRED_COLUMNS,
    EXPORT_RUN_COLUMNS,
)
from promptops.registry.ulid import ULID_LENGTH, normalize_id_prefix

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_MAX_FLOAT = sys.float_info.max
_INTEGERS = 1 << 63  # as many as the registry holds to either side of 0
_EXPORT_AGAIN_HINT = "export it again: promptops runs export --for-release --out FILE"
_ALL_BP = 10_000
_ALLOWED_VALUES = {
    "kind": get_args(RunKind),
    "state": get_args(RunState),
    "arm": ("stable", "canary", "control", "candidate"),
}
_SOURCES = ("check", "judge", "person")


@dataclass(frozen=True, slots=True)
class ExportHeader:
    registry_id: str
    unit_key_id: str
    since_seq: int
    through_seq: int
    gaps: tuple[Mapping[str, Any], ...]
    exported_at: str


@dataclass(frozen=True, slots=True)
class ExportedRun:
    values: tuple[Any, ...]  # of COLUMNS
    outcomes: tuple[tuple[Any, ...], ...]  # of OUTCOME


def read_export_header(name: str, line: bytes) -> ExportHeader:
    data = _object(f"{name}:1", line) if line.strip() else {}
    if data.get("format") != EXPORT_FORMAT:
        found = f"its format is {data['format']}" if "format" in data else "its first line is not a header"
        raise Invalid(f"{name} is not an export for releases: {found}", hint=_EXPORT_AGAIN_HINT)
    try:
        header = ExportHeader(
            str(data["registry_id"]),
            str(data["unit_key_id"]),
            data["since_seq"],
            data["through_seq"],
            tuple(_gap(gap) for gap in data["gaps"]),
            str(data["exported_at"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"{name}:1: the header is damaged: {error}", hint=_EXPORT_AGAIN_HINT) from None
    numbers = (header.since_seq, header.through_seq)
    if not all(type(each) is int for each in numbers) or not 0 <= numbers[0] <= numbers[1] < _INTEGERS:
        raise Invalid(f"{name}:1: its stretch is {numbers[0]} to {numbers[1]}", hint=_EXPORT_AGAIN_HINT)
    return header


def _gap(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: str(data[name]) for name in ("writer_id", "at")},
        **{name: max(-_INTEGERS, min(_INTEGERS - 1, int(data[name]))) for name in ("after", "before")},
    }


def read_exported_runs(name: str, lines: Iterable[bytes]) -> Iterator[tuple[int, ExportedRun]]:
    """The runs behind the header, with their lines. Raises Invalid at a bad line or a missing end."""
    count, ended = 0, False
    problems, number = LineProblems(name), 1
    for number, line in enumerate(lines, 2):
        if ended and line.strip():
            raise Invalid(f"{name}:{number}: something stands behind the end", hint=_EXPORT_AGAIN_HINT)
        data = _object(f"{name}:{number}", line)
        if "end" in data:
            ended = data["end"] == count
            if not ended:
                raise Invalid(
                    f"{name} says it holds {data['end']} runs, and has {count}", hint=_EXPORT_AGAIN_HINT
                )
            continue
        count += 1
        try:
            run = _run(data)
        except Invalid as error:
            problems.add(number, error)
        else:
            yield number, run
    problems.refuse(number)
    if not ended:
        raise Invalid(
            f"{name} has been cut off after {count:,} runs", hint=f"copy it again, or {_EXPORT_AGAIN_HINT}"
        )


def _object(where: str, line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{where}: not JSON: {error}", hint=_EXPORT_AGAIN_HINT) from None
    if not isinstance(data, dict):
        raise Invalid(f"{where}: not an object", hint=_EXPORT_AGAIN_HINT)
    return data


def _run(data: dict[str, Any]) -> ExportedRun:
    outcomes = data.pop("outcomes", [])
    if unknown := data.keys() - EXPORT_RUN_COLUMNS:
        raise _invalid_field(min(unknown), "is not a column that is known here")
    for name in EXPORT_REQUIRED_COLUMNS:
        if name not in data:
            raise _invalid_field(name, "is missing")
    for name, value in data.items():
        if problem := _problem(name, value):
            raise _invalid_field(name, problem)
    if not isinstance(outcomes, list) or not all(map(_is_outcome, outcomes)):
        raise _invalid_field("outcomes", f"is not a list of {', '.join(EXPORT_OUTCOME_COLUMNS)}")
    return ExportedRun(tuple(map(data.get, EXPORT_RUN_COLUMNS)), tuple(map(tuple, outcomes)))


def _invalid_field(name: str, problem: str) -> Invalid:
    return Invalid(f"`{name}` {problem}", hint=_EXPORT_AGAIN_HINT)


def _problem(name: str, value: Any) -> str:  # noqa: PLR0911 - a table
    if not _has_type(value, EXPORT_RUN_COLUMNS[name]):
        return f"is {value!r}"
    match name:
        case "run_id" if len(value) != ULID_LENGTH or normalize_id_prefix(value) != value:
            return f"is not a run id: {value}"
        case "digest" if not re.fullmatch(r"[0-9a-f]{64}", value):
            return f"is not a digest: {value}"
        case "weight_bp" if not 0 <= value <= _ALL_BP:
            return f"is {value}"
        case "kind" | "state" | "arm" if value not in _ALLOWED_VALUES[name]:
            return f"is {value}, not one of {', '.join(_ALLOWED_VALUES[name])}"
        case "started_at" | "finished_at" if not _is_time(value):
            return f"is not a time: {value}"
    return ""


def _has_type(value: Any, kind: type) -> bool:
    if kind is float:
        return type(value) in (int, float) and abs(value) <= _MAX_FLOAT
    return type(value) is kind and (not isinstance(value, int) or abs(value) < _INTEGERS)


def _is_time(text: str) -> bool:
    try:
        return bool(_TIME.fullmatch(text)) and utc_seconds(text) >= 0
    except (ValueError, OverflowError):
        return False


def _is_outcome(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != len(EXPORT_OUTCOME_COLUMNS):
        return False
    source, name, passed, value, occurred_at, recorded_at = row
    return (
        source in _SOURCES
        and isinstance(name, str)
        and passed in (None, 0, 1)
        and (value is None or _has_type(value, float))
        and all(isinstance(each, str) and _is_time(each) for each in (occurred_at, recorded_at))
    )
