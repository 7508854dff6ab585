"""The table of rules. Ids are stable: they stand in settings, in comments and in reports."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from promptops.config.text import Problem
from promptops.dataclass import dataclass
from promptops.lint import (
    checks,
    guards,
    inputs,
    models,
    parameters,
    printed_values,
    review,
)
from promptops.lint import (
    encoding as texts,
)
from promptops.lint import (
    golden_set as golden,
)
from promptops.lint import (
    schema_keywords as keywords,
)
from promptops.lint import (
    strict_schema as strict,
)
from promptops.lint import (
    token_limits as limits,
)
from promptops.lint.context import LintContext
from promptops.lint.secrets import find_secrets

Severity = Literal["error", "warning", "note"]
"""A note says what is worth knowing, and fails nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``fixed``: its findings keep a prompt from being loaded, so that it cannot be turned off or ignored.

    ``prompt`` looks at a loaded prompt; ``keys`` at one that may have problems outside its keys;
    ``text`` at a file's text. A rule without any of them is found while reading.
    """

    severity: Severity
    summary: str
    fixed: bool = False
    prompt: Callable[[LintContext], Iterable[Problem]] | None = None
    keys: Callable[[LintContext], Iterable[Problem]] | None = None
    text: Callable[[str, str], Iterable[Problem]] | None = None


def _load_rule(summary: str) -> Rule:
    return Rule("error", summary, fixed=True)


RULES: Mapping[str, Rule] = {
    # reading
    "bad-name": _load_rule("the file's name cannot be the name of a prompt"),
    "bad-file": _load_rule("a file that is named cannot be read, or may not be (outside prompts/)"),
    "file-size": _load_rule("the file is larger than what is read"),
    "encoding": _load_rule("not UTF-8, a byte order mark, a NUL or another control character"),
    "merge-conflict": _load_rule("markers of a merge conflict are left in the file"),
    "yaml-syntax": _load_rule("the file is not YAML as promptops reads it"),
    "json-syntax": _load_rule("a schema's file is not JSON"),
    "version-key": _load_rule("a `version:` typed by hand, where git knows the versions"),
    "unknown-key": _load_rule("a key that a prompt file does not have"),
    "missing-key": _load_rule("a key that a prompt file needs"),
    "bad-value": _load_rule("a value that its key cannot have"),
    "bad-input": _load_rule("an input declared in a way that cannot be used, or not declared"),
    "bad-include": _load_rule("an included partial is missing, in a cycle, or outside prompts/"),
    "template-syntax": _load_rule("a template that Jinja2 cannot read"),
    "bad-schema": _load_rule("an output, input or tool schema that is not a JSON Schema"),
    # text
    "crlf": Rule("warning", "lines end with CRLF", text=texts.crlf),
    "hidden-characters": Rule(
        "error", "bidirectional control or invisible tag characters", text=texts.hidden_characters
    ),
    "secret": Rule("error", "a key, token or password in text that is committed and sent", text=find_secrets),
    # model
    "unknown-model": Rule("warning", "the catalogue does not have the model", keys=models.unknown_model),
    "floating-model": Rule(
        "error", "an alias that moves, of a model that has dated names", keys=models.floating_model
    ),
    "model-not-pinnable": Rule(
        "warning",
        "the provider dates nothing; `models: {…: {pinned_by: …}}` settles it",
        keys=models.unpinnable_model,
    ),
    "retired-model": Rule("error", "the model is past its retirement date", keys=models.retired_model),
    "retiring-model": Rule(
        "warning", "the model retires within `retirement_days` (90)", keys=models.retiring_model
    ),
    "model-address": Rule(
        "error", "a model's name that could say where its key is sent", keys=parameters.model_address
    ),
    "missing-ability": Rule(
        "warning", "tools or images for a model not known to take them", keys=models.missing_ability
    ),
    # parameters and limits
    "parameter-value": Rule(
        "error", "a value that a parameter cannot have, or a parameter never sent", keys=parameters.bad_value
    ),
    "unknown-parameter": Rule(
        "error",
        "a parameter that is not known to set how a model answers: it is never sent",
        keys=parameters.unknown_parameter,
    ),
    "tool-address": Rule(
        "error", "a tool that calls an address, or is sent with a key", keys=parameters.tool_not_sent
    ),
    "parameter-not-taken": Rule(
        "error",
        "a parameter the model refuses, as temperature of a reasoning model",
        keys=parameters.unsupported_parameter,
    ),
    "parameter-conflict": Rule(
        "error", "parameters that contradict or need each other", keys=parameters.conflicting_parameters
    ),
    "over-output": Rule(
        "error", "`max_tokens` above what the model writes or holds", keys=limits.over_output
    ),
    "over-window": Rule(
        "error", "the prompt alone is longer than the model's window", prompt=limits.over_window
    ),
    "over-budget": Rule(
        "error", "the prompt alone is longer than `max_input_tokens`", prompt=limits.over_budget
    ),
    "loose-schema": Rule(
        "warning", "the output schema is outside strict structured output", prompt=strict.loose_schema
    ),
    # variables
    "undeclared-variable": Rule(
        "error", "a template names what is not an input", prompt=inputs.undeclared_variable
    ),
    "single-braces": Rule(
        "warning",
        "an input in one pair of braces, as in an f-string: the braces are sent",
        prompt=inputs.single_braces,
    ),
    "prints-json": Rule(
        "warning",
        "a list, a mapping, true, false or null becomes a text as JSON",
        prompt=printed_values.json_in_texts,
    ),
    "undelimited-untrusted": Rule(
        "error",
        "an untrusted input used otherwise than `{{ name }}`, so that its tags would break",
        prompt=inputs.undelimited_untrusted,
    ),
    "untrusted-in-system": Rule(
        "error", "an untrusted input in a system or developer message", prompt=inputs.untrusted_in_system
    ),
    "unknown-keyword": Rule(
        "warning", "a word in a schema that JSON Schema does not have", prompt=keywords.unknown_keyword
    ),
    "unused-input": Rule("warning", "an input that no template names", prompt=inputs.unused_input),
    "never-varied": Rule("warning", "an input with one value in all cases", prompt=inputs.never_varied),
    # checks and cases
    "duplicate-check-name": _load_rule("two checks with the same name"),
    "bad-check": Rule(
        "error", "an unknown check, or one with an argument it cannot take", prompt=checks.bad_check
    ),
    "slow-pattern": Rule(
        "warning", "a regular expression that some text keeps busy for very long", prompt=checks.slow_pattern
    ),
    "promptfoo-check": Rule("error", "a check spelt as promptfoo spells it", prompt=checks.promptfoo_check),
    "schemaless-check": Rule(
        "error", "the check json_schema without any schema", prompt=checks.schemaless_check
    ),
    # guards
    "bad-guard": Rule(
        "error",
        "a guard that cannot act: redacts what has no place, or asks a judge that is not there",
        prompt=guards.bad_guard,
    ),
    "guard-never-fires": Rule(
        "warning",
        "a guard that can never act: it looks at nothing, or an earlier one has acted on the same",
        prompt=guards.guard_never_fires,
    ),
    "guard-without-message": Rule(
        "warning",
        "a guard that blocks and has no `message` for the caller",
        prompt=guards.guard_without_message,
    ),
    "costly-guard-first": Rule(
        "warning",
        "a guard that asks a model, written before one that asks none",
        prompt=guards.costly_guard_first,
    ),
    "guard-holds-stream": Rule(
        "note",
        "a guard on outputs that has to see a whole answer, so that a stream waits for its end",
        prompt=guards.guard_holds_stream,
    ),
    "review-without-outputs": Rule(
        "error",
        "`review: required`, and the log keeps no outputs to look at",
        prompt=review.review_without_outputs,
    ),
    "bad-cases": Rule("error", "the golden set is missing or malformed", prompt=golden.bad_cases),
    "case-inputs": Rule("error", "a case's inputs do not fit the prompt's", prompt=golden.case_inputs),
    "case-fails": Rule("error", "a template fails with the inputs of a case", prompt=golden.case_fails),
    "case-over-budget": Rule(
        "error", "a case makes the prompt longer than `max_input_tokens`", prompt=golden.case_over_budget
    ),
    "unreached-branch": Rule(
        "warning", "a branch of a template that no case reaches", prompt=golden.unreached_branch
    ),
    # comments
    "bad-ignore": Rule("error", "an ignore comment without a reason, or of an unknown rule", fixed=True),
}
