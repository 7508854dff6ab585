"""Checks as assertions of promptfoo."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.checks.types import to_text
from promptops.interop.promptfoo.judges import FORMS
from promptops.interop.promptfoo.provider_ids import provider_id
from promptops.interop.promptfoo.tool_assertions import tool_assertion
from promptops.prompt import Check, Message, Prompt, Text

Assertion = dict[str, Any]
FindJudge = Callable[[str], Prompt | None]
_TYPES: Mapping[str, str] = {
    "bleu": "bleu",
    "complete": "finish-reason",
    "contains": "contains",
    "contains_all": "contains-all",
    "contains_any": "contains-any",
    "equals": "equals",
    "icontains": "icontains",
    "json": "is-json",
    "json_schema": "is-json",
    "refusal": "is-refusal",
    "rouge_1": "rouge-n",
    "rouge_l": "rouge-l",
    "starts_with": "starts-with",
}
_SIMPLE = ("contains", "contains_all", "contains_any", "equals", "icontains", "starts_with")
_PLAIN_PATH = re.compile(r"\$((?:\.[A-Za-z_]\w*|\[\d+\])+)")
_BY_VALUE = {
    form.value: kind for kind, form in FORMS.items() if form.value and kind != "model-graded-factuality"
}


class NoAssertion(Exception):
    """A check that promptfoo has no assertion for; the message is the reason."""


def assertion_of_check(check: Check, prompt: Prompt, judge: FindJudge) -> Assertion:
    """Raises NoAssertion."""
    made = _made(check, prompt, judge)
    kind = made["type"]
    if check.negate:
        if kind == "javascript":
            made["value"] = f"!({made['value']})"
        else:
            made["type"] = f"not-{kind}"
    if check.name not in (check.kind, f"not_{check.kind}") and not re.fullmatch(
        rf"(?:not_)?{re.escape(check.kind)}_\d+", check.name
    ):
        made["metric"] = check.name
    if check.weight != 1:
        made["weight"] = check.weight
    return made


def _made(check: Check, prompt: Prompt, judge: FindJudge) -> Assertion:
    kind, argument = check.kind, check.argument
    if kind in _SIMPLE:
        if check.threshold is not None and kind == "contains_all":
            raise NoAssertion("promptfoo asks for all of the texts")
        return {"type": _TYPES[kind], "value": argument}
    if kind in _WRITERS:
        return _WRITERS[kind](check, prompt)
    if kind == "judge":
        return _judged(check, judge)
    raise NoAssertion("promptfoo has no assertion of this kind")


def _json(check: Check, prompt: Prompt) -> Assertion:
    schema = check.argument if check.kind == "json" or check.argument is not None else prompt.output_schema
    return {"type": "is-json"} | ({} if schema is None else {"value": schema})


def _limit(check: Check, _: Prompt) -> Assertion:
    return {"type": check.kind, "threshold": check.argument}


def _chars(check: Check, _: Prompt) -> Assertion:
    operator = "<=" if check.kind == "max_chars" else ">="
    return {"type": "javascript", "value": f"output.length {operator} {check.argument}"}


def _words(check: Check, _: Prompt) -> Assertion:
    return {"type": "word-count", "value": {check.kind.removesuffix("_words"): check.argument}}


def _ends(check: Check, _: Prompt) -> Assertion:
    return {"type": "javascript", "value": f"output.trim().endsWith({_literal(check.argument)})"}


def _iequals(check: Check, _: Prompt) -> Assertion:
    text = _literal(to_text(check.argument).lower())
    return {"type": "javascript", "value": f"output.trim().toLowerCase() === {text}"}


def _one_of(check: Check, _: Prompt) -> Assertion:
    if not all(isinstance(each, str) for each in check.argument):
        raise NoAssertion("promptfoo compares texts")
    listed = ", ".join(map(_literal, check.argument))
    return {"type": "javascript", "value": f"[{listed}].includes(output.trim())"}


def _regex(check: Check, _: Prompt) -> Assertion:
    pattern = str(check.argument).replace("(?P<", "(?<")
    flags = re.match(r"\(\?([ims]+)\)", pattern)
    if flags is None:
        return {"type": "regex", "value": pattern}
    plain = pattern[flags.end() :].replace("/", "\\/")
    return {"type": "javascript", "value": f"/{plain}/{flags[1]}.test(output)"}


def _json_path(check: Check, _: Prompt) -> Assertion:
    demand = check.argument if isinstance(check.argument, dict) else {}
    path = _PLAIN_PATH.fullmatch(str(demand.get("path", "")))
    if path is None or demand.keys() != {"path", "equals"} or isinstance(demand["equals"], dict | list):
        raise NoAssertion("promptfoo has no JSONPath; a function of JavaScript would have to do it")
    return {"type": "javascript", "value": f"JSON.parse(output){path[1]} === {_literal(demand['equals'])}"}


def _similar(check: Check, _: Prompt) -> Assertion:
    given = check.argument if isinstance(check.argument, dict) else {"to": check.argument}
    by = given.get("by", "levenshtein")
    kind = "similar" if by == "embedding" else _TYPES.get(by)
    if kind is None or (isinstance(given.get("to"), list) and kind != "similar"):
        raise NoAssertion(f"promptfoo does not measure {by} this way")
    made: Assertion = {"type": kind, "value": given.get("to"), "threshold": check.threshold or 0.8}
    if model := given.get("model"):
        made["provider"] = provider_id(model, embedding=True)
    return made


def _complete(_: Check, __: Prompt) -> Assertion:
    return {"type": "finish-reason", "value": "stop"}


def _refusal(_: Check, __: Prompt) -> Assertion:
    return {"type": "is-refusal"}


def _tool_calls(check: Check, _: Prompt) -> Assertion:
    made = tool_assertion(check)
    if made is None:
        raise NoAssertion("promptfoo asks only whether calls are valid, and which tools are called")
    return made


def _judged(check: Check, judge: FindJudge) -> Assertion:
    """The kind of assertion that the judge was made of; any other judge is a rubric with its instructions."""
    given = check.argument if isinstance(check.argument, Mapping) else {"prompt": check.argument}
    name = given.get("prompt")  # or what a case expects in its place
    found = judge(name) if isinstance(name, str) else None
    if found is None:
        raise NoAssertion(f"no judge {to_text(name)}")
    kind, value = _kind_of_judge(given, found)
    made: Assertion = {"type": kind} | ({} if value is None else {"value": value})
    if check.threshold is not None:
        made["threshold"] = check.threshold
    if (provider := provider_id(found.model)) != "echo":
        made["provider"] = provider
    return made


def _kind_of_judge(given: Mapping[str, Any], judge: Prompt) -> tuple[str, Any]:
    inputs = given.get("inputs", {})
    if len(inputs) == 1 and (kind := _BY_VALUE.get(next(iter(inputs)))):
        return kind, next(iter(inputs.values()))
    ending = next((kind for kind in FORMS if judge.name.endswith(f"-{kind}")), "")
    if ending and not FORMS[ending].value:
        return ending, None
    return "llm-rubric", _instructions(judge)


def _instructions(judge: Prompt) -> str:
    texts = [
        part.template
        for message in judge.messages
        if isinstance(message, Message) and message.role in ("system", "developer")
        for part in message.content
        if isinstance(part, Text)
    ]
    if not texts:
        raise NoAssertion("its judge has no instructions apart from what it judges")
    return "\n".join(texts)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS: Mapping[str, Callable[[Check, Prompt], Assertion]] = {
    "complete": _complete,
    "cost": _limit,
    "ends_with": _ends,
    "iequals": _iequals,
    "json": _json,
    "json_path": _json_path,
    "json_schema": _json,
    "latency": _limit,
    "max_chars": _chars,
    "max_words": _words,
    "min_chars": _chars,
    "min_words": _words,
    "one_of": _one_of,
    "refusal": _refusal,
    "regex": _regex,
    "similarity": _similar,
    "tool_calls": _tool_calls,
}


def uses_expected(check: Check) -> bool:
    """Whether a check compares with what the case expects."""
    bare = check.argument is None and check.kind in ("equals", "iequals", "numeric", "similarity")
    return bare or bool(re.search(r"\{\{\s*expected\b", json.dumps(check.argument, default=str)))


def with_expected(check: Check, expected: Any) -> Check:
    """The check with what a case expects in its argument."""
    from dataclasses import replace

    if check.argument is None:
        return replace(check, argument=expected)
    return replace(check, argument=_filled(check.argument, expected))


def _filled(argument: Any, expected: Any) -> Any:
    if isinstance(argument, str):
        if re.fullmatch(r"\s*\{\{\s*expected\s*\}\}\s*", argument):
            return expected
        return re.sub(r"\{\{\s*expected\s*\}\}", lambda _: to_text(expected), argument)
    if isinstance(argument, Mapping):
        return {key: _filled(value, expected) for key, value in argument.items()}
    if isinstance(argument, Sequence):
        return [_filled(value, expected) for value in argument]
    return argument
