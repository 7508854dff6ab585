"""Options that verbs share as a group: declared once, read into one value."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any

VerbFunction = Callable[..., int | None]


def with_option_groups(
    without: Collection[str] = (), **readers: Callable[..., Any]
) -> Callable[[VerbFunction], VerbFunction]:
    """Put the parameters of each reader into a verb's signature, in place of the one with the reader's name.

    That one gets what the reader makes of them. ``without``: options of the readers that this verb lacks.
    """

    def decorate(verb: VerbFunction) -> VerbFunction:
        own = inspect.signature(verb)
        options = {name: _options_of(reader, without) for name, reader in readers.items()}
        parameters = [
            each for name, parameter in own.parameters.items() for each in options.get(name, [parameter])
        ]

        @functools.wraps(verb)
        def command(**values: Any) -> int | None:
            for name, reader in readers.items():
                values[name] = reader(**{each.name: values.pop(each.name) for each in options[name]})
            return verb(**values)

        keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
        command.__dict__["__signature__"] = own.replace(parameters=keyword_only)
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _options_of(reader: Callable[..., Any], without: Collection[str]) -> list[inspect.Parameter]:
    return [each for name, each in inspect.signature(reader).parameters.items() if name not in without]
