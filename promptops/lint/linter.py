"""Runs the rules over prompts and the files they are made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from promptops.config.text import Position, Problem
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.lint.context import LintContext, LintProject
from promptops.lint.file_cache import FileCache
from promptops.lint.load_errors import refine_problems
from promptops.lint.report import LintFinding, LintReport, PromptCoverage
from promptops.lint.rules import RULES, Severity
from promptops.lint.suppressions import Suppressions, read_suppressions
from promptops.prompt import load_with_problems

_TEXT_SUFFIXES = (".yaml", ".yml", ".json", ".j2", ".md", ".txt")
_CASE_SUFFIXES = (".jsonl", ".csv", ".cases.yaml", ".cases.yml")  # data: only secrets are looked for


@dataclass(frozen=True, slots=True)
class PromptProblems:
    """One prompt: the file it stands in, all files that were asked for, and what is wrong."""

    name: str
    path: str
    asked: Sequence[str]
    problems: Sequence[Problem]
    coverage: PromptCoverage | None = None


def lint_prompts(names: Iterable[str], files: FileCache, project: LintProject) -> LintReport:
    """Hold prompts against all rules that the settings leave on."""
    severities = active_severities(project)
    examined = _drop_schema_files([_lint_prompt(name, files, project, severities) for name in names])
    found = [(problem, one.name) for one in examined for problem in one.problems]
    read = dict.fromkeys(path for one in examined for path in one.asked)
    texts = {path: text for path in read if (text := _text(path, files)) is not None}
    found += [(problem, "") for path, text in texts.items() for problem in _lint_text(path, text, severities)]
    return LintReport(
        [one.name for one in examined],
        _findings(found, _all_suppressions(texts), severities, project),
        [one.coverage for one in examined if one.coverage],
    )


def active_severities(project: LintProject) -> Mapping[str, Severity]:
    """Give the rules that are on. Raises Invalid where one that cannot be turned off is."""
    chosen: dict[str, Severity] = {name: rule.severity for name, rule in RULES.items()}
    for name, setting in project.settings.lint.get("rules", {}).items():
        document = project.settings.document
        where = f"{document.where(('lint', 'rules', name))}: " if document else ""
        if RULES[name].fixed and setting != "error":
            hint = "a prompt with such a finding cannot be loaded"
            raise Invalid(f"{where}the rule `{name}` is always an error", hint=hint)
        if setting == "off":
            del chosen[name]
        else:
            chosen[name] = setting
    return chosen


def _lint_prompt(
    name: str, files: FileCache, project: LintProject, severities: Mapping[str, Severity]
) -> PromptProblems:
    read, asked = files.recording_reader()
    try:
        prompt, problems = load_with_problems(name, read)
    except Invalid as error:
        path = asked[-1] if asked else f"{name}.yaml"
        rule = "bad-file" if asked else "bad-name"
        problem = Problem(rule, error.message, f"prompts/{path}", Position(1, 1), error.hint)
        return PromptProblems(name, path, asked, [problem])
    path = prompt.path if prompt else next(path for path in asked if files.known(path) is not None)
    if problems:
        problems = list(refine_problems(problems, prompt, files.known(path)))
    if prompt is None:
        return PromptProblems(name, path, asked, problems)
    subject = LintContext(prompt, read, project, files.read)
    problems += _apply_rules(subject, severities, whole=not problems)
    return PromptProblems(name, path, asked, problems, _coverage(subject))


def _apply_rules(
    subject: LintContext, severities: Mapping[str, Severity], *, whole: bool
) -> Iterator[Problem]:
    for name in severities:
        rule = RULES[name]
        judge = rule.keys or (rule.prompt if whole else None)
        if judge:
            yield from (replace(problem, rule=name) for problem in judge(subject))


def _coverage(subject: LintContext) -> PromptCoverage | None:
    if "golden" not in vars(subject):  # no rule that is on has looked at the cases
        return None
    golden = subject.golden
    if not golden.coverage.branches:
        return None
    return PromptCoverage(
        subject.prompt.name, golden.size, len(golden.coverage.branches), len(golden.coverage.reached)
    )


def _drop_schema_files(examined: list[PromptProblems]) -> list[PromptProblems]:
    """Drop YAML files that other prompts read: a schema is not a prompt that is broken."""
    owners: dict[str, set[str]] = {}
    for one in examined:
        for path in one.asked:
            owners.setdefault(path, set()).add(one.name)
    return [one for one in examined if not (one.problems and owners.get(one.path, set()) - {one.name})]


def _text(path: str, files: FileCache) -> str | None:
    data = files.known(path)
    if data is None or not path.endswith((*_TEXT_SUFFIXES, *_CASE_SUFFIXES)):
        return None
    return data.decode(errors="replace")


def _lint_text(path: str, text: str, severities: Mapping[str, Severity]) -> Iterator[Problem]:
    for name in ("secret",) if path.endswith(_CASE_SUFFIXES) else severities:
        judge = RULES[name].text if name in severities else None
        if judge:
            yield from (replace(problem, rule=name) for problem in judge(f"prompts/{path}", text))


def _all_suppressions(texts: Mapping[str, str]) -> Mapping[str, Suppressions]:
    known = [name for name, rule in RULES.items() if not rule.fixed]
    return {
        f"prompts/{path}": read_suppressions(f"prompts/{path}", text, known)
        for path, text in texts.items()
        if not path.endswith(_CASE_SUFFIXES)
    }


def _findings(
    found: list[tuple[Problem, str]],
    ignores: Mapping[str, Suppressions],
    severities: Mapping[str, Severity],
    project: LintProject,
) -> list[LintFinding]:
    """In the order of files and lines; what several prompts have from one partial is said once."""
    kept: dict[tuple[str, int, int, str, str], LintFinding] = {}
    found = [*found, *((problem, "") for each in ignores.values() for problem in each.problems)]
    for problem, prompt in found:
        position = problem.position
        silent = ignores.get(problem.path, Suppressions()).suppresses(problem.rule, position.line)
        if silent or problem.rule not in severities:
            continue
        finding = LintFinding(
            rule=problem.rule,
            severity=severities[problem.rule],
            message=problem.message,
            hint=problem.hint,
            path=project.settings.prompts_path + problem.path.removeprefix("prompts"),
            line=position.line,
            column=position.column,
            prompt=prompt,
        )
        key = (finding.path, finding.line, finding.column, finding.rule, finding.message)
        kept.setdefault(key, finding)
    return sorted(kept.values(), key=lambda one: (one.path, one.line, one.column))
