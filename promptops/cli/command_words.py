"""The command that runs, as words that go on with it later: from another folder, by versions that stay."""

import inspect
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo

from promptops.cli.running_command import RUNNING
from promptops.versions.resolve import Version

_OF_ONE_CALL = frozenset({"wait", "detach", "restart"})  # whoever goes on says whether to wait


def current_words(**values: Any) -> list[str]:
    """The words of the command that runs, with these values in place of those that it was given."""
    command = RUNNING.get()
    if command is None:
        return []
    options, arguments = [], []
    for name, parameter in inspect.signature(command.verb).parameters.items():
        value = values.get(name, command.values.get(name))
        if name in _OF_ONE_CALL or value is None or value == parameter.default:
            continue
        texts = [_text(each) for each in (value if isinstance(value, list | tuple) else [value])]
        option = _option(parameter)
        if option is None:
            arguments += texts
        elif isinstance(value, bool):
            options.append(option)
        else:
            options += [f"{option}={text}" for text in texts]
    return [*command.path, *options, "--", *arguments]


def lasting_reference(version: Version) -> str:
    """What names the version later too; one that is not committed is named as it was."""
    name = version.prompt.name
    if version.version is not None:
        return f"{name}@{version.version}"
    if version.commit_sha is not None and not version.dirty:
        return f"{name}@{version.commit_sha}"
    return name if version.source == "working tree" else version.pasteable


def _option(parameter: inspect.Parameter) -> str | None:
    """The long name of an option; None of an argument."""
    infos = getattr(parameter.annotation, "__metadata__", ())
    if any(isinstance(info, ArgumentInfo) for info in infos):
        return None
    return next(name.partition("/")[0] for name in _names(infos) if name.startswith("--"))


def _names(infos: Sequence[Any]) -> Iterator[str]:
    for info in infos:
        names = (info.default, *(info.param_decls or ()))  # a name may stand in place of a default
        yield from (name for name in names if isinstance(name, str))


def _text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    return str(value.value if isinstance(value, Enum) else value)
