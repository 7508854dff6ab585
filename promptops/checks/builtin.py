"""The checks that there are, in the order in which they are listed."""

from collections.abc import Mapping
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
from promptops.checks.types import CheckKind, CheckSubject, CheckVerdict
from promptops.config.project_function import function_path_problem


def _unbound(_subject: CheckSubject, _argument: Any) -> CheckVerdict:
    raise NotImplementedError("a python check is bound to its function when it is compiled")


CHECK_KINDS: Mapping[str, CheckKind] = {
    "equals": CheckKind(
        text.equals, {}, "the output, without outer white space, is this", optional=True, typed=True
    ),
    "iequals": CheckKind(
        text.iequals, {}, "the same, whatever the case of the letters", optional=True, typed=True
    ),
    "contains": CheckKind(
        text.contains, {}, "the output contains this text, or this value as JSON", typed=True
    ),
    "icontains": CheckKind(text.icontains, {}, "the same, whatever the case of the letters", typed=True),
    "contains_any": CheckKind(
        text.contains_any, TEXTS_SCHEMA, "the output contains at least one of these texts", typed=True
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
        text.regex, TEXT_SCHEMA, "a Python regular expression matches", problem=text.regex_problem
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
    ),
}
