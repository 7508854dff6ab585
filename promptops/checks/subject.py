"""What a check looks at, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One output, with what it was made from and what was expected of it."""

    output: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    expected: Any = None
    schema: Mapping[str, Any] | None = None  # the prompt's output schema


@dataclass(frozen=True, slots=True)
class Verdict:
    passed: bool
    message: str = ""  # why not, in one line
    value: float | None = None


CheckFunction = Callable[[Subject, Any], Verdict]


@dataclass(frozen=True, slots=True)
class CheckKind:
    """A check that can be named in a prompt file: what it does and what argument it takes (a JSON Schema)."""

    function: CheckFunction
    argument: Mapping[str, Any]
    summary: str
    optional: bool = False  # whether the bare name, without an argument, says enough
