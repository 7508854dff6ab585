"""What the calls that guards ask models for may cost at most, before the call that they look at is made.

Imported for prompts alone whose guards ask a model.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from promptops.checks import CHECK_KINDS, judge_reference
from promptops.checks.judge import judge_from_prompt
from promptops.errors import PromptopsError
from promptops.guards import CompiledGuard, SpendingGrader
from promptops.prompt import Message, Prompt
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.render import estimate_tokens
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion
from promptops.runner import PreparedRun
from promptops.runner.batch.budget import Prices, longest_answer

_TOKEN_BYTES = 4


def judges_at_most(call: PreparedRun, catalog: Catalog) -> float:
    """Dollars. Raises Invalid where a judge has no price, or nothing says how long its verdict may be."""
    guarding, prompt = call.guarding, call.version.prompt
    if guarding is None or guarding.grader is None:
        return 0.0
    guards = guarding.guards
    looks = 1 + sum(guard.retries for guard in prompt.guards)  # at one answer after the other
    seen = estimate_tokens(call.rendered.messages)
    answer = max(longest_answer(call.started.parameters, pin, catalog) or 0 for pin in _pins(prompt))
    sides = [(each, seen, 1) for each in guards.graded_inputs]
    sides += [(each, seen + answer, looks) for each in guards.outputs if each.needs_model]
    return sum(
        times * calls * _call_at_most(asked, sent, catalog)
        for each, sent, times in sides
        for asked, calls in _asked(each, prompt, guarding.grader)
    )


def _asked(guard: CompiledGuard, own: Prompt, grader: SpendingGrader) -> Iterator[tuple[Prompt, int]]:
    """Which prompt a guard asks, and how often. What is not there, or is no judge, is asked nothing."""
    check, judge = guard.guard.check, CHECK_KINDS[guard.guard.check.kind].judge
    reference = judge_reference(check)
    if reference is None or judge is None:
        argument = check.argument if isinstance(check.argument, Mapping) else {}
        yield own, len(argument.get("values", ()))
        return
    given: Any = judge(check.argument)
    votes = given.get("votes", 1) if isinstance(given, Mapping) else 1
    with suppress(PromptopsError):
        found = judge_from_prompt(grader.prompt(reference))
        yield found.prompt, 2 * votes if found.pairwise else votes  # a pair is looked at in both orders


def _call_at_most(prompt: Prompt, sent: int, catalog: Catalog) -> float:
    Prices(catalog).check(prompt)
    own = [each.canonical() for each in prompt.messages if isinstance(each, Message)]
    tokens = sent + math.ceil(len(compact_json(own)) / _TOKEN_BYTES)
    costs = (
        catalog.cost(
            pin,
            Completion(
                text="",
                response_model="",
                input_tokens=tokens,
                output_tokens=longest_answer(prompt.parameters, pin, catalog) or 0,
            ),
        )
        for pin in _pins(prompt)
    )
    once = max((cost.cost_list_usd or 0.0 for cost in costs if cost), default=0.0)
    return once * (1 + (prompt.output.repair if prompt.output else 0))


def _pins(prompt: Prompt) -> tuple[str, ...]:
    return (prompt.model, *prompt.fallback)
