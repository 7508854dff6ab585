"""Runs the rules over prompts and the files they are made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from promptops.config.text import Position, Problem
from promptops.errors import Invalid
from promptops.lint.context import Project, Subject
from promptops.lint.file_cache import Files
from promptops.lint.load_errors import refine
from promptops.lint.report import Coverage, Finding, Report
from promptops.lint.rules import RULES, Severity
from promptops.lint.suppressions import Ignores, read_ignores
from promptops.prompt import examine
from promptops.prompt.json_schema import unknown_word

_TEXTS = (".yaml", ".yml", ".json", ".j2", ".md", ".txt")
_CASES = (".jsonl", ".csv", ".cases.yaml", ".cases.yml")  # data: only secrets are looked for


@dataclass(frozen=True, slots=True)
class Examined:
    """One prompt: the file it stands in, all files that were asked for, and what is wrong."""

    name: str
    path: str
    asked: Sequence[str]
    problems: Sequence[Problem]
    coverage: Coverage | None = None


def lint(names: Iterable[str], files: Files, project: Project) -> Report:
    """Hold prompts against all rules that the settings leave on."""
    severities = choose_severities(project)
    examined = _without_schemas([_examine(name, files, project, severities) for name in names])
    found = [(problem, one.name) for one in examined for problem in one.problems]
    read = dict.fromkeys(path for one in examined for path in one.asked)
    texts = {path: text for path in read if (text := _text(path, files)) is not None}
    found += [(problem, "") for path, text in texts.items() for problem in _read_text(path, text, severities)]
    return Report(
        [one.name for one in examined],
        _findings(found, _all_ignores(texts), severities, project),
        [one.coverage for one in examined if one.coverage],
    )


def choose_severities(project: Project) -> Mapping[str, Severity]:
    """Give the rules that are on. Raises Invalid for settings of rules that there are not."""
    chosen: dict[str, Severity] = {name: rule.severity for name, rule in RULES.items()}
    for name, setting in project.settings.lint.get("rules", {}).items():
        document = project.settings.document
        where = f"{document.where(('lint', 'rules', name))}: " if document else ""
        if name not in RULES:
            message, _ = unknown_word("rule", name, sorted(RULES))
            raise Invalid(f"{where}{message}", hint="promptops lint --rules lists them")
        if RULES[name].fixed and setting != "error":
            hint = "a prompt with such a finding cannot be loaded"
            raise Invalid(f"{where}the rule `{name}` is always an error", hint=hint)
        if setting == "off":
            del chosen[name]
        else:
            chosen[name] = setting
    return chosen


def _examine(name: str, files: Files, project: Project, severities: Mapping[str, Severity]) -> Examined:
    read, asked = files.watched()
    try:
        prompt, problems = examine(name, read)
    except Invalid as error:
        path = asked[-1] if asked else f"{name}.yaml"
        rule = "bad-file" if asked else "bad-name"
        problem = Problem(rule, error.message, f"prompts/{path}", Position(1, 1), error.hint)
        return Examined(name, path, asked, [problem])
    path = prompt.path if prompt else next(path for path in asked if files.known(path) is not None)
    if problems:
        problems = list(refine(problems, prompt, files.known(path)))
    if prompt is None:
        return Examined(name, path, asked, problems)
    subject = Subject(prompt, read, project)
    problems += _judge(subject, severities, whole=not problems)
    return Examined(name, path, asked, problems, _coverage(subject))


def _judge(subject: Subject, severities: Mapping[str, Severity], *, whole: bool) -> Iterator[Problem]:
    for name in severities:
        rule = RULES[name]
        judge = rule.keys or (rule.prompt if whole else None)
        if judge:
            yield from (replace(problem, rule=name) for problem in judge(subject))


def _coverage(subject: Subject) -> Coverage | None:
    if "golden" not in vars(subject):  # no rule that is on has looked at the cases
        return None
    golden = subject.golden
    if not golden.coverage.branches:
        return None
    return Coverage(
        subject.prompt.name, golden.size, len(golden.coverage.branches), len(golden.coverage.reached)
    )


def _without_schemas(examined: list[Examined]) -> list[Examined]:
    """Drop YAML files that other prompts read: a schema is no prompt that is broken."""
    owners: dict[str, set[str]] = {}
    for one in examined:
        for path in one.asked:
            owners.setdefault(path, set()).add(one.name)
    return [one for one in examined if not (one.problems and owners.get(one.path, set()) - {one.name})]


def _text(path: str, files: Files) -> str | None:
    data = files.known(path)
    if data is None or not path.endswith((*_TEXTS, *_CASES)):
        return None
    return data.decode(errors="replace")


def _read_text(path: str, text: str, severities: Mapping[str, Severity]) -> Iterator[Problem]:
    for name in ("secret",) if path.endswith(_CASES) else severities:
        judge = RULES[name].text if name in severities else None
        if judge:
            yield from (replace(problem, rule=name) for problem in judge(f"prompts/{path}", text))


def _all_ignores(texts: Mapping[str, str]) -> Mapping[str, Ignores]:
    known = [name for name, rule in RULES.items() if not rule.fixed]
    return {
        f"prompts/{path}": read_ignores(f"prompts/{path}", text, known)
        for path, text in texts.items()
        if not path.endswith(_CASES)
    }


def _findings(
    found: list[tuple[Problem, str]],
    ignores: Mapping[str, Ignores],
    severities: Mapping[str, Severity],
    project: Project,
) -> list[Finding]:
    """In the order of files and lines; what several prompts have from one partial is said once."""
    kept: dict[tuple[str, int, int, str, str], Finding] = {}
    found = [*found, *((problem, "") for each in ignores.values() for problem in each.problems)]
    for problem, prompt in found:
        position = problem.position
        silent = ignores.get(problem.path, Ignores()).silences(problem.rule, position.line)
        if silent or problem.rule not in severities:
            continue
        finding = Finding(
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
