"""Rules on guards: that never act, block without a word, cost more than they need, or hold streams back."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from promptops.config.text import Problem
from promptops.config.yaml import YamlPath
from promptops.errors import Invalid, NotFound
from promptops.lint.context import LintContext
from promptops.prompt import Guard, Insert, Message, Prompt, Text
from promptops.prompt.chat import SYSTEM_ROLES

if TYPE_CHECKING:
    from promptops.guards import CompiledGuard

_OF_ANSWERS = ("latency", "cost", "complete", "refusal", "system_leak", "invariant", "tool_calls")
"""Checks that look at an answer or its call, so that they say nothing of an input."""
_NAME = re.compile(r"[\w./-]+", re.ASCII)  # of a prompt of the project, as it stands there
_OF_EXPECTED = ("equals", "iequals", "numeric", "similarity")
"""Checks that compare with what a case expects where they have no argument; a call expects nothing."""
_ACTS = ("block", "redact", "replace")


def _compiled(guard: Guard) -> "CompiledGuard | None":
    """Imported for prompts that have guards; None where its check is another rule's finding."""
    from promptops.checks import compile_checks
    from promptops.guards import CompiledGuard

    try:
        (check,) = compile_checks((guard.check,), "")
    except Invalid:
        return None
    return CompiledGuard(guard, check)


def _placed(prompt: Prompt) -> Iterator[tuple[YamlPath, Guard]]:
    yield from ((("guards", index), guard) for index, guard in enumerate(prompt.guards))


def bad_guard(subject: LintContext) -> Iterator[Problem]:
    """What keeps a guard from being compiled, where its check is sound."""
    for path, guard in _placed(subject.prompt):
        if _compiled(guard) is None:
            continue
        from promptops.guards import compile_guards

        try:
            compile_guards(replace(subject.prompt, guards=(guard,)))
        except Invalid as error:
            yield subject.at(path, error.message.removeprefix(f"{subject.prompt.path}: "), error.hint)
        yield from _missing_judge(subject, path, guard)


def _missing_judge(subject: LintContext, path: YamlPath, guard: Guard) -> Iterator[Problem]:
    """A guard whose judge is not there can never say, so one that blocks would block every call."""
    from promptops.checks import judge_reference

    name = judge_reference(guard.check)
    if name is None or not _NAME.fullmatch(name):
        return
    try:
        subject.look_up(f"{name}.yaml")
    except NotFound:
        shipped = guard.check.kind != "judge" and name == f"judges/{guard.check.kind}"
        hint = f"promptops new {name} --judge {guard.check.kind}" if shipped else f"write prompts/{name}.yaml"
        message = f"the guard {guard.name} asks the judge `{name}`, which is not there: it could never say"
        yield subject.at(path, message, hint)


def guard_never_fires(subject: LintContext) -> Iterator[Problem]:
    prompt = subject.prompt
    for index, (path, guard) in enumerate(_placed(prompt)):
        if reason := _why_never(prompt, guard) or _why_shadowed(prompt.guards[:index], guard):
            yield subject.at(path, f"the guard {guard.name} can never act: {reason[0]}", reason[1])


def _why_never(prompt: Prompt, guard: Guard) -> tuple[str, str] | None:
    kind = guard.check.kind
    if guard.on == "input":
        if kind in _OF_ANSWERS:
            return f"`{kind}` looks at answers", "on: output"
        if not any(one.kind != "image" for one in prompt.inputs.values()):
            return (
                "the prompt has no input that it could look at",
                "declare the input, or leave the guard out",
            )
    if guard.check.argument is None and kind in _OF_EXPECTED:
        return f"`{kind}` without an argument compares with what a case expects", "give it an argument"
    if kind == "canary_word":
        return _why_no_canary(prompt, guard)
    return _why_no_leak(prompt, guard) if kind == "system_leak" else None


