"""What the model will see: both sides rendered on the same inputs, and about what a call costs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Input, Message, Prompt, Text
from promptops.prompt.chat import message_text
from promptops.prompt.diff import TextDiff, static_prefix
from promptops.prompt.diff.messages import TextChange, compare_messages
from promptops.prompt.diff.prompts import text_diff
from promptops.prompt.render import estimate_tokens, min_tokens, render_prompt

PriceLookup = Callable[[str], tuple[float, float] | None]
"""A model to dollars per input and per output token; None when unknown."""


@dataclass(frozen=True, slots=True)
class RenderedPreview:
    """Both sides on one set of inputs. ``notes`` say which of them a side does not accept."""

    label: str
    lines: tuple[str, ...]
    texts: tuple[TextDiff, ...]
    notes: tuple[str, ...]
    tokens: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class CallCostEstimate:
    """One call of one side. Tokens are estimated, prices those of a catalogue; None when unknown."""

    input_tokens: int
    prefix_tokens: int
    input_usd: float | None
    most_output_usd: float | None


def render_preview(
    label: str, old: Prompt | None, new: Prompt | None, inputs: Mapping[str, Any]
) -> RenderedPreview:
    before, notes = _rendered(old, inputs, "before")
    after, more = _rendered(new, inputs, "after")
    found = list(compare_messages(_as_messages(before), _as_messages(after))) if before and after else []
    return RenderedPreview(
        label,
        tuple(one for one in found if isinstance(one, str)),
        tuple(text_diff(one.where, one.old, one.new) for one in found if isinstance(one, TextChange)),
        (*notes, *more),
        (estimate_tokens(before) if before else None, estimate_tokens(after) if after else None),
    )


def merge_inputs(old: Prompt | None, new: Prompt | None) -> Prompt | None:
    """A prompt that takes the inputs of both sides, none of them required: to read what was given."""
    prompt = new or old
    if prompt is None:
        return None
    declared: dict[str, Input] = {**(old.inputs if old else {}), **(new.inputs if new else {})}
    return replace(prompt, inputs={name: replace(one, required=False) for name, one in declared.items()})


def estimate_call_cost(
    prompt: Prompt, price: PriceLookup, input_tokens: int | None = None
) -> CallCostEstimate | None:
    """Without ``input_tokens``: before anything is put in. None where the templates cannot be rendered."""
    try:
        tokens = min_tokens(prompt) if input_tokens is None else input_tokens
    except Invalid:
        return None
    prefix = estimate_tokens({"role": role, "content": text} for role, text in static_prefix(prompt))
    prices = price(prompt.model)
    most = prompt.parameters.get("max_completion_tokens", prompt.parameters.get("max_tokens"))
    return CallCostEstimate(
        tokens,
        prefix,
        tokens * prices[0] if prices else None,
        most * prices[1] if prices and isinstance(most, int) else None,
    )


def _rendered(
    prompt: Prompt | None, inputs: Mapping[str, Any], when: str
) -> tuple[Sequence[Mapping[str, Any]], list[str]]:
    if prompt is None:
        return (), []
    taken = {name: value for name, value in inputs.items() if name in prompt.inputs}
    notes = [f"{when}: there is no input `{name}`, so it is left out" for name in inputs if name not in taken]
    try:
        return render_prompt(prompt, taken).messages, notes
    except Invalid as error:
        return (), [*notes, f"{when}: {error.message}"]


def _as_messages(messages: Iterable[Mapping[str, Any]]) -> list[Message]:
    return [Message(one["role"], (Text(_text(one), ()),), _extras(one)) for one in messages]


def _text(message: Mapping[str, Any]) -> str:
    return message_text({"content": message.get("content")})  # its tool calls are among the extras


def _extras(message: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in ("role", "content")}
