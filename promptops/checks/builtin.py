"""The checks that there are, in the order in which they are listed."""

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

from promptops.checks import (
    grounding,
    refusal,
    similarity,
    text,
)
from promptops.checks import (
    json as structure,
)
from promptops.checks import (
    model_graded as judged,
)
from promptops.checks import (
    numeric as measure,
)
from promptops.checks import (
    python_function as code,
)
from promptops.checks.text import COUNT_SCHEMA, TEXT_SCHEMA, TEXTS_SCHEMA
from promptops.checks.types import CheckKind, CheckSubject, CheckVerdict, GraderClient
from promptops.config.project_function import function_path_problem


def _unbound(_subject: CheckSubject, _argument: Any) -> CheckVerdict:
    raise NotImplementedError("a python check is bound to its function when it is compiled")


def late(module: str, name: str) -> Callable[..., Any]:
    """A function of a module of this package that is imported at the first call."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"promptops.checks.{module}"), name)(*arguments)

    return call


def late_argument(name: str) -> Callable[[], Mapping[str, Any]]:
    """What a check takes as its argument, for checks that most prompts do not have."""

    def schema() -> Mapping[str, Any]:
        found: Mapping[str, Any] = getattr(import_module("promptops.checks.guard_arguments"), name)
        return found

    return schema


def _asks(judge: str) -> Callable[..., Awaitable[CheckVerdict]]:
    of_argument = late("shipped_judges", judge)

    def ask(subject: CheckSubject, argument: Any, name: str, grader: GraderClient) -> Awaitable[CheckVerdict]:
        return judged.run_judge(subject, of_argument(argument), name, grader)

    return ask


CHECK_KINDS: Mapping[str, CheckKind] = {
    "equals": CheckKind(
        text.equals, {}, "the output, without outer white space, is this", optional=True, typed=True
    ),
    "iequals": CheckKind(
        text.iequals, {}, "the same, whatever the case of the letters", optional=True, typed=True
    ),
    "contains": CheckKind(
        text.contains,
        {},
        "the output contains this text, or this value as JSON",
        typed=True,
        spans=text.literal_spans,
        unfinished_from=text.literal_unfinished,
    ),
    "icontains": CheckKind(
        text.icontains,
        {},
        "the same, whatever the case of the letters",
        typed=True,
        spans=text.caseless_spans,
        unfinished_from=text.caseless_unfinished,
    ),
    "contains_any": CheckKind(
        text.contains_any,
        TEXTS_SCHEMA,
        "the output contains at least one of these texts",
        typed=True,
        spans=text.literal_spans,
        unfinished_from=text.literal_unfinished,
    ),
    "contains_all": CheckKind(
        text.contains_all,
        TEXTS_SCHEMA,
        "the output contains all of these texts, or the share that `threshold` says",
        threshold=1.0,
        typed=True,
    ),
    "starts_with": CheckKind(text.starts_with, TEXT_SCHEMA, "the output starts with this text"),
    "ends_with": CheckKind(text.ends_with, TEXT_SCHEMA, "the output ends with this text"),
    "regex": CheckKind(
        text.regex,
        TEXT_SCHEMA,
        "a Python regular expression matches",
        problem=text.regex_problem,
        spans=text.regex_spans,
        unfinished_from=text.regex_unfinished,
    ),
    "one_of": CheckKind(text.one_of, TEXTS_SCHEMA, "the output is one of these texts", typed=True),
    "json": CheckKind(structure.is_json, {"type": "null"}, "the output is JSON", optional=True),
    "json_schema": CheckKind(
        structure.matches_schema,
        {"type": "object"},
        "the output is JSON of this schema, or of the prompt's",
        optional=True,
        verbatim=True,
    ),
    "json_path": CheckKind(
        structure.json_path,
        structure.JSON_PATH_SCHEMA,
        "what a JSONPath finds is there: `$.queue`; or `{path, equals}`, `one_of` or `schema` in its place",
        problem=structure.json_path_problem,
        typed=True,
        required_modules=lambda _: ("jsonpath_rfc9535",),
    ),
    "max_chars": CheckKind(text.max_chars, COUNT_SCHEMA, "at most so many characters"),
    "min_chars": CheckKind(text.min_chars, COUNT_SCHEMA, "at least so many characters"),
    "max_words": CheckKind(text.max_words, COUNT_SCHEMA, "at most so many words"),
    "min_words": CheckKind(text.min_words, COUNT_SCHEMA, "at least so many words"),
    "language": CheckKind(
        text.language,
        {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"}},
        "the output is in this language, or one of these (ISO 639-1: `en`)",
        problem=text.language_problem,
        required_modules=lambda _: ("py3langid",),
    ),
    "refusal": CheckKind(
        refusal.refusal, {"type": "null"}, "the model declines to answer (English phrases)", optional=True
    ),
    "complete": CheckKind(
        text.complete,
        {"type": "null"},
        "the answer was not cut off at the most tokens allowed",
        optional=True,
    ),
    "tool_calls": CheckKind(
        late("tool_calls", "tool_calls"),
        late_argument("TOOL_CALLS_SCHEMA"),
        "the answer calls tools, each of them declared and its arguments of the tool's `parameters`; or just "
        "these tools: `[search, book]`, or `{names, order, arguments, schemas, never, at_least, at_most}`",
        optional=True,
        threshold=1.0,
        typed=True,
        problem=late("tool_calls", "tool_calls_problem"),
    ),
    "numeric": CheckKind(
        measure.numeric,
        measure.NUMERIC_SCHEMA,
        "the last number of the output is this: `42`, or `{value, tolerance, relative}`",
        optional=True,
    ),
    "similarity": CheckKind(
        similarity.similarity,
        similarity.SIMILARITY_SCHEMA,
        "the output comes near a text: `{to, by}`, by levenshtein, rouge_1, rouge_2, rouge_l, bleu, chrf, "
        "wer or embedding (costs a call); 0.8 unless `threshold` says otherwise",
        optional=True,
        threshold=similarity.THRESHOLD,
        graded_function=similarity.similarity_by_embedding,
        needs_model=similarity.uses_embedding,
        required_modules=similarity.required_modules,
    ),
    "grounded": CheckKind(
        grounding.grounded,
        grounding.GROUNDED_SCHEMA,
        "the output's words occur in this input: its name, or `{input, by, n}` by tokens or sentences; 0.8 "
        "of them unless `threshold` says otherwise",
        threshold=grounding.THRESHOLD,
    ),
    "pii": CheckKind(
        late("personal_data", "no_personal_data"),
        late_argument("DATA_SCHEMA"),
        "no email, phone, card, iban, ip or ssn is in the text; or none of these kinds: `[email, phone]`, "
        "or `{kinds, allow: [help@example.org, '@example.org']}`",
        optional=True,
        spans=late("personal_data", "personal_spans"),
        forbids=True,
        unfinished_from=late("personal_data", "unfinished_value"),
    ),
    "secret": CheckKind(
        late("personal_data", "no_secret"),
        late_argument("DATA_SCHEMA"),
        "there is no key or token of a provider and no private key in the text; `{allow}` as in `pii`",
        optional=True,
        spans=late("personal_data", "secret_spans"),
        forbids=True,
        unfinished_from=late("personal_data", "unfinished_value"),
    ),
    "links": CheckKind(
        late("links", "only_allowed_links"),
        late_argument("LINKS_SCHEMA"),
        "all links lead to these hosts by http or https: `[example.org, '*.example.org']`; `[]` allows none",
        spans=late("links", "link_spans"),
        forbids=True,
        unfinished_from=late("links", "unfinished_link"),
        problem=late("links", "links_problem"),
    ),
    "canary_word": CheckKind(
        late("leaks", "no_canary_word"),
        late_argument("CANARY_SCHEMA"),
        "neither this word nor one of these comes out, however spaced or encoded; without an argument the "
        "word is the code of the tags around untrusted inputs",
        optional=True,
        spans=late("leaks", "canary_spans"),
        forbids=True,
        unfinished_from=late("leaks", "unfinished_canary"),
        default=lambda subject: subject.nonce or None,
        problem=late("leaks", "canary_problem"),
    ),
    "system_leak": CheckKind(
        late("leaks", "no_system_leak"),
        late_argument("LEAK_SCHEMA"),
        "the text repeats fewer than so many words in a row of the system message; 12 unless given",
        optional=True,
        forbids=True,
    ),
    "injection": CheckKind(
        late("injection", "no_injection"),
        late_argument("INJECTION_SCHEMA"),
        "there is no phrase of known attacks on prompts in the text; `{judge: true}` also asks the judge "
        "`judges/injection`, or that of `{judge: {prompt, votes, pass}}` (costs calls)",
        optional=True,
        forbids=True,
        threshold=judged.MAJORITY,
        graded_function=late("shipped_judges", "judge_injection"),
        needs_model=late("shipped_judges", "asks_injection_judge"),
        judge=late("shipped_judges", "injection_judge"),
    ),
    "toxicity": CheckKind(
        None,
        late_argument("TOXICITY_SCHEMA"),
        "the judge `judges/toxicity` finds no insult, threat, hatred or harassment; or "
        "`{prompt, votes, pass}` (costs calls)",
        optional=True,
        threshold=judged.MAJORITY,
        graded_function=_asks("toxicity_judge"),
        judge=late("shipped_judges", "toxicity_judge"),
    ),
    "tone": CheckKind(
        None,
        late_argument("TONE_SCHEMA"),
        "the judge `judges/tone` finds this tone in the text: `friendly and calm`, or `{tone, "
        "prompt, votes, "
        "pass}` (costs calls)",
        threshold=judged.MAJORITY,
        graded_function=_asks("tone_judge"),
        judge=late("shipped_judges", "tone_judge"),
    ),
    "topic": CheckKind(
        None,
        late_argument("TOPIC_SCHEMA"),
        "the judge `judges/topic` finds that the text is about one of these topics: `[orders, "
        "refunds]`, or "
        "`{topics, prompt, votes, pass}` (costs calls)",
        threshold=judged.MAJORITY,
        graded_function=_asks("topic_judge"),
        judge=late("shipped_judges", "topic_judge"),
    ),
    "latency": CheckKind(
        measure.latency, measure.LIMIT_SCHEMA, "the answer took at most so many milliseconds"
    ),
    "cost": CheckKind(measure.cost, measure.LIMIT_SCHEMA, "the answer cost at most so many USD"),
    "python": CheckKind(
        _unbound,
        code.PYTHON_SCHEMA,
        "a function of the project says so: `package.module:function`",
        threshold=code.THRESHOLD,
        problem=function_path_problem,
        verbatim=True,
    ),
    "invariant": CheckKind(
        None,
        judged.INVARIANT_SCHEMA,
        "the answer stays the same with other values of an input: `{input, values}` (costs calls)",
        threshold=1.0,
        graded_function=judged.run_invariant,
    ),
    "judge": CheckKind(
        None,
        judged.JUDGE_SCHEMA,
        "a prompt of the repository finds the output good: its name, or `{prompt, votes, pass, inputs, "
        "against}` (costs calls)",
        threshold=judged.MAJORITY,
        graded_function=judged.run_judge,
        judge=lambda argument: argument,
    ),
}
