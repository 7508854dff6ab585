"""The ``guards`` of a prompt file: checks that act, and what each of them does."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.prompt.checks import ReportProblem, read_check, with_unique_name
from promptops.prompt.types import Check, Guard, GuardAction, OnError

INPUT_ACTIONS: tuple[GuardAction, ...] = ("block", "redact", "flag")
"""What may be done with an input: there is no answer yet to ask for again, or to put another text for."""


def guards_from_canonical(content: Sequence[Mapping[str, Any]]) -> tuple[Guard, ...]:
    names: set[str] = set()
    guards = []
    for item in content:
        check = item["check"]
        kind, negate = check["kind"], check.get("not", False)
        named = Check(
            f"not_{kind}" if negate else kind,
            kind,
            check.get("argument"),
            negate,
            threshold=check.get("threshold"),
        )
        named = with_unique_name(named, names)
        names.add(named.name)
        guards.append(_guard(named.name, item, named))
    return tuple(guards)


def read_guards(
    data: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any], report: ReportProblem
) -> tuple[Guard, ...]:
    """The guards as written, each with a name of its own; ``inputs`` are those that the prompt declares."""
    given = {item["name"] for item in data if "name" in item}
    names: set[str] = set()
    guards = []
    for index, item in enumerate(data):
        path: YamlPath = ("guards", index)
        written = item["check"]
        check = read_check({written: None} if isinstance(written, str) else written, (*path, "check"), report)
        if check is None:
            continue
        name = item.get("name") or with_unique_name(check, given | names).name
        if name in names:
            report(
                "guard", (*path, "name"), f"two guards are named `{name}`", "give one of them another name"
            )
        names.add(name)
        _report_problems(item, inputs, path, report)
        guards.append(_guard(name, item, check))
    return tuple(guards)


def _guard(name: str, item: Mapping[str, Any], check: Check) -> Guard:
    do: GuardAction = item["do"]
    safe: OnError = "allow" if do == "flag" else "block"
    return Guard(
        name=name,
        on=item["on"],
        check=check,
        do=do,
        on_error=item.get("on_error", safe),
        replacement=item.get("with"),
        message=item.get("message", ""),
        inputs=tuple(item.get("inputs", ())),
        retries=item.get("retries", 1) if do == "retry" else 0,
        then=item.get("then", "block"),
    )


def _report_problems(
    item: Mapping[str, Any], inputs: Mapping[str, Any], path: YamlPath, report: ReportProblem
) -> None:
    on, do, then = item["on"], item["do"], item.get("then")
    if on == "input" and do not in INPUT_ACTIONS:
        hint = f"of an input: {', '.join(INPUT_ACTIONS)}"
        report("guard", (*path, "do"), f"`{do}` is for outputs", hint)
    if "replace" in (do, then) and "with" not in item:
        report("guard", path, "`replace` needs the text that takes the place of the answer", "add `with: …`")
    if "with" in item and not (do in ("redact", "replace") or then == "replace"):
        report(
            "guard", (*path, "with"), f"`with` says nothing beside `do: {do}`", "it is for redact and replace"
        )
    for key in ("retries", "then"):
        if key in item and do != "retry":
            report("guard", (*path, key), f"`{key}` is for `do: retry`", "leave it out")
    if "inputs" in item and on == "output":
        report("guard", (*path, "inputs"), "`inputs` is for `on: input`", "leave it out")
    for place, name in enumerate(item.get("inputs", ())):
        if name not in inputs:
            hint = f"it declares {', '.join(inputs) or 'none'}"
            report("guard", (*path, "inputs", place), f"the prompt has no input `{name}`", hint)
