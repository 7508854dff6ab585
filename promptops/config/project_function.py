"""A function of the project's own, named ``package.module:function`` and imported from the project's root."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from promptops.errors import Invalid

_FUNCTION_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def function_path_problem(place: str) -> str:
    if _FUNCTION_PATH.fullmatch(place):
        return ""
    return f"`{place}` names no function: write package.module:function"


def import_function(place: str, root: Path, what: str, signature: str) -> Callable[..., Any]:
    """``what`` asks for it, in messages; ``signature`` is how a function of it is defined."""
    module, _, name = place.partition(":")
    if module.partition(".")[0] in sys.stdlib_module_names:  # a prompt file could give an answer to os.system
        raise Invalid(f"{what}: {place} is Python's own", hint="name a function of a module of the project")
    function = getattr(_import_module(module, place, root, what), name, None)
    if not callable(function):
        raise Invalid(f"{what}: {module} has no function {name}", hint=f"define {name}({signature})")
    return function  # type: ignore[no-any-return]  # of a module that nobody has seen


def _import_module(module: str, place: str, root: Path, what: str) -> Any:
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
            raise Invalid(f"{what}: no module {error.name}", hint=hint) from None
        raise Invalid(f"{what}: {place}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(root))
        if str(root) not in sys.path:
            sys.path.append(str(root))
