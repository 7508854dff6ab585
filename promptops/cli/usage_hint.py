"""What a command line that Typer refuses may have meant: an input written as if it were an option."""

import inspect
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from promptops.errors import PromptopsError

GLOBAL_FLAGS = ("-C", "--registry")
"""Options with a value that stand before the verb."""

_MAX_VALUE_LENGTH = 60
_MIN_SIMILARITY = 0.75  # of a misspelt option to the input that is meant


def declared_flags(parameters: Iterable[inspect.Parameter]) -> list[str]:
    """The long flags of a verb, as Typer names them."""
    flags = [flag for parameter in parameters for flag in parameter_flags(parameter)]
    return ["--help", *(flag for flag in flags if flag.startswith("--"))]


def parameter_flags(parameter: inspect.Parameter) -> list[str]:
    """Every spelling of an option, short ones too; none of an argument."""
    declared = get_args(parameter.annotation)[1]
    # inside Annotated, Typer keeps the first name where a default would stand
    words = (getattr(declared, "default", None), *(getattr(declared, "param_decls", None) or ()))
    names = [part for word in words if isinstance(word, str) for part in word.split("/")]
    return [name for name in names if name.startswith("-")]


def usage_hint(verb: Callable[..., Any], arguments: Sequence[str]) -> str:
    """The next step for a refused command line, or "".

    ``-i ticket=foo`` for ``--ticket foo`` and ``ticket=foo``, where the prompt that is named has such an
    input; the place of an option that stands before the verb.
    """
    flags = declared_flags(inspect.signature(verb).parameters.values())
    for flag in GLOBAL_FLAGS:
        if flag not in flags and any(word.partition("=")[0] == flag for word in arguments):
            return (
                f"{flag} stands before the verb: promptops {flag} … {verb.__name__.replace('_', ' ').strip()}"
            )
    return _input_hint(flags, arguments)


def _input_hint(flags: Sequence[str], arguments: Sequence[str]) -> str:
    if not {"--input", "--jobs"}.intersection(flags):  # takes no inputs, neither one set nor many
        return ""
    reference, inputs = _prompt_named(arguments)
    for word, value in _possible_inputs(flags, arguments):
        for name in get_close_matches(word, inputs, 1, _MIN_SIMILARITY):
            shown = value if len(value) <= _MAX_VALUE_LENGTH else "…"
            option = f"-i {shlex.quote(f'{name}={shown}')}"
            way = option if "--input" in flags else f"promptops run {reference} {option} answers it alone"
            return f"{name} is an input of the prompt: {way}"
    return ""


def _possible_inputs(flags: Sequence[str], arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of options that the verb has not, and of arguments ``NAME=VALUE``."""
    before = ""
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name.startswith("--") and name not in flags:
            given = value if equals else next(iter(arguments[place + 1 :]), "")
            yield name[2:].replace("-", "_"), given
        elif equals and not name.startswith("-") and not before.startswith("-"):
            yield name, value
        before = word


def _prompt_named(arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The first argument that is a reference to a prompt, and the names of its inputs."""
    from promptops.config.settings import current_settings
    from promptops.versions.resolve import resolve_version

    for word in arguments:
        if not word.startswith("-"):
            try:
                return word, list(resolve_version(word, current_settings()).prompt.inputs)
            except PromptopsError:
                continue
    return "", ()
