"""What a command line that Typer refuses may have meant: an input written as if it were an option."""

import inspect
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

from promptops.errors import PromptopsError

_MAX_VALUE_LENGTH = 60


def declared_flags(parameters: Iterable[inspect.Parameter]) -> list[str]:
    """The long flags of a verb, as Typer names them."""
    flags = ["--help"]
    for parameter in parameters:
        for declared in get_args(parameter.annotation)[1:]:
            # inside Annotated, Typer keeps the first name where a default would stand
            words = (getattr(declared, "default", None), *(getattr(declared, "param_decls", None) or ()))
            names = [part for word in words if isinstance(word, str) for part in word.split("/")]
            flags += [name for name in names if name.startswith("--")]
    return flags


def input_hint(verb: Callable[..., Any], arguments: Sequence[str]) -> str:
    """``-i ticket=foo`` for ``--ticket foo``, where the prompt that is named has such an input."""
    parameters = inspect.signature(verb).parameters
    flags = declared_flags(parameters.values())
    if "--input" not in flags:
        return ""
    for place, word in enumerate(arguments):
        flag, equals, value = word.partition("=")
        name = flag[2:].replace("-", "_")
        if flag.startswith("--") and name and flag not in flags and name in _inputs_named(arguments):
            given = value if equals else next(iter(arguments[place + 1 :]), "")
            shown = given if len(given) <= _MAX_VALUE_LENGTH else "…"
            return f"{name} is an input of the prompt: -i {shlex.quote(f'{name}={shown}')}"
    return ""


def _inputs_named(arguments: Sequence[str]) -> Mapping[str, Any]:
    """The inputs of the first argument that is a reference to a prompt."""
    from promptops.config.settings import current_settings
    from promptops.versions.resolve import resolve_version

    for word in arguments:
        if not word.startswith("-"):
            try:
                return resolve_version(word, current_settings()).prompt.inputs
            except PromptopsError:
                continue
    return {}
