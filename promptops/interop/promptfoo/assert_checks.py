"""The checks that each kind of assertion becomes, and why some become none."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from promptops.interop.promptfoo.assertion import Assertion, Untranslatable
from promptops.interop.promptfoo.conditions import CheckEntry, at_json_path, holding_schema, python_pattern
from promptops.interop.promptfoo.judges import grader_models
from promptops.interop.promptfoo.reading import NEVER_RUN
from promptops.interop.promptfoo.tool_assertions import NO_TOOLS, VALID_CALLS, wanted_tools

WITHOUT_CHECK: Mapping[str, str] = {
    **dict.fromkeys(("javascript", "python", "ruby"), f"{NEVER_RUN}; write it as a check `python`"),
    "webhook": "no check asks an address",
    **dict.fromkeys(("is-sql", "contains-sql", "is-html", "contains-html"), "no check parses it"),
    **dict.fromkeys(("is-xml", "contains-xml"), "no check parses XML"),
    **dict.fromkeys(("perplexity", "perplexity-score"), "no check asks for log probabilities"),
    **dict.fromkeys(("classifier", "moderation", "pi", "guardrails"), "no check asks such a service"),
    **dict.fromkeys(
        ("select-best", "max-score"),
        "it compares answers of several prompts, as `eval A --against B` does with a pairwise judge",
    ),
}
WITH_THRESHOLD = frozenset(
    [
        "bleu",
        "cost",
        "latency",
        "levenshtein",
        "max-length",
        "rouge-l",
        "rouge-n",
        "similar",
        "similar:cosine",
        "tool-call-f1",
    ]
)


def _simple(kind: str) -> Callable[[Assertion], list[CheckEntry]]:
    return lambda one: [{kind: one.value()}]


def _texts(kind: str) -> Callable[[Assertion], list[CheckEntry]]:
    return lambda one: [{kind: one.texts()}]


def _icontains_any(one: Assertion) -> list[CheckEntry]:
    texts = [str(each) for each in one.texts()]
    if any("{{" in each for each in texts):
        raise Untranslatable("its texts are templates, which a pattern would match literally")
    return [{"regex": f"(?i)(?:{'|'.join(map(re.escape, texts))})"}]


def _icontains_all(one: Assertion) -> list[CheckEntry]:
    return [{"icontains": each} for each in one.texts()]


def _regex(one: Assertion) -> list[CheckEntry]:
    return [{"regex": python_pattern(one.text())}]


def _is_json(one: Assertion) -> list[CheckEntry]:
    schema = one.value(optional=True)
    if schema is None or schema == "":
        return ["json"]
    if isinstance(schema, str):
        from promptops.config.yaml import parse_yaml

        schema = parse_yaml(schema.encode(), "the schema").data
    if not isinstance(schema, dict):
        raise Untranslatable("its value is not a schema")
    return [at_json_path(one.path, schema) if one.path not in ("", "$", None) else {"json_schema": schema}]


def _contains_json(one: Assertion) -> list[CheckEntry]:
    if one.value(optional=True) is not None:
        raise Untranslatable("no check compares JSON inside a text with a schema")
    one.note = "something in braces or brackets has to be there; it is not parsed"
    return [{"regex": r"(?s)\{.*\}|\[.*\]"}]


def _similar(one: Assertion) -> list[CheckEntry]:
    argument = {"to": one.value(), "by": "embedding"}
    provider = one.node.get("provider")
    embedding = grader_models(provider, one.reading)[1] if provider else ""
    if model := embedding or one.context.embedding:
        argument["model"] = model
    return [{"similarity": argument, "threshold": 0.75 if (least := one.threshold()) is None else least}]


def _measured(by: str, default: float, note: str = "") -> Callable[[Assertion], list[CheckEntry]]:
    def make(one: Assertion) -> list[CheckEntry]:
        one.note = note
        least = one.threshold()
        argument = {"to": one.value(), "by": by}
        return [{"similarity": argument, "threshold": default if least is None else least}]

    return make


def _levenshtein(one: Assertion) -> list[CheckEntry]:
    """Promptfoo counts edits, the check takes their share of the longer text."""
    text, most = one.text(), one.threshold()
    if "{{" in text or not text:
        raise Untranslatable("it counts edits, and the length of a template's text is unknown")
    one.note = "edits are counted as a share of the text"
    least = max(0.0, round(1 - (5 if most is None else most) / len(text), 3))
    return [{"similarity": {"to": text, "by": "levenshtein"}, "threshold": least}]


def _limit(kind: str) -> Callable[[Assertion], list[CheckEntry]]:
    def make(one: Assertion) -> list[CheckEntry]:
        if (most := one.threshold()) is None:
            raise Untranslatable("it has no threshold")
        return [{kind: most}]

    return make


def _number(kind: str) -> Callable[[Assertion], list[CheckEntry]]:
    def make(one: Assertion) -> list[CheckEntry]:
        value = one.node.value.get("value", one.threshold())
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Untranslatable("its value is a number")
        return [{kind: int(value)}]

    return make


def _word_count(one: Assertion) -> list[CheckEntry]:
    value = one.value(optional=True)
    bounds = {"min": value, "max": value} if isinstance(value, int | float) else value
    if not isinstance(bounds, Mapping) or not bounds.keys() <= {"min", "max"} or not bounds:
        raise Untranslatable("its value is a number, or min and max")
    return [{f"{side}_words": int(bounds[side])} for side in ("min", "max") if side in bounds]


def _refusal(_: Assertion) -> list[CheckEntry]:
    return ["refusal"]


def _finish_reason(one: Assertion) -> list[CheckEntry]:
    if one.text() != "stop":
        raise Untranslatable("a check only says whether an answer was cut off")
    one.note = "`complete` passes unless the answer was cut off"
    return ["complete"]


def _valid_calls(one: Assertion) -> list[CheckEntry]:
    if not one.context.tools:
        raise Untranslatable(NO_TOOLS)
    return ["tool_calls"]


def _called_tools(one: Assertion) -> list[CheckEntry]:
    names = wanted_tools(one.value(optional=True))
    if names is None or not one.context.tools:
        raise Untranslatable("its value is a list of tools" if names is None else NO_TOOLS)
    negated = one.node.value["type"].startswith("not-")
    one.note = f"a call that does not fit its tool {'passes' if negated else 'fails'} too"
    least = one.threshold()
    return [{"tool_calls": names} | ({} if least is None else {"threshold": least})]


AT_PATH: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "contains": lambda value: holding_schema([value]),
    "icontains": lambda value: holding_schema([value], ignore_case=True),
    "contains-any": lambda value: holding_schema(value if isinstance(value, list) else [value]),
    "contains-all": lambda value: {
        "allOf": [holding_schema([each]) for each in (value if isinstance(value, list) else [value])]
    },
    "regex": lambda value: {"type": "string", "pattern": python_pattern(str(value))},
    "starts-with": lambda value: {"type": "string", "pattern": f"^{re.escape(str(value))}"},
}
MAKERS: Mapping[str, Callable[[Assertion], list[CheckEntry]]] = {
    "bleu": _measured("bleu", 0.5),
    "contains": _simple("contains"),
    "contains-all": _texts("contains_all"),
    "contains-any": _texts("contains_any"),
    "contains-json": _contains_json,
    "cost": _limit("cost"),
    "ends-with": _simple("ends_with"),
    "equals": _simple("equals"),
    "finish-reason": _finish_reason,
    "icontains": _simple("icontains"),
    "icontains-all": _icontains_all,
    "icontains-any": _icontains_any,
    "is-json": _is_json,
    "is-refusal": _refusal,
    "latency": _limit("latency"),
    "levenshtein": _levenshtein,
    "max-length": _number("max_chars"),
    "min-length": _number("min_chars"),
    "regex": _regex,
    "rouge-l": _measured("rouge_l", 0.75),
    "rouge-n": _measured("rouge_1", 0.75),
    "similar": _similar,
    "similar:cosine": _similar,
    "starts-with": _simple("starts_with"),
    "tool-call-f1": _called_tools,
    "word-count": _word_count,
    **dict.fromkeys(VALID_CALLS, _valid_calls),
}
