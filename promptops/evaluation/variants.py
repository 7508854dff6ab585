"""The versions that are evaluated, and the checks that all of them are measured by."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from promptops.checks import KINDS
from promptops.checks.judge import PAIR
from promptops.errors import Invalid
from promptops.prompt import Check, Prompt
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.cases import Case
from promptops.prompt.checks import read_checks
from promptops.versions.resolve import Version

FindPrompt = Callable[[str], Prompt]
IMPLIED = Check("equals", "equals")
ASKING = frozenset(name for name, kind in KINDS.items() if kind.further is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One version over the golden set, and what to call it."""

    version: Version
    label: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    arm: str | None = None  # control, candidate

    @property
    def prompt(self) -> Prompt:
        return self.version.prompt


def measured_alike(contenders: Sequence[Contender], yardstick: Prompt) -> tuple[Contender, ...]:
    """All of them with the checks of one prompt: whoever is held to less would look better for it."""
    return tuple(_measured(each, yardstick) for each in contenders)


def _measured(contender: Contender, yardstick: Prompt) -> Contender:
    prompt = contender.prompt
    checks = yardstick.checks
    if prompt.output is None and yardstick.output is not None:
        schema = dict(yardstick.output.schema)
        checks = tuple(replace(each, argument=schema) if _bare(each) else each for each in checks)
    # not of the channel that serves it: this is no traffic
    version = replace(contender.version, prompt=replace(prompt, checks=checks), channel=None)
    return replace(contender, version=version)


def _bare(check: Check) -> bool:
    return check.kind == "json_schema" and check.argument is None


@dataclass(frozen=True, slots=True)
class CaseChecks:
    """What a case is checked for beside the prompt's own checks.

    A case that says what is expected, and that no check would hold against it, is compared with it: that
    is what `expected` is written for.
    """

    own: tuple[Check, ...]
    find_prompt: FindPrompt

    def of(self, case: Case) -> tuple[Check, ...]:
        """Raises Invalid, naming the case, for entries that are no checks."""
        added = tuple(self._renamed(_read(case))) if case.checks else ()
        if case.expected is None or any(map(self._uses_expected, (*self.own, *added))):
            return added
        taken = {each.name for each in (*self.own, *added)}
        return (*added, replace(IMPLIED, name=_free(IMPLIED.name, taken)))

    def _renamed(self, checks: Iterable[Check]) -> Iterable[Check]:
        taken = {each.name for each in self.own}
        for check in checks:
            name = _free(check.name, taken)
            taken.add(name)
            yield replace(check, name=name)

    def _uses_expected(self, check: Check) -> bool:
        argument = check.argument
        given = argument if isinstance(argument, dict) else {}
        match check.kind:
            case "python":
                return True  # it may
            case "equals" | "iequals":
                return argument is None or _mentions(argument)
            case "numeric":
                return argument is None or (argument is given and "value" not in given) or _mentions(argument)
            case "similarity":
                return argument is None or (argument is given and "to" not in given) or _mentions(argument)
            case "judge":
                inputs = self.find_prompt(given.get("prompt", argument)).inputs
                compares = all(name in inputs for name in PAIR) and "against" not in given
                return "expected" in inputs or compares or _mentions(argument)
            case _:
                return _mentions(argument)


def _read(case: Case) -> tuple[Check, ...]:
    found: list[str] = []
    if not all(isinstance(each, str | dict) for each in case.checks):
        found.append("a check is a name, or a mapping of one name to its argument")
        checks: tuple[Check, ...] = ()
    else:
        checks = read_checks(case.checks, lambda _rule, _path, message, _hint: found.append(message))
    if found:
        raise Invalid(f"{case.where}: {found[0]}", hint="write `- contains: refund`")
    return checks


def _free(name: str, taken: Iterable[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _mentions(argument: Any) -> bool:
    if isinstance(argument, str):
        return "{{" in argument and "expected" in argument
    if isinstance(argument, dict):
        return any(map(_mentions, argument.values()))
    return isinstance(argument, list) and any(map(_mentions, argument))


def checks_hash(checks: Sequence[Check]) -> str:
    return hashlib.sha256(compact_json([asdict(each) for each in checks]).encode()).hexdigest()
