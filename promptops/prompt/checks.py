"""The ``checks`` of a prompt file, in their written forms. Which kinds there are is not known here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.config.yaml import Path
from promptops.prompt.types import Check

Report = Callable[[str, Path, str, str], None]
_BESIDE = ("name", "weight", "threshold", "not")


def read_checks(data: Sequence[Any], report: Report) -> tuple[Check, ...]:
    taken = {item["name"] for item in data if isinstance(item, dict) and "name" in item}
    names: set[str] = set()
    checks = []
    for index, item in enumerate(data):
        entry = {item: None} if isinstance(item, str) else item
        check = _read_check(entry, ("checks", index), report)
        if check and "name" in entry:
            _refuse_twice(check.name, names, ("checks", index, "name"), report)
        elif check:
            check = _named(check, taken | names)
        if check:
            names.add(check.name)
            checks.append(check)
    return tuple(checks)


def _read_check(entry: Mapping[str, Any], path: Path, report: Report) -> Check | None:
    inner, negate = entry.get("not"), entry.get("not") is True
    kinds = {key: value for key, value in entry.items() if key not in _BESIDE}
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


def _refuse_twice(name: str, names: set[str], path: Path, report: Report) -> None:
    if name in names:
        report("check", path, f"two checks are named `{name}`", "give one of them another name")


def _named(check: Check, taken: set[str]) -> Check:
    name, number = check.name, 1
    while name in taken:
        number += 1
        name = f"{check.name}_{number}"
    return Check(name, check.kind, check.argument, check.negate, check.weight, check.threshold)
