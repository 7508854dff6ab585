"""Cases of a file that somebody has, added to a golden set: all rows are looked at before any is written."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptops.config.safe_writes import WriteTarget
from promptops.errors import Invalid
from promptops.evaluation.golden_set import AddedCases, append_cases, parse_expected
from promptops.lint.cases import CaseValidator
from promptops.prompt import Prompt
from promptops.prompt.cases import Case, expected_json, make_case, read_case_rows
from promptops.prompt.csv_rows import is_csv
from promptops.prompt.render import validate_inputs
from promptops.registry import LineProblems

NewCase = tuple[Case, Mapping[str, Any]]


def read_new_cases(
    prompt: Prompt, name: str, lines: Iterable[bytes], tags: Sequence[str] = ()
) -> list[NewCase]:
    """The cases of a .csv, .tsv or .jsonl file with their data. Raises Invalid, naming rows and columns."""
    if not is_csv(name) and not name.lower().endswith(".jsonl"):
        raise Invalid(f"{name}: cases are taken from .csv, .tsv or .jsonl files", hint="rename the file")
    validator, problems, cases = CaseValidator(prompt), LineProblems(name), []
    rows = 0
    found = read_case_rows(name, lines, prompt.inputs)
    for rows, (where, parse) in enumerate(found, 1):  # noqa: B007 - the last one is their number
        try:
            cases.append(_new_case(prompt, validator, where, parse(), tags))
        except Invalid as error:
            message = error.message.removeprefix(f"{where}: ")
            problems.add(int(where.rpartition(":")[2]), Invalid(message, hint=error.hint))
    problems.refuse(rows)
    return cases


def _new_case(
    prompt: Prompt, validator: CaseValidator, where: str, data: Any, tags: Sequence[str]
) -> NewCase:
    make_case(data, where)  # says what is wrong with it before anything is changed
    if is_csv(where.rpartition(":")[0]) and "expected" in data:
        data = {**data, "expected": parse_expected(prompt, data["expected"], "column `expected`")}
    if tags:
        data = {**data, "tags": [*dict.fromkeys([*map(str, data.get("tags", ())), *tags])]}
    case = make_case(data, where)
    for problem in validator.problems(case)[:1]:
        raise Invalid(problem.message, hint=problem.hint)
    try:
        json.dumps(data, allow_nan=False)
    except ValueError:
        raise Invalid("a number is too large for JSON", hint="write it as a text") from None
    return case, data


def add_new_cases(
    file: WriteTarget, shown: str, prompt: Prompt, cases: Sequence[NewCase], *, dry_run: bool = False
) -> AddedCases:
    """Cases that ask the same of the prompt and expect the same are one, whatever their tags and ids."""

    def same(case: Case) -> str:
        try:
            inputs = validate_inputs(prompt, case.inputs)
        except Invalid:  # of a case that was there and no longer fits
            inputs = dict(case.inputs)
        asked = [inputs, expected_json(case.expected), case.expected is None, list(case.checks)]
        return json.dumps(asked, sort_keys=True)

    return append_cases(file, shown, cases, same, dry_run=dry_run)
