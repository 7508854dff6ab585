"""Rules on variables: declared and not used, used and not declared, the same in every case."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from promptops.config.text import Problem
from promptops.lint.context import LintContext
from promptops.prompt import ImageInput, Insert, Prompt, Text, text_parts
from promptops.prompt.json_schema import unknown_name_message
from promptops.prompt.python_words import find_single_braces, jinja_hint
from promptops.prompt.render import template_variables, undelimited_uses
from promptops.prompt.template_types import TemplateFault
from promptops.prompt.templates import find_includes, free_names


def unused_input(subject: LintContext) -> Iterator[Problem]:
    prompt = subject.prompt
    if not prompt.inputs:
        return
    used = template_variables(prompt) | _inputs_in_messages(prompt) | _inputs_in_checks(prompt)
    for name in prompt.inputs:
        if name not in used:
            yield subject.at(("inputs", name), f"the input `{name}` is declared and never used")


def _inputs_in_messages(prompt: Prompt) -> set[str]:
    placed = {message.name for message in prompt.messages if isinstance(message, Insert)}
    for message in prompt.messages:
        if not isinstance(message, Insert):
            placed |= {part.name for part in message.content if isinstance(part, ImageInput)}
    return placed


def _inputs_in_checks(prompt: Prompt) -> set[str]:
    """Inputs that the arguments of checks name."""
    names: set[str] = set()
    checks = [*prompt.checks, *(guard.check for guard in prompt.guards)]
    for text in _strings([check.argument for check in checks]):
        if "{{" in text:
            try:
                names |= free_names(text)[0]
            except TemplateFault:
                continue
    return names


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def undeclared_variable(subject: LintContext) -> Iterator[Problem]:
    prompt = subject.prompt
    for name in sorted(template_variables(prompt) - prompt.inputs.keys()):
        message, hint = unknown_name_message("input", name, sorted(prompt.inputs))
        file, line = _first_use(prompt, name)
        if "did you mean" not in message:
            hint = jinja_hint(name) or f"declare it: inputs: {{{name}: string}}"
        yield subject.at_line(file, line, f"the template names an {message}", hint)


def single_braces(subject: LintContext) -> Iterator[Problem]:
    prompt = subject.prompt
    for text in text_parts(prompt):
        for name, line in find_single_braces(text.template, prompt.inputs):
            place = prompt.document.line_of(text.path, line)
            message = f"`{{{name}}}` is sent as it is, without the input's value"
            yield subject.at_line("", place, message, f"two braces take an input: `{{{{ {name} }}}}`")


def _first_use(prompt: Prompt, name: str) -> tuple[str, int]:
    word = re.compile(rf"(?<![\w.]){re.escape(name)}\b")
    for text in text_parts(prompt):
        if name in free_names(text.template)[0]:
            return "", prompt.document.line_of(text.path, _line(text.template, word))
    for path, partial in prompt.partials.items():
        if name in free_names(partial)[0]:
            return path, _line(partial, word)
    return "", 1


def _line(template: str, word: re.Pattern[str]) -> int:
    for found in word.finditer(template):
        before = template[: found.start()]
        if max(before.rfind("{{"), before.rfind("{%")) > max(before.rfind("}}"), before.rfind("%}")):
            return before.count("\n") + 1
    return 1


def undelimited_untrusted(subject: LintContext) -> Iterator[Problem]:
    yield from undelimited_uses(subject.prompt)


def untrusted_in_system(subject: LintContext) -> Iterator[Problem]:
    prompt = subject.prompt
    for message in prompt.messages:
        if isinstance(message, Insert) or message.role not in ("system", "developer"):
            continue
        for text in (part for part in message.content if isinstance(part, Text)):
            used = _names_with_partials(text.template, prompt) & prompt.untrusted_inputs
            for name in sorted(used):
                hint = "put it into a message of the user: models obey the system's"
                yield subject.at(
                    text.path, f"the untrusted input `{name}` is in a {message.role} message", hint
                )


def _names_with_partials(template: str, prompt: Prompt) -> set[str]:
    """What a template takes from outside, with the partials that it includes."""
    names: set[str] = set()
    waiting, seen = [template], {template}
    while waiting:
        text = waiting.pop()
        names |= free_names(text)[0]
        partials = {prompt.partials.get(include.name, "") for include in find_includes(text)} - seen
        seen |= partials
        waiting += partials
    return names


def never_varied(subject: LintContext) -> Iterator[Problem]:
    prompt = subject.prompt
    accepted = subject.golden.accepted if prompt.cases else ()
    for name, declared in prompt.inputs.items():
        if "const" in declared.schema or len(declared.schema.get("enum", "ab")) == 1:
            yield subject.at(("inputs", name), f"the input `{name}` allows one value only")
        elif len(accepted) > 1 and _all_equal(inputs[name] for inputs in accepted):
            message = f"the input `{name}` is the same in all {len(accepted)} cases"
            yield subject.at(("inputs", name), message, "add a case with another value")


def _all_equal(values: Iterable[Any]) -> bool:
    seen = iter(values)
    first = json.dumps(next(seen), sort_keys=True)
    return all(json.dumps(value, sort_keys=True) == first for value in seen)
