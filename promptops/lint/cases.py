"""The golden set of a prompt, held against the prompt: what cannot be read, accepted or rendered."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from promptops.config.text import Position, Problem, whole_number
from promptops.config.yaml import InvalidAt
from promptops.config.yaml import YamlPath as Place
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.lint.branch_types import BranchCoverage
from promptops.lint.branches import UnbranchedTemplates, find_branches
from promptops.lint.declared_tools import undeclared_tools
from promptops.prompt import FileReader, Insert, Prompt, Text, text_parts
from promptops.prompt.checks import read_case_checks
from promptops.prompt.render import estimate_tokens, validate_inputs
from promptops.prompt.template_types import TemplateFault

if TYPE_CHECKING:
    from promptops.lint.branch_coverage import BranchTracer
    from promptops.prompt.cases import Case

MAX_SHOWN = 10  # findings of one rule in one golden set; the rest are counted


@dataclass(frozen=True, eq=False)
class GoldenSet:
    """Problems carry the rule they belong to. ``accepted`` are the inputs of cases that fit the prompt."""

    problems: tuple[Problem, ...] = ()
    size: int = 0
    accepted: tuple[Mapping[str, Any], ...] = ()
    coverage: BranchCoverage = field(default_factory=BranchCoverage)

    def of(self, rule: str) -> Iterator[Problem]:
        found = [problem for problem in self.problems if problem.rule == rule]
        yield from found[:MAX_SHOWN]
        if len(found) > MAX_SHOWN:
            last = found[MAX_SHOWN]
            yield Problem(rule, f"and {len(found) - MAX_SHOWN} more like this", last.path, last.position)

    @cached_property
    def size_text(self) -> str:
        return "1 case" if self.size == 1 else f"{self.size} cases"


def read_golden_set(prompt: Prompt, read: FileReader) -> GoldenSet:
    """Read and render every case. Without cases, the branches are counted all the same."""
    branches = tuple(find_branches(prompt))
    if prompt.cases is None:
        return GoldenSet(tuple(unknown_probes(prompt, ())), coverage=BranchCoverage(branches))
    try:
        traced = _trace_branches(prompt) if branches else UnbranchedTemplates(prompt)
    except TemplateFault as fault:
        problem = Problem("case-fails", fault.message, prompt.document.path, Position(1, 1), fault.hint)
        return GoldenSet((problem,))
    reading = _CaseChecker(prompt, traced)
    reading.all(prompt.cases, read)
    return GoldenSet(tuple(reading.problems), reading.size, tuple(reading.accepted), traced.coverage())


def unknown_probes(prompt: Prompt, ids: Collection[str]) -> Iterator[Problem]:
    for index, probe in enumerate(prompt.probes):
        if probe not in ids:
            message, hint = f"no case has the id `{probe}`", "probes are ids of cases of the golden set"
            yield prompt.document.problem("bad-cases", ("probes", index), message, hint)


class CaseValidator:
    """Holds one case after another against a prompt."""

    def __init__(self, prompt: Prompt) -> None:
        try:
            self._checker = _CaseChecker(prompt, UnbranchedTemplates(prompt))
        except TemplateFault as fault:
            raise Invalid(f"{prompt.path}: {fault.message}", hint=fault.hint) from None

    def problems(self, case: "Case") -> list[Problem]:
        """What of it cannot be read, accepted or rendered."""
        self._checker.one(case)
        found = [*self._checker.problems]
        self._checker.problems.clear()
        self._checker.accepted.clear()
        return found


def _trace_branches(prompt: Prompt) -> "BranchTracer":
    from promptops.lint.branch_coverage import BranchTracer

    return BranchTracer(prompt)


class _CaseChecker:
    def __init__(self, prompt: Prompt, traced: "BranchTracer | UnbranchedTemplates") -> None:
        self.prompt = prompt
        self.traced = traced
        self.problems: list[Problem] = []
        self.accepted: list[Mapping[str, Any]] = []
        self.size = 0
        self.probes: set[str] = set()  # those that are there

    def all(self, path: str, read: FileReader) -> None:
        from promptops.prompt.cases import iter_lines, read_cases

        document = self.prompt.document
        try:
            data = read(path)
        except NotFound:
            message, hint = f"no file `{path}`", f"create prompts/{path}"
            self.problems.append(document.problem("bad-cases", ("cases",), message, hint))
            return
        except Invalid as error:
            self.problems.append(document.problem("bad-cases", ("cases",), error.message, error.hint))
            return
        try:
            for case in read_cases(f"prompts/{path}", iter_lines(data), self.prompt.inputs):
                self.size += 1
                if case.id in self.prompt.probes:
                    self.probes.add(case.id)
                self.one(case)
            self.problems += unknown_probes(self.prompt, self.probes)
        except InvalidAt as error:
            self.problems.append(replace(error.problem, rule="bad-cases"))
        except Invalid as error:
            self.problems.append(_problem_from_error("bad-cases", error, f"prompts/{path}"))

    def one(self, case: "Case") -> None:
        path, position = _split_location(case.where)
        self.checks(case, path, position)
        try:
            accepted = validate_inputs(self.prompt, case.inputs)
        except Invalid as error:
            self.problems.append(Problem("case-inputs", error.message, path, position, error.hint))
            return
        self.accepted.append(accepted)
        texts = self.render(accepted, f"{path}:{position.line}")
        limit = self.prompt.max_input_tokens
        if texts is None or limit is None:
            return
        tokens = estimate_tokens(_messages(self.prompt, texts, accepted))
        if tokens > limit:
            message = f"with this case the prompt has about {tokens:,} tokens, above its limit of {limit:,}"
            self.problems.append(Problem("case-over-budget", message, path, position))

    def render(self, accepted: Mapping[str, Any], where: str) -> dict[Place, str] | None:
        values = {name: value for name, value in accepted.items() if self.prompt.inputs[name].kind != "image"}
        texts: dict[Place, str] = {}
        failed = False
        for text in text_parts(self.prompt):
            try:
                texts[text.path] = self.traced.render(text, values)
            except TemplateFault as fault:
                self.problems.append(self.failure(text, fault, where))
                failed = True
        return None if failed else texts

    def failure(self, text: Text, fault: TemplateFault, where: str) -> Problem:
        path, line = f"prompts/{fault.partial}", fault.line
        if not fault.partial:
            path, line = self.prompt.document.path, self.prompt.document.line_of(text.path, fault.line)
        message = f"{fault.message} (with the case in {where})"
        return Problem("case-fails", message, path, Position(line, 1), fault.hint)

    def checks(self, case: "Case", path: str, position: Position) -> None:
        from promptops.checks import compile_checks

        try:
            checks = read_case_checks(case.checks)
            compile_checks(checks, "")
        except Invalid as error:
            found = [error.message.removeprefix(": ")]
        else:
            undeclared = (undeclared_tools(check, self.prompt) for check in checks)
            found = [problem[0] for problem in undeclared if problem]
        self.problems += [Problem("bad-cases", message, path, position) for message in found[:1]]


def _messages(
    prompt: Prompt, texts: Mapping[Place, str], inputs: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """What is sent, as far as its length is concerned: images without their data."""
    for message in prompt.messages:
        if isinstance(message, Insert):
            yield from inputs[message.name]
        else:
            parts = [
                {"type": "text", "text": texts[part.path]}
                if isinstance(part, Text)
                else {"type": "image_url"}
                for part in message.content
            ]
            yield {"role": message.role, "content": parts, **message.extras}


def _problem_from_error(rule: str, error: Invalid, path: str) -> Problem:
    """A problem from a message that starts with its place."""
    where, _, message = error.message.partition(": ")
    if where.startswith(path) and message:
        file, position = _split_location(where)
        return Problem(rule, message, file, position, error.hint)
    return Problem(rule, error.message, path, Position(1, 1), error.hint)


def _split_location(where: str) -> tuple[str, Position]:
    """``prompts/x.jsonl:12`` or ``prompts/x.yaml:12:3``, taken apart."""
    path, *numbers = where.rsplit(":", 2)
    places = [*map(whole_number, numbers)]
    if None in places:
        path, *numbers = where.rsplit(":", 1)
        places = [*map(whole_number, numbers)]
    line, column = [*(place or 1 for place in places), 1, 1][:2]
    return path, Position(line, column)
