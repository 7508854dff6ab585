"""Problems of reading a prompt file, under the ids of rules and with more to say where more is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptops.document import Document, parse_yaml
from promptops.errors import Invalid
from promptops.lint.checks import promptfoo_entry
from promptops.prompt import Prompt
from promptops.text import Problem

RULE_OF: Mapping[str, str] = {
    "budget": "over-budget",
    "check": "bad-check",
    "conflict": "merge-conflict",
    "encoding": "encoding",
    "file": "bad-file",
    "include": "bad-include",
    "input": "bad-input",
    "json": "json-syntax",
    "missing-key": "missing-key",
    "schema": "bad-schema",
    "size": "file-size",
    "tab": "yaml-syntax",
    "template": "template-syntax",
    "unknown-key": "unknown-key",
    "value": "bad-value",
    "yaml": "yaml-syntax",
}


def refine(problems: Sequence[Problem], prompt: Prompt | None, text: bytes | None) -> Iterator[Problem]:
    document = prompt.document if prompt else _document(problems, text)
    for problem in problems:
        named = replace(problem, rule=RULE_OF.get(problem.rule, "bad-value"))
        yield _refined(named, document) if document and problem.path == document.path else named


def _document(problems: Sequence[Problem], text: bytes | None) -> Document | None:
    if text is None:
        return None
    try:
        return parse_yaml(text, problems[0].path)
    except Invalid:
        return None


def _refined(problem: Problem, document: Document) -> Problem:
    data = document.data
    if problem.rule == "unknown-key" and "version" in data:
        if problem.position == document.position(("version",)):
            message = "a prompt has no `version:`: its versions are the commits that change it"
            hint = "remove the line; promptops history lists the versions"
            return replace(problem, rule="version-key", message=message, hint=hint)
    elif problem.rule == "bad-check":
        return _refined_check(problem, document, data.get("checks", ()))
    return problem


def _refined_check(problem: Problem, document: Document, checks: Sequence[Any]) -> Problem:
    for index, item in enumerate(checks):
        place = ("checks", index, "name")
        if place in document.positions and problem.position == document.positions[place]:
            return replace(problem, rule="duplicate-check-name")
        if problem.position == document.position(("checks", index)) and (found := promptfoo_entry(item)):
            return replace(problem, rule="promptfoo-check", message=found[0], hint=found[1])
    return problem
