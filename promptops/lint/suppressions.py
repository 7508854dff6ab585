"""``# promptops: ignore[rule] reason``: a comment on a finding's line, or alone on the line above it."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import Any

from promptops.config.text import Position, Problem, split_lines
from promptops.config.yaml import parse_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.json_schema import unknown_name_message

_MARK = re.compile(r"(\{?)#-?\s*promptops:\s*ignore\b(?:\[([^\]\n]*)\])?([^\n]*)")
BAD_IGNORE_RULE = "bad-ignore"


@dataclass(frozen=True, slots=True)
class Suppressions:
    rules: Mapping[int, frozenset[str]] = field(default_factory=dict)  # line -> rules silenced there
    problems: tuple[Problem, ...] = ()

    def suppresses(self, rule: str, line: int) -> bool:
        return rule in self.rules.get(line, ())


def read_suppressions(path: str, text: str, known: Collection[str]) -> Suppressions:
    """Find the comments of one file; those without a reason, or of unknown rules, are problems themselves."""
    if "promptops:" not in text:
        return Suppressions()
    rules: dict[int, frozenset[str]] = {}
    problems: list[Problem] = []
    strings = list(_strings(path, text))
    for number, line in enumerate(split_lines(text), 1):
        for found in _MARK.finditer(line):
            position = Position(number, found.start() + 1)
            wrong = _comment_problem(found, known, strings)
            if wrong:
                problems.append(Problem(BAD_IGNORE_RULE, wrong[0], path, position, wrong[1]))
                continue
            covered = (number,) if line[: found.start()].strip() else (number, number + 1)
            for each in covered:
                rules[each] = rules.get(each, frozenset()) | {*_names(found)}
    return Suppressions(rules, tuple(problems))


def _names(found: re.Match[str]) -> list[str]:
    return [name.strip() for name in (found[2] or "").split(",") if name.strip()]


def _comment_problem(
    found: re.Match[str], known: Collection[str], strings: Collection[str]
) -> tuple[str, str] | None:
    example = "write: # promptops: ignore[RULE] why this is right here"
    if not found[1] and any(found[0].strip() in text for text in strings):
        hint = "in a template: {# promptops: ignore[RULE] reason #}"
        return "this comment stands in a text and would be sent", hint
    names = _names(found)
    if not names:
        return "an ignore names the rule it silences", example
    for name in names:
        if name not in known:
            message, _ = unknown_name_message("rule", name, sorted(known))
            return f"an ignore of an {message}", "promptops lint --rules lists them"
    reason = found[3].strip().removesuffix("#}").removesuffix("-").strip(" -:—")
    return None if reason else ("an ignore gives its reason", example)


def _strings(path: str, text: str) -> Iterator[str]:
    """Texts in a YAML file in which what looks like a comment is none."""
    if not path.endswith((".yaml", ".yml")):
        return
    try:
        data = parse_yaml(text.encode(errors="replace"), path).data
    except Invalid:
        return
    waiting: list[Any] = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, str) and "promptops:" in item:
            yield item
