"""Rules on checks: kinds that exist, arguments they take, and the words another tool has for them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from promptops.config.patterns import backtracks
from promptops.config.text import Problem
from promptops.config.yaml import YamlPath
from promptops.errors import Invalid
from promptops.lint.context import LintContext
from promptops.lint.declared_tools import undeclared_tools
from promptops.prompt import Check

if TYPE_CHECKING:
    from promptops.checks.types import CheckKind

EXACT_EQUIVALENTS: Mapping[str, str] = {
    "contains-all": "contains_all",
    "contains-any": "contains_any",
    "ends-with": "ends_with",
    "is-json": "json",
    "is-refusal": "refusal",
    "is-valid-function-call": "tool_calls",
    "is-valid-openai-function-call": "tool_calls",
    "is-valid-openai-tools-call": "tool_calls",
    "starts-with": "starts_with",
}
"""promptfoo's word to the one here that means the same."""

NEAR_EQUIVALENTS: Mapping[str, str] = {
    "answer-relevance": "judge",
    "bleu": "similarity",
    "contains-json": "json",
    "context-faithfulness": "grounded",
    "factuality": "judge",
    "g-eval": "judge",
    "icontains-all": "contains_all",
    "icontains-any": "contains_any",
    "javascript": "python",
    "levenshtein": "similarity",
    "llm-rubric": "judge",
    "meteor": "similarity",
    "model-graded-closedqa": "judge",
    "model-graded-factuality": "judge",
    "rouge-n": "similarity",
    "similar": "similarity",
    "tool-call-f1": "tool_calls",
    "word-count": "max_words",
}
"""promptfoo's word to the one here that comes near."""

WITHOUT_EQUIVALENT = frozenset(
    {
        "classifier",
        "contains-html",
        "contains-sql",
        "contains-xml",
        "context-recall",
        "context-relevance",
        "cost",
        "finish-reason",
        "guardrails",
        "icontains",
        "is-html",
        "is-sql",
        "is-xml",
        "latency",
        "moderation",
        "perplexity",
        "pi",
        "ruby",
        "select-best",
        "webhook",
    }
)
"""promptfoo's words that have no other word here, and may be missing here."""


def _check_kinds() -> "Mapping[str, CheckKind]":
    """The kinds there are, imported for prompts that have checks."""
    from promptops.checks import CHECK_KINDS

    return CHECK_KINDS


def is_promptfoo(kind: str) -> bool:
    plain = kind.removeprefix("not-")
    known = (
        plain in EXACT_EQUIVALENTS
        or plain in NEAR_EQUIVALENTS
        or plain in WITHOUT_EQUIVALENT
        or kind.startswith("not-")
    )
    return known and kind not in _check_kinds()


def exact_equivalent(kind: str, argument: Any) -> str | None:
    """The word here that says exactly the same; None where there is none."""
    name = "json_schema" if kind == "is-json" and isinstance(argument, dict) else EXACT_EQUIVALENTS.get(kind)
    return name if name in _check_kinds() else None


def checks_with_paths(subject: LintContext) -> Iterator[tuple[YamlPath, Check]]:
    """The checks, those of guards among them, each with its place."""
    yield from ((("checks", index), check) for index, check in enumerate(subject.prompt.checks))
    yield from (
        (("guards", index, "check"), guard.check) for index, guard in enumerate(subject.prompt.guards)
    )


def promptfoo_check(subject: LintContext) -> Iterator[Problem]:
    for path, check in checks_with_paths(subject):
        entry = promptfoo_entry({check.kind: check.argument})
        if entry is not None:
            yield subject.at(path, *entry)
        elif is_promptfoo(check.kind):
            yield subject.at(path, *explain_promptfoo(check.kind, check.argument))


def explain_promptfoo(kind: str, argument: Any) -> tuple[str, str]:
    plain = kind.removeprefix("not-")
    negation = " with `not: true` beside it" if plain != kind else ""
    exact = exact_equivalent(plain, argument) or (plain if plain in _check_kinds() else None)
    if exact:
        message = f"`{kind}` is promptfoo's word for the check `{exact}`{negation}"
        return message, f"write `- {exact}`" if argument is None else f"write `- {exact}: …`"
    near = NEAR_EQUIVALENTS.get(plain, plain)
    if near in _check_kinds():
        return f"`{kind}` is promptfoo's; the check `{near}`{negation} comes near", str(
            _check_kinds()[near].summary
        )
    return (
        f"`{kind}` is promptfoo's, and there is no such check here",
        f"checks are {', '.join(_check_kinds())}",
    )


def promptfoo_entry(item: Any) -> tuple[str, str] | None:
    """Message and hint for an entry in promptfoo's form, ``{type: contains, value: refund}``."""
    if not isinstance(item, Mapping) or not isinstance(item.get("type"), str):
        return None
    kind, value = item["type"], item.get("value")
    plain = kind.removeprefix("not-")
    name = exact_equivalent(plain, value) or (plain if plain in _check_kinds() else None)
    if name is None:
        return explain_promptfoo(kind, value)
    entry = name if value is None else f"{name}: …"
    return f"`type: {kind}` is how promptfoo writes the check `{name}`", (
        f"write `- not: {{{entry}}}`" if plain != kind else f"write `- {entry}`"
    )


def bad_check(subject: LintContext) -> Iterator[Problem]:
    for path, check in checks_with_paths(subject):
        if is_promptfoo(check.kind) or promptfoo_entry({check.kind: check.argument}):
            continue
        from promptops.checks import compile_checks

        try:
            compile_checks((check,), "")
        except Invalid as error:
            yield subject.at(path, error.message.removeprefix(": "), error.hint)
            continue
        if found := undeclared_tools(check, subject.prompt):
            yield subject.at(path, *found)


def slow_pattern(subject: LintContext) -> Iterator[Problem]:
    for path, check in checks_with_paths(subject):
        written = check.kind == "regex" and isinstance(check.argument, str) and "{{" not in check.argument
        if written and backtracks(check.argument):
            message = "this pattern goes back and forth over some texts until its time limit"
            hint = "repeat nothing that repeats: a+ for (a+)+, [\\w ]+ for (\\w+ ?)+"
            yield subject.at((*path, "regex"), message, hint)


def schemaless_check(subject: LintContext) -> Iterator[Problem]:
    for path, check in checks_with_paths(subject):
        if check.kind == "json_schema" and check.argument is None and subject.prompt.output_schema is None:
            message = "the check json_schema has no schema, and the prompt has no output schema"
            yield subject.at(path, message, "give the prompt `output: {schema: …}`, or the check a schema")
