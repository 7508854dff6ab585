"""The golden set of a prompt, held against the prompt: what cannot be read, accepted or rendered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from promptops.cases import Case, lines_of, read_cases
from promptops.checks import compile_checks
from promptops.document import InvalidAt
from promptops.errors import Invalid, NotFound
from promptops.lint.branches import Coverage, Traced
from promptops.prompt import Prompt, Read
from promptops.prompt.checks import read_checks
from promptops.render import accept_inputs, render
from promptops.text import Position, Problem

SHOWN = 10  # findings of one rule in one golden set; the rest are counted


@dataclass(frozen=True, eq=False)
class GoldenSet:
    """Problems carry the rule they belong to. ``accepted`` are the inputs of cases that fit the prompt."""

    problems: tuple[Problem, ...] = ()
    size: int = 0
    accepted: tuple[Mapping[str, Any], ...] = ()
    coverage: Coverage = field(default_factory=Coverage)

    def of(self, rule: str) -> Iterator[Problem]:
        found = [problem for problem in self.problems if problem.rule == rule]
        yield from found[:SHOWN]
        if len(found) > SHOWN:
            last = found[SHOWN]
            yield Problem(rule, f"and {len(found) - SHOWN} more like this", last.path, last.position)

    @cached_property
    def described(self) -> str:
        return "1 case" if self.size == 1 else f"{self.size} cases"


def read_golden_set(prompt: Prompt, read: Read) -> GoldenSet:
    """Read and render every case. Without cases, the branches are counted all the same."""
    traced = Traced(prompt)
    reading = _Reading(prompt, traced)
    if prompt.cases is not None:
        reading.all(prompt.cases, read)
    return GoldenSet(tuple(reading.problems), reading.size, tuple(reading.accepted), traced.coverage())


class _Reading:
    def __init__(self, prompt: Prompt, traced: Traced) -> None:
        self.prompt = prompt
        self.traced = traced
        self.problems: list[Problem] = []
        self.accepted: list[Mapping[str, Any]] = []
        self.size = 0

    def all(self, path: str, read: Read) -> None:
        try:
            data = read(path)
        except NotFound:
            problem = self.prompt.document.problem(
                "bad-cases", ("cases",), f"no file `{path}`", f"create prompts/{path}"
            )
            self.problems.append(problem)
            return
        except Invalid as error:
            self.problems.append(
                self.prompt.document.problem("bad-cases", ("cases",), error.message, error.hint)
            )
            return
        try:
            for case in read_cases(f"prompts/{path}", lines_of(data)):
                self.size += 1
                self.one(case)
        except InvalidAt as error:
            self.problems.append(_named(error.problem, "bad-cases"))
        except Invalid as error:
            self.problems.append(_unplaced("bad-cases", error, f"prompts/{path}"))

    def one(self, case: Case) -> None:
        path, position = _place(case.where)
        self.checks(case, path, position)
        try:
            accepted = accept_inputs(self.prompt, case.inputs)
        except Invalid as error:
            self.problems.append(Problem("case-inputs", error.message, path, position, error.hint))
            return
        self.accepted.append(accepted)
        try:
            render(self.prompt, case.inputs)
        except InvalidAt as error:
            self.failed(error.problem, path, position)
        self.traced.follow(accepted)

    def failed(self, problem: Problem, path: str, position: Position) -> None:
        """A budget is the case's fault, a template that fails is the template's."""
        if problem.rule == "budget":
            self.problems.append(Problem("case-over-budget", problem.message, path, position, problem.hint))
            return
        message = f"{problem.message} (with the case in {path}:{position.line})"
        self.problems.append(Problem("case-fails", message, problem.path, problem.position, problem.hint))

    def checks(self, case: Case, path: str, position: Position) -> None:
        found: list[str] = []
        if not all(isinstance(check, (str, dict)) for check in case.checks):
            found.append("a check is a name, or a mapping of one name to its argument")
        else:
            checks = read_checks(case.checks, lambda _rule, _path, message, _hint: found.append(message))
            try:
                compile_checks(checks, "")
            except Invalid as error:
                found.append(error.message.removeprefix(": "))
        self.problems += [Problem("bad-cases", message, path, position) for message in found[:1]]


def _named(problem: Problem, rule: str) -> Problem:
    return Problem(rule, problem.message, problem.path, problem.position, problem.hint)


def _unplaced(rule: str, error: Invalid, path: str) -> Problem:
    """A problem from a message that starts with its place."""
    where, _, message = error.message.partition(": ")
    if where.startswith(path) and message:
        file, position = _place(where)
        return Problem(rule, message, file, position, error.hint)
    return Problem(rule, error.message, path, Position(1, 1), error.hint)


def _place(where: str) -> tuple[str, Position]:
    """``prompts/x.jsonl:12`` or ``prompts/x.yaml:12:3``, taken apart."""
    path, *numbers = where.rsplit(":", 2)
    if not all(number.isdigit() for number in numbers):
        path, *numbers = where.rsplit(":", 1)
    line, column = [*map(int, numbers), 1, 1][:2] if numbers and numbers[-1].isdigit() else (1, 1)
    return path, Position(line, column)
