"""What golden sets need beside being read: cases added, and those that say less than they seem to."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from statistics import median
from typing import Any

from promptops.config.json_text import parse_strict_json
from promptops.config.locks import file_lock
from promptops.config.safe_writes import WriteTarget
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.escapes import shorten
from promptops.prompt import Prompt, text_parts
from promptops.prompt.canonical_json import sha256_hex
from promptops.prompt.cases import Case, expected_json, iter_lines, read_cases

MIN_LEAK_CHARS = 20  # characters: a shorter input may stand within an example by chance
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class CaseIssue:
    """A case that counts for less than one: a duplicate, or known to the prompt itself."""

    rule: str  # duplicate, duplicate-id, leak
    case_id: str
    where: str
    message: str


class CaseIssueFinder:
    """Looks at one case after another; memory grows by a hash a case."""

    def __init__(self, prompt: Prompt) -> None:
        self._examples = prompt_examples(prompt)
        self._seen: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def about(self, case: Case) -> Iterator[CaseIssue]:
        key = sha256_hex(json.dumps(dict(case.inputs), sort_keys=True).encode())
        if (first := self._seen.setdefault(key, case.where)) != case.where:
            yield CaseIssue("duplicate", case.id, case.where, f"the same inputs as {first}")
        elif (first := self._ids.setdefault(case.id, case.where)) != case.where:
            yield CaseIssue("duplicate-id", case.id, case.where, f"the same id `{case.id}` as {first}")
        for name, value in case.inputs.items():
            if isinstance(value, str) and (example := self._example(value)):
                message = f"the input `{name}` stands in the prompt's own example, {example}"
                yield CaseIssue("leak", case.id, case.where, message)

    def _example(self, value: str) -> str:
        text = _normalize_text(value)
        for where, example in self._examples:
            if text and (text == example or (len(text) >= MIN_LEAK_CHARS and text in example)):
                return where
        return ""


def prompt_examples(prompt: Prompt) -> list[tuple[str, str]]:
    """The texts of a prompt that hold examples, each with its place: all that a case might be copied from."""
    document = prompt.document
    texts = [
        (f"{document.path}:{document.line_of(text.path, 1)}", _normalize_text(text.template))
        for text in text_parts(prompt)
    ]
    return texts + [(f"prompts/{path}", _normalize_text(text)) for path, text in prompt.partials.items()]


def _normalize_text(text: str) -> str:
    return _SPACE.sub(" ", text).strip().casefold()


@dataclass(slots=True)
class GoldenSetStats:
    """A golden set in figures, one case after another."""

    cases: int = 0
    with_expected: int = 0
    with_checks: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, list[int]] = field(default_factory=dict)

    def add(self, case: Case, doubts: Iterable[CaseIssue]) -> None:
        self.cases += 1
        self.with_expected += case.expected is not None
        self.with_checks += bool(case.checks)
        self.tags.update(case.tags)
        self.doubts.update(doubt.rule for doubt in doubts)
        if case.expected is not None:
            self.expected[_truncate(expected_json(case.expected))] += 1
        for name, value in case.inputs.items():
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            self.lengths.setdefault(name, []).append(len(text))

    def inputs(self) -> dict[str, dict[str, float]]:
        """Of each input: in how many cases, and the characters of the shortest, median and longest."""
        return {
            name: {"cases": len(lengths), "min": min(lengths), "median": median(lengths), "max": max(lengths)}
            for name, lengths in self.lengths.items()
        }


def _truncate(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shorten(text, 60)


def cases_path(prompt: Prompt) -> str:
    """Where a prompt's cases are, or would be, below prompts/."""
    return prompt.cases or f"{prompt.path.rpartition('.')[0]}.cases.jsonl"


def parse_expected(prompt: Prompt, text: str, what: str) -> Any:
    """What a case expects, from a text that a person wrote: JSON where the prompt's answers are."""
    if prompt.output is None:
        return text
    try:
        value = parse_strict_json(text)
        json.dumps(value, allow_nan=False)  # 1e999 is read as what no file of cases can hold
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"{what} is not JSON: {error}", hint=f"the output of {prompt.name} has a JSON Schema"
        ) from None
    return value


def append_case(file: WriteTarget, shown: str, data: Mapping[str, Any]) -> Case:
    """Add one case, so that a reader finds the file as it was or with the whole case, whatever happens.

    Raises Invalid for a case that is there already, and for a file in which nothing can be added safely.
    """
    _require_jsonl(file, shown, data)
    with file.folder(), file_lock(file.real.parent) as folder:
        before = file.read()
        case = _new_case(shown, before, data)
        _write_lines(file, folder, before, [data])
    return case


def _require_jsonl(file: WriteTarget, shown: str, data: Mapping[str, Any]) -> None:
    if file.path.suffix != ".jsonl":
        hint = f"add it by hand, or turn the file into JSONL: {json.dumps(data, ensure_ascii=False)}"
        raise Invalid(f"{shown}: cases are added to .jsonl files only", hint=hint)


def _write_lines(file: WriteTarget, folder: int, before: bytes, rows: Iterable[Mapping[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n" for row in rows)
    file.write(b"".join([before, b"" if not before or before.endswith(b"\n") else b"\n", *lines]))
    os.fsync(folder)


def _new_case(shown: str, before: bytes, data: Mapping[str, Any]) -> Case:
    (case,) = read_cases(shown, [json.dumps(data).encode()])
    for other in read_cases(shown, iter_lines(before)):
        if other.id == case.id or (other.inputs == case.inputs and other.expected == case.expected):
            raise Invalid(f"this case is there already: {other.where}", hint=f"its id is {other.id}")
    return case


@dataclass(frozen=True, slots=True)
class AddedCases:
    """``ids``: of the new ones; ``known``: how many were there already, or came twice."""

    ids: tuple[str, ...]
    known: int


def append_cases(
    file: WriteTarget,
    shown: str,
    cases: Sequence[tuple[Case, Mapping[str, Any]]],
    same: Callable[[Case], str],
    *,
    dry_run: bool = False,
) -> AddedCases:
    """Add those that are new, all or none, each with its data. ``same`` is equal for cases that ask the same.

    Raises Invalid where another case has the id of one, and as ``append_case`` does.
    """
    if cases:
        _require_jsonl(file, shown, cases[0][1])
    with file.folder(), file_lock(file.real.parent) as folder:
        before = file.read()
        there = list(read_cases(shown, iter_lines(before)))
        known, places = set(map(same, there)), {case.id: case.where for case in there}
        new: list[tuple[Case, Mapping[str, Any]]] = []
        for case, data in cases:
            key = same(case)
            if key in known:
                continue
            if other := places.get(case.id):
                raise Invalid(f"{case.where}: another case has the id `{case.id}`: {other}", hint="rename it")
            known.add(key)
            places[case.id] = case.where
            new.append((case, data))
        if new and not dry_run:
            _write_lines(file, folder, before, [data for _, data in new])
    return AddedCases(tuple(case.id for case, _ in new), len(cases) - len(new))


def filter_by_tags(cases: Iterable[Case], tags: Sequence[str] | None) -> Iterator[Case]:
    """Those with one of the tags; all without."""
    return (case for case in cases if not tags or set(tags) & set(case.tags))
