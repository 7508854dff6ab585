"""The versions that are evaluated, and the checks that all of them are measured by."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, field, replace
from functools import lru_cache
from typing import Any

from promptops.checks import CHECK_KINDS
from promptops.checks.judge import PAIR_INPUTS
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Check, Prompt
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.cases import Case
from promptops.prompt.checks import read_case_checks
from promptops.prompt.jinja_templates import jinja_names
from promptops.prompt.template_types import TemplateFault
from promptops.versions.resolve import Version

FindPrompt = Callable[[str], Prompt]  # of a reference, such as a judge's
IMPLIED_CHECK = Check("equals", "equals")
MODEL_GRADED_KINDS = frozenset(name for name, kind in CHECK_KINDS.items() if kind.graded_function is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One version over the golden set, and what to call it."""

    version: Version
    label: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    arm: str | None = None  # control, candidate

    @property
    def prompt(self) -> Prompt:
        return self.version.prompt


def with_shared_checks(variants: Sequence[Variant], reference_prompt: Prompt) -> tuple[Variant, ...]:
    """All of them with the checks of one prompt: whoever is held to less would look better for it."""
    return tuple(_with_checks_of(each, reference_prompt) for each in variants)


def _with_checks_of(variant: Variant, reference_prompt: Prompt) -> Variant:
    prompt = variant.prompt
    checks = reference_prompt.checks
    if prompt.output_schema is None and reference_prompt.output_schema is not None:
        schema = dict(reference_prompt.output_schema)
        checks = tuple(
            replace(each, argument=schema) if _uses_output_schema(each) else each for each in checks
        )
    # not of the channel that serves it: this is not traffic
    version = replace(variant.version, prompt=replace(prompt, checks=checks), channel=None)
    return replace(variant, version=version)


def _uses_output_schema(check: Check) -> bool:
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
        added = self._written(case)
        if not self._needs_equality(case, added):
            return added
        taken = {each.name for each in (*self.own, *added)}
        return (*added, replace(IMPLIED_CHECK, name=_unique_name(IMPLIED_CHECK.name, taken)))

    def implies_equality(self, case: Case) -> bool:
        """Whether a case is compared with what it expects by a check that nobody wrote."""
        return self._needs_equality(case, self._written(case))

    def _written(self, case: Case) -> tuple[Check, ...]:
        return tuple(self._with_unique_names(_read_case_checks(case))) if case.checks else ()

    def _needs_equality(self, case: Case, added: tuple[Check, ...]) -> bool:
        return case.expected is not None and not any(map(self._uses_expected, (*self.own, *added)))

    def _with_unique_names(self, checks: Iterable[Check]) -> Iterable[Check]:
        taken = {each.name for each in self.own}
        for check in checks:
            name = _unique_name(check.name, taken)
            taken.add(name)
            yield replace(check, name=name)

    def _uses_expected(self, check: Check) -> bool:
        argument = check.argument
        details = argument if isinstance(argument, dict) else {}
        match check.kind:
            case "python":
                return True  # it may
            case "equals" | "iequals":
                return argument is None or _mentions_expected(argument)
            case "numeric":
                return (
                    argument is None
                    or (argument is details and "value" not in details)
                    or _mentions_expected(argument)
                )
            case "similarity":
                return (
                    argument is None
                    or (argument is details and "to" not in details)
                    or _mentions_expected(argument)
                )
            case "judge":
                inputs = self.find_prompt(details.get("prompt", argument)).inputs
                compares = all(name in inputs for name in PAIR_INPUTS) and "against" not in details
                return "expected" in inputs or compares or _mentions_expected(argument)
            case _:
                return not CHECK_KINDS[check.kind].verbatim and _mentions_expected(argument)


def equality_note(cases: int) -> tuple[str, ...]:
    """A sentence about the check that nobody wrote, where it was made."""
    if not cases:
        return ()
    which = "1 case is" if cases == 1 else f"{cases:,} cases are"
    return (f"{which} compared with `expected` by `equals`, as no check looks at it; `checks` may say how",)


def _read_case_checks(case: Case) -> tuple[Check, ...]:
    try:
        return read_case_checks(case.checks)
    except Invalid as error:
        raise Invalid(f"{case.where}: {error.message}", hint=error.hint) from None


def _unique_name(name: str, taken: Iterable[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _mentions_expected(argument: Any) -> bool:
    if isinstance(argument, str):
        return "{{" in argument and _takes_expected(argument)
    if isinstance(argument, dict):
        return any(map(_mentions_expected, argument.values()))
    return isinstance(argument, list) and any(map(_mentions_expected, argument))


@lru_cache(maxsize=1024)
def _takes_expected(template: str) -> bool:
    with suppress(TemplateFault):  # which making the check says
        return "expected" in jinja_names(template)[0]
    return False


def checks_hash(checks: Sequence[Check]) -> str:
    return hashlib.sha256(compact_json([asdict(each) for each in checks]).encode()).hexdigest()
