"""What the values of a plan's keys mean: durations, weights, sources. Errors name file, line and key."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NoReturn

from promptops.config.plan_schema import PLAN_SCHEMA
from promptops.config.text import InvalidAt
from promptops.config.yaml import Document, YamlPath
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.canonical_json import canonical_json
from promptops.prompt.json_schema import (
    Validator,
    document_problems,
    format_path,
    unknown_name_message,
    validator_for,
)
from promptops.registry import BINARY_OUTCOMES, normalize_outcome_value
from promptops.release.timestamps import parse_duration

RUN_COLUMNS = (
    "error",
    "latency_ms",
    "first_token_ms",
    "cost_usd",
    "cost_list_usd",
    "spent_usd",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "checks_failed",
    "truncated",
    "blocked",
)
_WORSE: Mapping[str, Literal["higher", "lower"]] = {
    "run.error": "higher",
    "run.truncated": "higher",
    "run.blocked": "higher",
    "outcome.thumbs": "lower",
    "outcome.correct": "lower",
    "outcome.accepted": "lower",
    "outcome.regenerated": "higher",
}
_LONGEST_S = 3653 * 86_400.0  # the end of what begins now is a date
_COMPARISON = re.compile(r"run\.(\w+)\s*(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
_SIMPLE = re.compile(r"(run|check|outcome|judge)\.(\S.*)")
_FORMS = "run.COLUMN, check.NAME, checks.pass, outcome.NAME, judge.PROMPT, or run.COLUMN > NUMBER"


@dataclass(frozen=True, slots=True)
class MetricSource:
    """Where a metric's value comes from. With an ``operator`` the value is whether the comparison holds."""

    place: Literal["run", "check", "checks", "outcome", "judge"]
    name: str  # a column, a check, an outcome, a judge prompt; "pass" of checks
    operator: Literal[">", ">=", "<", "<="] | None = None
    bound: float = 0.0

    @property
    def is_binary(self) -> bool | None:
        """Whether its values are yes or no, or amounts; None where that is for the plan to say."""
        if self.operator or self.place in ("check", "checks") or self in _BINARY_COLUMNS:
            return True
        if self.place == "outcome":
            return (
                True
                if self.name in (*BINARY_OUTCOMES, "thumbs")
                else False
                if self.name == "dwell_s"
                else None
            )
        return False if self.place == "run" else None

    @property
    def worse(self) -> Literal["higher", "lower"] | None:
        """Which of its values are bad, where no plan can have it otherwise."""
        if self.place in ("check", "checks"):
            return "lower"
        return _WORSE.get(f"{self.place}.{self.name}") if not self.operator else None

    @property
    def is_delayed(self) -> bool:
        """Whether it comes after the call has ended."""
        return self.place in ("outcome", "judge")


_BINARY_COLUMNS = tuple(MetricSource("run", name) for name in ("error", "truncated", "blocked"))


@dataclass(frozen=True, slots=True)
class PlanDocument:
    """A plan's content with the place that it was written at."""

    name: str
    content: Mapping[str, Any]
    document: Document

    def refuse(self, path: YamlPath, message: str, hint: str = "") -> NoReturn:
        where = format_path(path)
        problem = f"plan {self.name}: {message}" if not where else f"plan {self.name}: {where} {message}"
        raise InvalidAt(self.document.problem("plan", path, problem, hint))

    def seconds(self, value: float | str, path: YamlPath, *, positive: bool = True) -> float:
        seconds = parse_duration(value) if isinstance(value, str) else float(value)
        if seconds is None:
            self.refuse(path, f"is not a duration: `{value}`", "write seconds, or 90s, 30m, 1h, 14d")
        if not seconds <= _LONGEST_S:
            self.refuse(path, "is longer than ten years")
        if positive and seconds <= 0:
            self.refuse(path, "must be longer than nothing")
        return seconds

    def basis_points(self, percent: float, path: YamlPath) -> int:
        points = round(percent * 100)
        if points < 1 or abs(points - percent * 100) > 1e-6:  # what a float may be off
            self.refuse(path, f"is {percent:g} %, and weights are whole hundredths of a percent")
        return points


def plan_document(name: str, content: Mapping[str, Any], document: Document | None) -> PlanDocument:
    """A plan as a document of its own, with the positions that it has in the file, checked by its schema."""
    below = ("plans", name)
    if document is None:
        part = Document(f"plan {name}", content, {})
    else:
        places = {path[2:]: where for path, where in document.positions.items() if path[:2] == below}
        part = Document(document.path, content, places)
    for problem in document_problems(part, PLAN_SCHEMA, _validator()):
        raise InvalidAt(problem)
    return PlanDocument(name, content, part)


@cache
def _validator() -> Validator:
    return validator_for(canonical_json(PLAN_SCHEMA).decode())


def parse_source(text: str) -> MetricSource:
    """Read a metric's ``source``. Raises Invalid with the forms that there are, or the nearest column."""
    text = text.strip()
    if text == "checks.pass":
        return MetricSource("checks", "pass")
    if found := _COMPARISON.fullmatch(text):
        _check_column(found[1])
        return MetricSource("run", found[1], found[2], float(found[3]))  # type: ignore[arg-type]  # the pattern says
    found = _SIMPLE.fullmatch(text)
    if not found:
        raise Invalid(f"`{text}` is not a source", hint=f"it is {_FORMS}")
    if found[1] == "run":
        _check_column(found[2])
    if found[1] == "outcome":
        normalize_outcome_value(found[2], 1)  # a name that is nearly a usual one is a slip
    return MetricSource(found[1], found[2])  # type: ignore[arg-type]  # the pattern says


def _check_column(name: str) -> None:
    if name not in RUN_COLUMNS:
        message, hint = unknown_name_message("column", f"run.{name}", [f"run.{each}" for each in RUN_COLUMNS])
        raise Invalid(message, hint=hint)
