"""What could stand in place of the last word of a command line: verbs, options, and values of either.

The scripts that ``completions`` prints call promptops itself with ``_PROMPTOPS_COMPLETE`` set and the words
so far as arguments; what could stand there comes back, a line each, in every shell the same.
"""

import contextlib
import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, get_args

from promptops.cli.usage_hint import GLOBAL_FLAGS, parameter_flags
from promptops.cli.verbs import BUILT_IN
from promptops.console import print_text
from promptops.dataclass import dataclass

FindVerb = Callable[[Sequence[str]], Callable[..., int | None]]
"""The function of a verb, given as its words."""

HELP_FLAGS = ("-h", "--help")


@dataclass(frozen=True)
class ValuePlace:
    """Where a value is to be completed.

    ``metavar``: what it is, as the help names it; ``flag``: of which option, or ""; ``arguments``: those
    before it that belong to no option.
    """

    metavar: str
    flag: str = ""
    arguments: Sequence[str] = ()


def print_completions(words: Sequence[str], verbs: Mapping[str, Iterable[str]], find: FindVerb) -> None:
    """Print what the last word could be. ``verbs`` maps each verb to the verbs below it."""
    *before, word = words or [""]
    for candidate in dict.fromkeys(_candidates(before, word, verbs, find)):
        if candidate.startswith(word):
            print_text(candidate)


def _candidates(
    before: list[str], word: str, verbs: Mapping[str, Iterable[str]], find: FindVerb
) -> Iterable[str]:
    while before and before[0].startswith("-"):
        flag = before.pop(0)
        if flag in GLOBAL_FLAGS and not before:
            return _values(ValuePlace("DIR" if flag == "-C" else "FILE"), word)
        if flag in GLOBAL_FLAGS:
            _apply_global_option(flag, before.pop(0))
    if not before:
        return (*HELP_FLAGS, "--version", *GLOBAL_FLAGS) if word.startswith("-") else [*verbs, *BUILT_IN]
    if before[0] == "help":
        return ("--all",) if word.startswith("-") else _verbs_to_explain(before[1:], verbs)
    parts = list(verbs.get(before[0], ()))
    if parts and len(before) == 1:
        return HELP_FLAGS if word.startswith("-") else parts
    if before[0] not in verbs or (parts and before[1] not in parts):
        return ()
    path = before[: 2 if parts else 1]
    return _of_verb(find(path), before[len(path) :], word)


def _apply_global_option(flag: str, value: str) -> None:
    if flag == "--registry":
        if "://" not in value:
            value = os.path.abspath(value)  # noqa: PTH100 - as the dispatcher has it
        os.environ["PROMPTOPS_REGISTRY"] = value
        return
    with contextlib.suppress(OSError):
        os.chdir(value)


def _verbs_to_explain(before: Sequence[str], verbs: Mapping[str, Iterable[str]]) -> Iterable[str]:
    if not before:
        return verbs
    return verbs.get(before[0], ()) if len(before) == 1 else ()


def _of_verb(verb: Callable[..., int | None], before: Sequence[str], word: str) -> Iterable[str]:
    parameters = inspect.signature(verb).parameters.values()
    options = {flag: each for each in parameters for flag in parameter_flags(each)}
    arguments, open_flag = _read_arguments(options, before)
    if open_flag:
        return _parameter_values(options[open_flag], ValuePlace("", open_flag, arguments), word)
    flag, equals, value = word.partition("=")
    if equals and flag in options:
        values = _parameter_values(options[flag], ValuePlace("", flag, arguments), value)
        return [f"{flag}={each}" for each in values]
    if word.startswith("-"):
        return [*options, *HELP_FLAGS]
    places = [each for each in parameters if not parameter_flags(each)]
    place = min(len(arguments), len(places) - 1)
    if place < 0 or (place < len(arguments) and not _takes_many(places[place])):
        return ()
    return _parameter_values(places[place], ValuePlace("", "", arguments), word)


def _read_arguments(options: Mapping[str, inspect.Parameter], before: Sequence[str]) -> tuple[list[str], str]:
    """The words that belong to no option, and the option at the end whose value is still to come."""
    arguments: list[str] = []
    open_flag = ""
    for word in before:
        if open_flag:
            open_flag = ""
        elif word in options:
            open_flag = word if _takes_value(options[word]) else ""
        elif not word.startswith("-"):
            arguments.append(word)
    return arguments, open_flag


def _takes_value(parameter: inspect.Parameter) -> bool:
    return bool not in _types(parameter)


def _takes_many(parameter: inspect.Parameter) -> bool:
    return any(str(each).startswith("list[") for each in _types(parameter))


def _types(parameter: inspect.Parameter) -> list[Any]:
    """What the annotation allows: ``[str, NoneType]``."""
    declared = get_args(parameter.annotation)[0]
    return [declared] if str(declared).startswith("list[") else [*(get_args(declared) or [declared])]


def _parameter_values(parameter: inspect.Parameter, place: ValuePlace, word: str) -> Iterable[str]:
    for kind in _types(parameter):
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return list(kind)
    metavar = getattr(get_args(parameter.annotation)[1], "metavar", None) or ""
    return _values(ValuePlace(metavar, place.flag, place.arguments), word)


def _values(place: ValuePlace, word: str) -> Iterable[str]:
    from promptops.cli.completion_values import complete_value

    return complete_value(place.metavar, place.flag, place.arguments, word)
