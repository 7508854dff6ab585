"""The guards of one run, and what they have done with its inputs before its call."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.guards.act import SpendingGrader, Tools, guard_inputs
from promptops.guards.compile import CompiledGuards, compile_guards
from promptops.prompt import Guard, Prompt
from promptops.registry import GuardDecision


@dataclass(frozen=True, slots=True)
class Guarding:
    """The guards of one run, and what they have done before its call."""

    guards: CompiledGuards
    decisions: tuple[GuardDecision, ...] = ()
    blocked: Guard | None = None  # the one that does not let the inputs pass
    grader: SpendingGrader | None = None  # who makes the calls of those that ask a model


@lru_cache(maxsize=256)
def project_guards(prompt: Prompt, root: Path | None) -> CompiledGuards:
    """A prompt's guards, ready to look."""
    return compile_guards(prompt, root)


def guarded_inputs(
    prompt: Prompt,
    inputs: Mapping[str, Any],
    root: Path | None,
    grader: Callable[[], SpendingGrader] | None,
    *,
    called: bool,
    tools: Tools = (),
) -> tuple[Mapping[str, Any], Guarding]:
    """Accepted inputs as the guards leave them. Raises Invalid where somebody else makes the call.

    ``tools``: those of the caller, at which guards look too.
    """
    guards = project_guards(prompt, root)
    if not called and any(guard.changes for guard in prompt.guards):
        raise Invalid(
            f"guards of {prompt.name} act on calls, so your own client cannot make them",
            hint="run it through promptops, or let its guards `do: flag`",
        )
    seen = guard_inputs(guards.inputs, inputs, tools)
    asks = grader() if grader and guards.asks_model and seen.blocked is None else None
    return seen.inputs, Guarding(guards, seen.decisions, seen.blocked, asks)
