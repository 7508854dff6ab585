"""The ``checks`` of a prompt file, in their written forms. Which kinds there are is not known here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.errors import Invalid
from promptops.prompt.canonical_json import json_text
from promptops.prompt.json_schema import explain_schema_error, format_path, validator_for
from promptops.prompt.schema import CHECK_SCHEMA
from promptops.prompt.types import Check

ReportProblem = Callable[[str, YamlPath, str, str], None]
_OPTION_KEYS = ("name", "weight", "threshold", "not")


def read_checks(data: Sequence[Any], report: ReportProblem) -> tuple[Check, ...]:
    taken = {item["name"] for item in data if isinstance(item, dict) and "name" in item}
    names: set[str] = set()
    checks = []
    for index, item in enumerate(data):
        entry = {item: None} if isinstance(item, str) else item
        check = read_check(entry, ("checks", index), report)
        if check and "name" in entry:
            _report_duplicate(check.name, names, ("checks", index, "name"), report)
        elif check:
            check = with_unique_name(check, taken | names)
        if check:
            names.add(check.name)
            checks.append(check)
    return tuple(checks)


def read_case_checks(data: Sequence[Any]) -> tuple[Check, ...]:
    """Those of a case, which nothing has looked at before. Raises Invalid without a place."""
    problems = []
    validator = validator_for(json_text(CHECK_SCHEMA))
    for index, entry in enumerate(data):
        if not isinstance(entry, str | dict):
            problems.append("a check is a name, or a mapping of one name to its argument")
        elif found := next(validator.iter_errors(entry), None):
            place = format_path(("checks", index, *found.instance_path))
            problems.append(explain_schema_error(found, place))
    checks = () if problems else read_checks(data, lambda *problem: problems.append(problem[2]))
    if problems:
        raise Invalid(problems[0], hint="write `- contains: refund`")
    return checks


def read_check(entry: Mapping[str, Any], path: YamlPath, report: ReportProblem) -> Check | None:
    inner, negate = entry.get("not"), entry.get("not") is True
    kinds = {key: value for key, value in entry.items() if key not in _OPTION_KEYS}
    if isinstance(inner, (str, dict)):
        negate = True
        kinds |= {inner: None} if isinstance(inner, str) else inner
    if len(kinds) != 1:
        found = f"names {' and '.join(f'`{kind}`' for kind in kinds)}" if kinds else "names no check"
        report("check", path, f"an entry holds one check, and this one {found}", "write `- contains: refund`")
        return None
    ((kind, argument),) = kinds.items()
    name = entry.get("name", f"not_{kind}" if negate else kind)
    return Check(name, kind, argument, negate, entry.get("weight", 1), entry.get("threshold"))


def _report_duplicate(name: str, names: set[str], path: YamlPath, report: ReportProblem) -> None:
    if name in names:
        report("check", path, f"two checks are named `{name}`", "give one of them another name")


def with_unique_name(check: Check, taken: set[str]) -> Check:
    name, number = check.name, 1
    while name in taken:
        number += 1
        name = f"{check.name}_{number}"
    return Check(name, check.kind, check.argument, check.negate, check.weight, check.threshold)
