"""The ``checks`` of a prompt file, in their written forms. Which kinds there are is not known here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.config.yaml import YamlPath
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
