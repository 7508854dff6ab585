"""What kind of change lies between two versions of a prompt, told in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.prompt import Check, Guard, Prompt
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.diff.inputs import Effect, InputChange, compare_inputs, worst_effect
from promptops.prompt.diff.messages import TextChange, compare_messages
from promptops.prompt.diff.values import Difference, differences, is_same_json
from promptops.prompt.diff.word_diff import Segment, count_words, word_diff

# Kinds of change by the key of the prompt file, in the order in which they are told.
FIELD_LABELS: Mapping[str, str] = {
    "model": "model pin",
    "fallback": "fallback",
    "parameters": "parameters",
    "inputs": "inputs",
    "messages": "messages",
    "partials": "partials",
    "format": "JSON values",
    "output": "output schema",
    "tools": "tools",
    "caller_tools": "tools of callers",
    "guards": "guards",
    "checks": "checks",
    "cases": "cases",
    "max_input_tokens": "budget",
    "description": "description",
    "metadata": "metadata",
    "file": "comments or layout",
}


@dataclass(frozen=True, slots=True)
class TextDiff:
    where: str
    old: str | None
    new: str | None
    segments: tuple[Segment, ...] = field(repr=False)

    @property
    def counts(self) -> tuple[int, int]:
        """Words added and removed."""
        return count_words(self.segments)

    def __str__(self) -> str:
        added, removed = self.counts
        if not added and not removed and self.old is not None and self.new is not None:
            blank = all(segment.text.isspace() for segment in self.segments if segment.tag != "=")
            return f"{self.where}: only {'white space' if blank else 'punctuation'} differs"
        verb = " added:" if self.old is None else " removed:" if self.new is None else ":"
        return f"{self.where}{verb} {_word_counts(added, removed)}"


@dataclass(frozen=True, slots=True)
class PromptFieldChange:
    """One kind of change: ``lines`` say what, ``texts`` hold the texts that differ."""

    kind: str
    lines: tuple[str, ...] = ()
    texts: tuple[TextDiff, ...] = ()
    effect: Effect | None = None  # on callers; for inputs alone

    @property
    def words(self) -> str:
        return FIELD_LABELS[self.kind] + (f" ({EFFECT_LABELS[self.effect]})" if self.effect else "")


EFFECT_LABELS: Mapping[Effect, str] = {
    "breaking": "breaking for callers",
    "unclear": "may break callers",
    "compatible": "compatible for callers",
}


def compare_prompts(old: Prompt, new: Prompt) -> list[PromptFieldChange]:
    """Every difference between two versions that their keys can tell, in the order of KINDS."""
    found = [
        _values("model", old.model, new.model),
        _values("fallback", old.fallback, new.fallback),
        _values("parameters", old.parameters, new.parameters),
        _inputs(compare_inputs(old.inputs, new.inputs)),
        _messages(old, new),
        _partials(old.partials, new.partials),
        _format(old, new),
        _output(old, new),
        _tools(old.tools, new.tools),
        _values("caller_tools", old.caller_tools, new.caller_tools),
        _guards(old.guards, new.guards),
        _checks(old.checks, new.checks),
        _values("cases", old.cases, new.cases),
        _values("max_input_tokens", old.max_input_tokens, new.max_input_tokens),
        *_annotations(old, new),
    ]
    return [change for change in found if change.lines or change.texts]


def text_diff(where: str, old: str | None, new: str | None) -> TextDiff:
    return TextDiff(where, old, new, tuple(word_diff(old or "", new or "")))


def _word_counts(added: int, removed: int) -> str:
    counts = [f"{sign}{count}" for sign, count in (("+", added), ("-", removed)) if count]
    return f"{' '.join(counts) or 'no'} word{'' if added + removed == 1 else 's'}"


def _values(kind: str, old: Any, new: Any) -> PromptFieldChange:
    return PromptFieldChange(kind, tuple(map(str, differences(old, new))))


def _inputs(changes: list[InputChange]) -> PromptFieldChange:
    lines = tuple(f"{change.summary} ({EFFECT_LABELS[change.effect]})" for change in changes)
    return PromptFieldChange("inputs", lines, effect=worst_effect(changes) if changes else None)


def _messages(old: Prompt, new: Prompt) -> PromptFieldChange:
    found = list(compare_messages(old.messages, new.messages))
    texts = [text_diff(one.where, one.old, one.new) for one in found if isinstance(one, TextChange)]
    return PromptFieldChange("messages", tuple(one for one in found if isinstance(one, str)), tuple(texts))


def _partials(old: Mapping[str, str], new: Mapping[str, str]) -> PromptFieldChange:
    paths = sorted({*old, *new})
    changed = [path for path in paths if old.get(path) != new.get(path)]
    return PromptFieldChange(
        "partials", (), tuple(text_diff(path, old.get(path), new.get(path)) for path in changed)
    )


def _format(old: Prompt, new: Prompt) -> PromptFieldChange:
    """Where a text that both have is written in another way."""
    forms = ("as Python writes them", "as JSON")
    if old.format == new.format or (old.format, new.format) == (old.format_of_files, new.format_of_files):
        return PromptFieldChange("format")
    before, after = (forms[prompt.format - 1] for prompt in (old, new))
    return PromptFieldChange("format", (f"true, null, lists and mappings in texts: {before} -> {after}",))


def _output(old: Prompt, new: Prompt) -> PromptFieldChange:
    before, after = (
        {"repair": one.output.repair, **one.output.canonical(), "schema": one.output.schema}
        if one.output
        else {}
        for one in (old, new)
    )
    lines = [str(difference) for difference in differences(before, after)]
    if not lines and old.output and new.output and old.output.schema_text != new.output.schema_text:
        lines = ["the order of members (a model writes them in the order of the schema)"]
    return PromptFieldChange("output", tuple(lines))


def _tools(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> PromptFieldChange:
    before, after = _by_name(old), _by_name(new)
    lines = list(_named_changes(before, after))
    if not lines and [*old] != [*new]:
        lines = ["the order of the tools"]
    if not lines and compact_json(old) != compact_json(new):
        lines = ["the order of members"]
    return PromptFieldChange("tools", tuple(lines))


def _by_name(tools: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {tool.get("function", {}).get("name", f"{tool['type']} {n}"): tool for n, tool in enumerate(tools)}


def _checks(old: Sequence[Check], new: Sequence[Check]) -> PromptFieldChange:
    return PromptFieldChange(
        "checks",
        tuple(
            _named_changes({one.name: _as_data(one) for one in old}, {one.name: _as_data(one) for one in new})
        ),
    )


def _guards(old: Sequence[Guard], new: Sequence[Guard]) -> PromptFieldChange:
    before, after = ({one.name: one.canonical() for one in guards} for guards in (old, new))
    lines = list(_named_changes(before, after))
    if not lines and [*before] != [*after]:
        lines = ["the order of the guards"]
    return PromptFieldChange("guards", tuple(lines))


def _as_data(check: Check) -> dict[str, Any]:
    """A check without what it has by default."""
    data = {
        check.kind: check.argument,
        "weight": check.weight,
        "threshold": check.threshold,
        "not": check.negate,
    }
    usual = {"weight": 1, "threshold": None, "not": False}
    return {
        key: value for key, value in data.items() if key == check.kind or not is_same_json(usual[key], value)
    }


def _named_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            yield f"`{name}` removed"
        elif name not in old:
            yield f"`{name}` added"
        else:
            yield from (f"`{name}`: {difference}" for difference in differences(old[name], new[name]))


def _annotations(old: Prompt, new: Prompt) -> Iterator[PromptFieldChange]:
    lines = (
        [str(Difference((), old.description, new.description))] if old.description != new.description else []
    )
    for name, one in new.inputs.items():
        before = old.inputs[name].schema.get("description") if name in old.inputs else None
        if name in old.inputs and before != one.schema.get("description"):
            lines.append(f"description of the input `{name}`")
    yield PromptFieldChange("description", tuple(lines))
    yield _values("metadata", old.metadata, new.metadata)
