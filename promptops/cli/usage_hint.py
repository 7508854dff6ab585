"""What a command line that Typer refuses may have meant: inputs, parameters and options of other tools."""

import inspect
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from promptops.prompt import Input

GLOBAL_FLAGS = ("-C", "--registry")
"""Options with a value that stand before the verb."""

OTHER_FLAGS: Mapping[str, tuple[str, ...]] = {
    "-c": ("--concurrency", "--jobs"),
    "-f": ("--format",),
    "-m": ("--model", "--reason", "--comment"),
    "-n": ("--limit", "--dry-run"),
    "-o": ("--out",),
    "-p": ("--input", "--cases"),
    "-q": ("--format",),
    "--auto-approve": ("--yes",),
    "--cached": ("--staged",),
    "--concurrent": ("--jobs",),
    "--count": ("--limit",),
    "--dryrun": ("--dry-run",),
    "--env": ("--to", "--channel"),
    "--message": ("--reason", "--comment"),
    "--no-input": ("--yes",),
    "--number": ("--limit",),
    "--output": ("--out",),
    "--parallel": ("--jobs",),
    "--param": ("--input",),
    "--threads": ("--jobs",),
    "--threshold": ("--no-worse-than", "--fail-under"),
    "--var": ("--input",),
}
"""Options that other tools have for what one of ours does."""

_MAX_VALUE_LENGTH = 60
_MAX_PROMPTS = 8
_MIN_SIMILARITY = 0.75  # of a misspelt option to the input that is meant


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
    input; ``--set`` for a parameter; what an option of another tool is called here; the place of an option
    that stands before the verb; what an argument that is missing could be.
    """
    parameters = inspect.signature(verb).parameters.values()
    flags = ["--help", "-h", *(flag for each in parameters for flag in parameter_flags(each))]
    for flag in GLOBAL_FLAGS:
        if flag not in flags and any(word.partition("=")[0] == flag for word in arguments):
            return (
                f"{flag} stands before the verb: promptops {flag} … {verb.__name__.replace('_', ' ').strip()}"
            )
    return (
        _input_hint(flags, arguments)
        or _parameter_hint(flags, arguments)
        or _flag_hint(flags, arguments)
        or _argument_hint(parameters, arguments)
    )


def _input_hint(flags: Sequence[str], arguments: Sequence[str]) -> str:
    if not {"--input", "--jobs"}.intersection(flags):  # takes no inputs, neither one set nor many
        return ""
    reference, inputs = _prompt_named(arguments)
    for word, value in _possible_inputs(flags, arguments):
        for name in get_close_matches(word, inputs, 1, _MIN_SIMILARITY):
            option = _input_option(name, value)
            way = option if "--input" in flags else f"promptops run {reference} {option} answers it alone"
            return f"{name} is an input of the prompt: {way}"
    required = [name for name, declared in inputs.items() if declared.required]
    text = arguments[1] if len(arguments) == 2 and arguments[0] == reference else "-"
    if "--input" in flags and required and "=" not in text and not text.startswith("-"):
        return f"an input is given by its name: {_input_option(required[0], text)}"
    return ""


def _input_option(name: str, value: str) -> str:
    shown = value if len(value) <= _MAX_VALUE_LENGTH else "…"
    return f"-i {shlex.quote(f'{name}={shown}')}"


def _parameter_hint(flags: Sequence[str], arguments: Sequence[str]) -> str:
    if "--set" not in flags:
        return ""
    from promptops.lint.parameters import PARAMETER_SCHEMAS

    for name, value in _possible_inputs(flags, arguments):
        if name in PARAMETER_SCHEMAS:
            setting = shlex.quote(f"parameters.{name}={value or '…'}")
            return f"{name} is a parameter of the model: --set {setting}"
    return ""


def _flag_hint(flags: Sequence[str], arguments: Iterable[str]) -> str:
    for word in arguments:
        name = word.partition("=")[0]
        if name in ("-y", "--yes") and "--yes" not in flags:
            return f"nothing is asked here: leave {name} out"
        for meant in OTHER_FLAGS.get(name, ()):
            if name not in flags and meant in flags:
                return f"{name} is {meant} here"
    return ""


def _argument_hint(parameters: Iterable[inspect.Parameter], arguments: Iterable[str]) -> str:
    """What could stand where nothing does."""
    if any(not word.startswith("-") for word in arguments):
        return ""
    metavars = [getattr(get_args(each.annotation)[1], "metavar", "") for each in parameters]
    first = metavars[0] if metavars else ""
    if first == "RUN":
        return "promptops runs list shows the ids of runs; last is your own last run"
    if first not in ("REF", "NAME", "NAME[:CHANNEL]"):
        return ""
    from promptops.config.settings import current_settings
    from promptops.versions.resolve import prompt_names

    try:
        names = prompt_names(current_settings())
    except PromptopsError:
        return ""
    more = " …" if len(names) > _MAX_PROMPTS else ""
    return f"prompts here: {', '.join(names[:_MAX_PROMPTS])}{more}" if names else ""


def _possible_inputs(flags: Sequence[str], arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and value of options that the verb has not (``-p NAME VALUE`` too), and of ``NAME=VALUE``."""
    before = ""
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        following = [*arguments[place + 1 : place + 3], "", ""]
        if name.startswith("--") and name not in flags:
            yield name[2:].replace("-", "_"), value if equals else following[0]
        elif word in ("-p", "-o") and word not in flags:
            key, joined, rest = following[0].partition("=")
            yield key, rest if joined else following[1]
        elif equals and not name.startswith("-") and not before.startswith("-"):
            yield name, value
        before = word


def _prompt_named(arguments: Sequence[str]) -> tuple[str, Mapping[str, "Input"]]:
    """The first argument that is a reference to a prompt, and its inputs."""
    from promptops.config.settings import current_settings
    from promptops.versions.resolve import resolve_version

    for word in arguments:
        if not word.startswith("-"):
            try:
                return word, resolve_version(word, current_settings()).prompt.inputs
            except PromptopsError:
                continue
    return "", {}