def _why_no_canary(prompt: Prompt, guard: Guard) -> tuple[str, str] | None:
    words = guard.check.argument
    if words is None:
        if guard.on == "input":
            return "the code of a request is not known before the request", "name a word"
        if not prompt.untrusted_inputs:
            return "no input is untrusted, so the request has no code", "name a word that is in the prompt"
        return None
    if prompt.inputs or guard.on == "input":
        return None  # an input may hold it
    from promptops.checks.folding import fold

    said = fold("\n".join(_texts(prompt, roles=None)))
    listed = [words] if isinstance(words, str) else words
    if any("{{" in word or fold(word) in said for word in listed):
        return None
    return "the word is in no message of the prompt", "put it into the system message"


def _why_no_leak(prompt: Prompt, guard: Guard) -> tuple[str, str] | None:
    if prompt.untrusted_inputs or any(isinstance(each, Insert) for each in prompt.messages):
        return None  # the line on tags, or what the caller's messages say
    from promptops.checks.leaks import LEAK_WORDS, system_words

    said = "\n".join(_texts(prompt, roles=SYSTEM_ROLES))
    least = LEAK_WORDS if guard.check.argument is None else guard.check.argument
    if not said:
        return "the prompt has no system message", "leave it out"
    if not re.search(r"\{[{%]", said) and isinstance(least, int) and system_words(said) < least:
        return f"the system message has fewer than {least} words", f"system_leak: {max(4, least // 2)}"
    return None


def _texts(prompt: Prompt, roles: Sequence[str] | None) -> Iterator[str]:
    for message in prompt.messages:
        if isinstance(message, Message) and (roles is None or message.role in roles):
            yield from (part.template for part in message.content if isinstance(part, Text))


def _why_shadowed(before: Sequence[Guard], guard: Guard) -> tuple[str, str] | None:
    for other in before:
        same = (other.on, _asked(other)) == (guard.on, _asked(guard))
        seen = not other.inputs or (bool(guard.inputs) and {*guard.inputs} <= {*other.inputs})
        if same and seen and other.do in _ACTS:
            return f"{other.name} has acted on the same before", f"leave {guard.name} or {other.name} out"
    return None


def _asked(guard: Guard) -> tuple[object, ...]:
    check = guard.check
    return check.kind, check.argument, check.negate, check.threshold


def guard_without_message(subject: LintContext) -> Iterator[Problem]:
    for path, guard in _placed(subject.prompt):
        blocks = guard.do == "block" or (guard.do == "retry" and guard.then == "block")
        if blocks and not guard.message:
            message = f"where the guard {guard.name} blocks, the caller is told nothing of use"
            yield subject.at(path, message, "message: We cannot answer this. Please …")


def costly_guard_first(subject: LintContext) -> Iterator[Problem]:
    placed = sorted(_placed(subject.prompt), key=lambda each: each[1].on)
    for _, side in groupby(placed, key=lambda each: each[1].on):
        guards = list(side)
        for index, (path, guard) in enumerate(guards):
            cheap = [other.name for _, other in guards[index + 1 :] if not _asks_model(other)]
            if cheap and _asks_model(guard):
                message = (
                    f"the guard {guard.name} asks a model, and is written before {cheap[0]}, which asks none"
                )
                yield subject.at(
                    path, message, "write it last: it is asked only about what the others let pass"
                )


def _asks_model(guard: Guard) -> bool:
    compiled = _compiled(guard)
    return compiled is not None and compiled.needs_model


def guard_holds_stream(subject: LintContext) -> Iterator[Problem]:
    for path, guard in _placed(subject.prompt):
        compiled = _compiled(guard) if guard.on == "output" else None
        if compiled and compiled.needs_whole_answer:
            message = f"nothing of a stream is sent before the guard {guard.name} has seen the whole answer"
            yield subject.at(
                path, message, "nothing to do, unless callers stream: then flag, or redact a pattern"
            )
