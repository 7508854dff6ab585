"""A check of the project's own: ``python: package.module:function``.

The function is called with the output and with those of ``inputs``, ``expected`` and ``tool_calls`` that it
names. It returns whether the output passes, or a score (held against the check's threshold), or either with a
message: ``return False, "no greeting"``.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from promptops.checks.types import CheckError, CheckFunction, CheckSubject, CheckVerdict
from promptops.config.project_function import import_function

THRESHOLD = 0.5
PYTHON_SCHEMA: Mapping[str, Any] = {"type": "string"}


def bind_function(place: str, root: Path) -> CheckFunction:
    """The check of a function, imported from the project's root before anything is called."""
    return partial(_call, import_function(place, root, "the check python", "output"), place)


def _call(function: Callable[..., Any], place: str, subject: CheckSubject, _: Any) -> CheckVerdict:
    calls = [dict(call) for call in subject.tool_calls or ()]
    offered = {"inputs": subject.inputs, "expected": subject.expected_value, "tool_calls": calls}
    return _verdict(function(subject.output, **_accepted_arguments(function, offered)), place)


def _accepted_arguments(function: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return dict(offered)
    return {name: value for name, value in offered.items() if name in parameters}


def _verdict(answer: Any, place: str) -> CheckVerdict:
    result, message = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, "")
    if isinstance(result, bool):
        return CheckVerdict(result, str(message) or f"{place} says no")
    if isinstance(result, int | float) and math.isfinite(result):
        return CheckVerdict(None, str(message) or f"{place} says so", float(result))
    raise CheckError(f"{place} returned {result!r}, which is neither true or false nor a score")
