"""Assertions as checks; what no check says is kept apart with the reason."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.checks import CHECK_KINDS, compile_checks
from promptops.errors import Invalid
from promptops.interop.accounts import SourceNode
from promptops.interop.promptfoo.assert_checks import AT_PATH, MAKERS, WITH_THRESHOLD, WITHOUT_CHECK
from promptops.interop.promptfoo.assertion import AssertContext, Assertion, Untranslatable
from promptops.interop.promptfoo.conditions import CheckEntry, at_json_path, read_condition
from promptops.interop.promptfoo.judges import FORMS, JudgeShelf, judge_check
from promptops.interop.promptfoo.nunjucks import UntranslatableTemplate, to_jinja
from promptops.interop.promptfoo.reading import NEVER_RUN, ConfigReading, is_reference
from promptops.interop.promptfoo.tool_assertions import FIRST_CALL, called_tool, called_with
from promptops.prompt.checks import read_checks

MAX_REFERENCES = 20  # that lead to one another
_OF_THE_TEXT = "it looks into a tool call; write it as a check `tool_calls`"
_NO_CHECK = "no check of this kind"


class AssertReader:
    def __init__(self, reading: ConfigReading, shelf: JudgeShelf) -> None:
        self.reading = reading
        self.shelf = shelf

    def entries(self, node: SourceNode, context: AssertContext) -> list[CheckEntry]:
        """The checks that an assertion amounts to; none, and accounted for, where it is not importable."""
        try:
            found = self._resolved(node)
            if found.value.get("type") == "assert-set":
                return self._set(found, context)
            return self._one(found, context)
        except Untranslatable as problem:
            node.lose(str(problem))
        except UntranslatableTemplate as problem:
            node.lose(f"its value is not a Jinja2 template: {problem}")
        return []

    def _resolved(self, node: SourceNode) -> SourceNode:
        """An assertion, also where ``$ref`` names it."""
        found, seen = node, 0
        while isinstance(found.value, dict) and "$ref" in found.value:
            reference, seen = str(found.value["$ref"]), seen + 1
            if seen > MAX_REFERENCES:
                raise Untranslatable(f"`$ref: {reference}` refers to itself")
            found["$ref"].keep()
            found = self._referenced(reference)
        if not isinstance(found.value, dict) or not isinstance(found.value.get("type"), str):
            raise Untranslatable("an assertion is a mapping with a `type`")
        return found

    def _referenced(self, reference: str) -> SourceNode:
        found = self.reading.root
        if not reference.startswith("#/"):
            raise Untranslatable(f"`$ref: {reference}` is not in this file")
        for key in reference.removeprefix("#/").split("/"):
            if not isinstance(found.value, dict) or key not in found.value:
                raise Untranslatable(f"`$ref: {reference}` names nothing")
            found = found[key]
        return found

    def _set(self, node: SourceNode, context: AssertContext) -> list[CheckEntry]:
        """All of a set: where a share of it is enough here, all of it is asked for."""
        inner = node.get("assert")
        entries = [one for each in (inner.elements() if inner else ()) for one in self.entries(each, context)]
        node["type"].keep()
        if threshold := node.get("threshold"):
            threshold.change("all checks of the set have to pass, whatever share promptfoo asks for")
        for key in ("metric", "weight"):
            if given := node.get(key):
                given.change("its checks have names and weights of their own")
        return entries

    def _one(self, node: SourceNode, context: AssertContext) -> list[CheckEntry]:
        kind = str(node.value["type"])
        negated = kind.startswith("not-")
        one = Assertion(node, kind.removeprefix("not-"), context, self.reading)
        entries = [
            with_options(entry, node, negated=negated) for entry in _entries(one, self.shelf, negated=negated)
        ]
        for entry in entries:
            if fault := entry_fault(entry):
                raise Untranslatable(fault)
        if one.note:
            node.change(one.note)
        else:
            node.keep()
        _account(one)
        return entries


def with_options(entry: CheckEntry, node: SourceNode, *, negated: bool) -> CheckEntry:
    """The check with the name and weight of the assertion, and turned around where it is."""
    options: dict[str, Any] = {}
    metric, weight = node.value.get("metric"), node.value.get("weight")
    if isinstance(metric, str) and metric.strip() and "{{" not in metric:
        options["name"] = metric.strip()
    if isinstance(weight, int | float) and not isinstance(weight, bool) and weight > 0 and weight != 1:
        options["weight"] = weight
    if negated:
        return {**_opposite(entry), **options}
    if not options:
        return entry
    return {**({entry: None} if isinstance(entry, str) else entry), **options}


def _opposite(entry: CheckEntry) -> dict[str, Any]:
    if isinstance(entry, str):
        return {"not": entry}
    rest = {key: value for key, value in entry.items() if key != "not"}
    return rest if "not" in entry else {**rest, "not": True}


def entry_fault(entry: CheckEntry) -> str:
    """Why a check would not be taken, in one line; empty when it is."""
    problems: list[str] = []
    checks = read_checks([entry], lambda *problem: problems.append(problem[2]))
    try:
        compile_checks(checks, "the check")
    except Invalid as error:
        problems.append(error.message)
    return problems[0] if problems else ""


def _entries(one: Assertion, shelf: JudgeShelf, *, negated: bool) -> list[CheckEntry]:
    if one.kind in ("javascript", "python"):
        return _condition(one, negated=negated)
    if one.path is None:
        raise Untranslatable(f"it looks at what JavaScript makes of the answer: {NEVER_RUN}")
    if one.context.answers_by_tools and (one.path or one.kind in ("is-json", "equals")):
        return _on_tools(one, negated=negated)
    if one.path and one.kind in AT_PATH:
        return [at_json_path(one.path, AT_PATH[one.kind](one.value()))]
    if one.path and one.kind == "equals":
        return [{"json_path": {"path": one.path, "equals": one.value()}}]
    if one.path and one.kind not in (*FORMS, "is-json", "latency", "cost"):
        raise Untranslatable("it looks at a part of the answer that JavaScript takes out")
    if one.kind in FORMS:
        return _judge(one, shelf)
    make = MAKERS.get(one.kind)
    if make is None:
        raise Untranslatable(WITHOUT_CHECK.get(one.kind, _NO_CHECK))
    entries = make(one)
    if negated and len(entries) != 1:
        raise Untranslatable("several checks cannot be negated together")
    return entries


def _account(one: Assertion) -> None:
    """Say of every option of the assertion what became of it."""
    used = {"type", "value", "metric", "transform", *_used(one)}
    for key, value in one.node.value.items():
        if key == "weight" and (not isinstance(value, int | float) or value <= 0):
            one.node[key].change("a check counts in full, or is taken out")
        elif key not in (*used, "weight") or (key == "metric" and "{{" in str(value)):
            one.node[key].lose("no check has this option")


def _used(one: Assertion) -> Iterator[str]:
    """Further options that this kind of check has."""
    if one.kind in WITH_THRESHOLD or (one.kind in FORMS and not FORMS[one.kind].passing):
        yield "threshold"
    if one.kind in FORMS or one.kind.startswith("similar"):
        yield "provider"
    if one.kind == "llm-rubric":
        yield "rubricPrompt"


def _condition(one: Assertion, *, negated: bool) -> list[CheckEntry]:
    code = one.node.value.get("value")
    if not isinstance(code, str) or is_reference(code):
        raise Untranslatable(WITHOUT_CHECK[one.kind])
    if one.transform and one.path is None:
        raise Untranslatable(f"it looks at what JavaScript makes of the answer: {NEVER_RUN}")
    entries = _read(one, code, negated=negated)
    if entries is None or "threshold" in one.node.value or (negated and len(entries) != 1):
        raise Untranslatable(WITHOUT_CHECK[one.kind])
    if one.path not in ("", "$", None) or (one.context.answers_by_tools and "json_path" in str(entries)):
        raise Untranslatable(_OF_THE_TEXT if one.context.answers_by_tools else WITHOUT_CHECK[one.kind])
    one.note = f"read as {', '.join(map(_kind_of, entries))}; no code is run"
    if any("tool_calls" in entry for entry in entries):
        one.note += f", and {FIRST_CALL}"
    return entries


def _read(one: Assertion, code: str, *, negated: bool) -> list[CheckEntry] | None:
    if negated or not one.context.answers_by_tools:  # the opposite also holds where no tool is called
        return read_condition(code)
    if entry := called_with(code, one.context.tools):
        return [entry]
    entries = read_condition(code)
    return entries and [called_tool(entry) or entry for entry in entries]


def _on_tools(one: Assertion, *, negated: bool) -> list[CheckEntry]:
    """What looks at the calls that JavaScript takes out of an answer: the name of the first one."""
    named = one.path and one.kind == "equals" and not negated
    entry = called_tool({"json_path": {"path": one.path, "equals": one.value()}}) if named else None
    if entry is None:
        raise Untranslatable(_OF_THE_TEXT)
    one.note = FIRST_CALL
    return [entry]


def _judge(one: Assertion, shelf: JudgeShelf) -> list[CheckEntry]:
    form = FORMS[one.kind]
    value = one.value(optional=True)
    if isinstance(value, list):
        value = "\n".join(f"- {each}" for each in value)
    if value is not None and not isinstance(value, str):
        value = str(value)
    if form.value and value is None:
        raise Untranslatable("it has no value to judge by")
    model = one.grader() or one.context.model
    own = one.node.get("rubricPrompt")
    rubric = one.reading.text(own) if own and isinstance(own.value, str) else None
    rubric = to_jinja(rubric).text if rubric else one.context.rubric
    judge = shelf.name(one.kind, model, rubric if one.kind == "llm-rubric" else "")
    one.note = form.note
    entry = judge_check(one.kind, judge, value, one.threshold())
    if "factuality" in one.kind and one.context.factuality:
        entry["judge"]["pass"] = _passing(entry["judge"]["pass"], one.context.factuality)
    return [entry]


def _kind_of(entry: CheckEntry) -> str:
    return f"`{entry}`" if isinstance(entry, str) else f"`{next(key for key in entry if key in CHECK_KINDS)}`"


def _passing(choices: list[str], weights: Mapping[str, float]) -> list[str]:
    named = {"differButFactual": "immaterial"}
    scores = {named.get(key, key): value for key, value in weights.items()}
    return [choice for choice in (*choices, "disagree") if scores.get(choice, float(choice in choices)) > 0]
