"""A check of the project's own: ``python: package.module:function``.

The function is called with the output and with those of ``inputs`` and ``expected`` that it names. It returns
whether the output passes, or a score (held against the check's threshold), or either with a message:
``return False, "no greeting"``.
"""

import importlib
import inspect
import math
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from promptops.checks.types import CheckError, CheckFunction, CheckSubject, CheckVerdict
from promptops.errors import Invalid

THRESHOLD = 0.5
PYTHON_SCHEMA: Mapping[str, Any] = {"type": "string"}
_FUNCTION_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def function_path_problem(place: str) -> str:
    if _FUNCTION_PATH.fullmatch(place):
        return ""
    return f"`{place}` names no function: write package.module:function"


def bind_function(place: str, root: Path) -> CheckFunction:
    """The check of a function, imported from the project's root before anything is called."""
    module, _, name = place.partition(":")
    function = getattr(_import(module, place, root), name, None)
    if not callable(function):
        raise Invalid(f"the check python: {module} has no function {name}", hint=f"define {name}(output)")
    return partial(_call, function, place)


def _import(module: str, place: str, root: Path) -> Any:
    """Import as Python does when started at the root; afterwards the root stays last on the path."""
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module(module)
    except Exception as error:
        if (
            isinstance(error, ModuleNotFoundError)
            and error.name
            and f"{module}.".startswith(f"{error.name}.")
        ):
            hint = f"it would be {root / module.replace('.', '/')}.py, from the project's root"
            raise Invalid(f"the check python: no module {error.name}", hint=hint) from None
        raise Invalid(f"the check python: {place}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(root))
        if str(root) not in sys.path:
            sys.path.append(str(root))


def _call(function: Callable[..., Any], place: str, subject: CheckSubject, _: Any) -> CheckVerdict:
    offered = {"inputs": subject.inputs, "expected": subject.expected_value}
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
