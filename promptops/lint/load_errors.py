"""Problems of reading a prompt file, under the ids of rules and with more to say where more is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptops.config.text import Problem
from promptops.config.yaml import Document, parse_yaml
from promptops.errors import Invalid
from promptops.lint.checks import promptfoo_entry
from promptops.lint.parameters import PARAMETER_SCHEMAS
from promptops.prompt import Prompt

RULE_IDS: Mapping[str, str] = {
    "budget": "over-budget",
    "check": "bad-check",
    "guard": "bad-guard",
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
    "undelimited": "undelimited-untrusted",
    "unknown-key": "unknown-key",
    "value": "bad-value",
    "yaml": "yaml-syntax",
}


FOREIGN_KEY_HINTS: Mapping[str, str] = {
    "evaluators": "what an answer must satisfy stands in `checks`",
    "input_variables": "variables are declared in `inputs`",
    "jsonSchema": "the schema of an answer is `output: {schema: …}`",
    "modelParameters": "they are called `parameters`",
    "name": "a prompt's name is the path of its file below prompts/",
    "prompt": "what is sent stands in `messages`",
    "responseFormat": "the schema of an answer is `output: {schema: …}`",
    "template": "what is sent stands in `messages`",
    "testData": "examples stand in a file of their own, which `cases` names",
}
"""Keys of other tools' prompt files, and where the same is said here."""

_SHAPES: Mapping[str, tuple[type, str]] = {
    "inputs": (dict, "name each with its type: `inputs: {name: string}`"),
    "messages": (list, "`messages: [{role: user, content: …}]`"),
    "parameters": (dict, "`parameters: {temperature: 0}`"),
}
_ROLES = ("system", "developer", "user", "assistant")


def refine_problems(
    problems: Sequence[Problem], prompt: Prompt | None, text: bytes | None
) -> Iterator[Problem]:
    document = prompt.document if prompt else _document(problems, text)
    for problem in problems:
        named = replace(problem, rule=RULE_IDS.get(problem.rule, "bad-value"))
        yield _refine_problem(named, document) if document and problem.path == document.path else named


def _document(problems: Sequence[Problem], text: bytes | None) -> Document | None:
    if text is None:
        return None
    try:
        return parse_yaml(text, problems[0].path)
    except Invalid:
        return None


def _refine_problem(problem: Problem, document: Document) -> Problem:
    data = document.data
    if problem.rule == "unknown-key" and isinstance(data, dict):
        return _refine_key(problem, document)
    if problem.rule == "bad-value" and isinstance(data, dict):
        return _refine_shape(problem, document)
    if problem.rule == "bad-check":
        return _refine_check(problem, document, data.get("checks", ()))
    return problem


def _refine_shape(problem: Problem, document: Document) -> Problem:
    for key, (shape, hint) in _SHAPES.items():
        if key in document.data and problem.position == document.position((key,)):
            return problem if isinstance(document.data[key], shape) else replace(problem, hint=hint)
    return problem


def _refine_key(problem: Problem, document: Document) -> Problem:
    key = next((key for key in document.data if problem.position == document.position((key,))), "")
    if role := key if key in _ROLES else _role_as_key(problem, document):
        hint = f"a message is `{{role: {role}, content: …}}`, below `messages`"
        return replace(problem, message=f"unknown key `{role}`", hint=hint)
    if key in PARAMETER_SCHEMAS:
        hint = f"it stands in `parameters: {{{key}: …}}`"
        return replace(problem, message=f"unknown key `{key}`", hint=hint)
    if key == "version":
        message = "a prompt has no `version:`: its versions are the commits that change it"
        hint = "remove the line; promptops history lists the versions"
        return replace(problem, rule="version-key", message=message, hint=hint)
    if key in FOREIGN_KEY_HINTS:
        return replace(problem, message=f"unknown key `{key}`", hint=FOREIGN_KEY_HINTS[key])
    return problem


def _role_as_key(problem: Problem, document: Document) -> str:
    messages = document.data.get("messages")
    return next(
        (
            role
            for index, message in enumerate(messages if isinstance(messages, list) else ())
            for role in _ROLES
            if isinstance(message, dict) and role in message
            if problem.position == document.position(("messages", index, role))
        ),
        "",
    )


def _refine_check(problem: Problem, document: Document, checks: Sequence[Any]) -> Problem:
    for index, item in enumerate(checks):
        place = ("checks", index, "name")
        if place in document.positions and problem.position == document.positions[place]:
            return replace(problem, rule="duplicate-check-name")
        if problem.position == document.position(("checks", index)) and (found := promptfoo_entry(item)):
            return replace(problem, rule="promptfoo-check", message=found[0], hint=found[1])
    return problem
