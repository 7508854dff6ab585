"""A judge is a prompt of the repository whose output schema declares what it may say.

    output:
      schema:
        type: object
        properties:
          reason: {type: string}
          score: {type: integer, minimum: 1, maximum: 5}     # or choice: {enum: [good, bad]}
        required: [reason, score]

A schema that is a score or a choice itself will do as well. A judge is given the output and what it was made
from, as far as it declares inputs of these names, and nothing that tells which version or side it judges. One
that declares ``a`` and ``b`` compares two outputs; its choices are a, b and, if it may, tie.
"""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.escapes import shorten
from promptops.prompt import Input, Prompt
from promptops.prompt.canonical_json import compact_json

Label = float | str
PAIR_INPUTS = ("a", "b")
TIE = "tie"
_MAX_LISTED = 1_000  # scores of a range of whole numbers
_SCHEMA_HINT = "give it `output: {schema: {properties: {score: {type: integer, minimum: 1, maximum: 5}}, …}}`"


class JudgeReplyError(ValueError):
    """A reply that is not a verdict: not to be parsed, or outside the declared range."""


@dataclass(frozen=True, slots=True)
class JudgeScale:
    """What a judge may say. ``member`` is where in its JSON; empty when the JSON is the verdict itself."""

    kind: Literal["score", "choice"]
    member: str
    low: float = 0.0
    high: float = 1.0
    values: tuple[Label, ...] = ()  # all there are, where they are listed
    whole: bool = False  # scores are whole numbers

    def __str__(self) -> str:
        if self.values:
            return ", ".join(f"{each:g}" if isinstance(each, float) else each for each in self.values)
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Judge:
    prompt: Prompt
    scale: JudgeScale

    @property
    def pairwise(self) -> bool:
        return all(name in self.prompt.inputs for name in PAIR_INPUTS)


def judge_from_prompt(prompt: Prompt) -> Judge:
    """Raises Invalid where a prompt declares no scale to judge by."""
    if prompt.output_schema is None:
        raise Invalid(f"{prompt.name} is not a judge: it has no output schema", hint=_SCHEMA_HINT)
    judge = Judge(prompt, _scale(prompt.name, prompt.output_schema))
    if judge.pairwise and not {*PAIR_INPUTS} <= {str(each).lower() for each in judge.scale.values} <= {
        *PAIR_INPUTS,
        TIE,
    }:
        raise Invalid(
            f"{prompt.name} takes `a` and `b` to compare, and its choices are {judge.scale}",
            hint="a judge of pairs answers `choice: {enum: [a, b, tie]}`",
        )
    return judge


def _scale(name: str, schema: Mapping[str, Any]) -> JudgeScale:
    properties = schema.get("properties", {})
    members = [member for member in ("score", "choice") if member in properties]
    if len(members) == 1:
        if members[0] not in schema.get("required", ()):
            raise Invalid(
                f"{name} is not a judge: its schema does not require `{members[0]}`",
                hint=f"required: [{members[0]}]",
            )
        said = properties[members[0]]
        return _scale_from_schema(name, members[0], said if isinstance(said, Mapping) else {})
    if members or properties:
        raise Invalid(f"{name} is not a judge: its schema has not one `score` or `choice`", hint=_SCHEMA_HINT)
    return _scale_from_schema(name, "", schema)


def _scale_from_schema(name: str, member: str, schema: Mapping[str, Any]) -> JudgeScale:
    values = [float(each) if _is_finite(each) else each for each in schema.get("enum", ())]
    if values and all(isinstance(each, float) for each in values):
        return JudgeScale("score", member, min(values), max(values), tuple(sorted(values)))
    if values and all(isinstance(each, str) for each in values):
        return JudgeScale("choice", member, values=tuple(values))
    low, high = (schema.get(bound, math.nan) for bound in ("minimum", "maximum"))
    if schema.get("type") in ("integer", "number") and _is_finite(low) and _is_finite(high) and low < high:
        whole = schema["type"] == "integer"
        steps = range(math.ceil(low), math.floor(high) + 1) if whole and high - low < _MAX_LISTED else ()
        return JudgeScale("score", member, low, high, tuple(map(float, steps)), whole)
    raise Invalid(
        f"{name} is not a judge: `{member or 'output'}` has no range",
        hint="a score has `minimum` and `maximum`, a choice has an `enum` of texts",
    )


def _is_finite(value: Any) -> bool:
    """Whether it is a number that a score can be."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and abs(value) <= sys.float_info.max


def parse_label(scale: JudgeScale, value: Any) -> Label:
    """What a judge said, from its reply's JSON. Raises Unusable; nothing is ever read as 0."""
    if scale.member:
        if not isinstance(value, Mapping) or scale.member not in value:
            raise JudgeReplyError(f"the judge gave no `{scale.member}`")
        value = value[scale.member]
    if scale.kind == "choice":
        if value not in scale.values:
            raise JudgeReplyError(f"the judge answered {_shown(value)}, not one of {scale}")
        return str(value)
    if not _is_finite(value) or not scale.low <= value <= scale.high:
        raise JudgeReplyError(f"the judge answered {_shown(value)}, outside {scale}")
    if scale.values and float(value) not in scale.values:
        raise JudgeReplyError(f"the judge answered {_shown(value)}, not one of {scale}")
    return float(value)


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), 40)


def judge_inputs(judge: Prompt, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is offered, what the judge declares. Raises Invalid for one that it needs and nobody has."""
    given = {
        name: _fit_to_input(one, offered[name])
        for name, one in judge.inputs.items()
        if offered.get(name) is not None
    }
    missing = [name for name, one in judge.inputs.items() if one.required and name not in given]
    if missing:
        raise Invalid(
            f"the judge {judge.name} needs the input `{missing[0]}`, and there is none",
            hint=f"there are: {', '.join(name for name, value in offered.items() if value is not None)}",
        )
    return given


def _fit_to_input(declared: Input, value: Any) -> Any:
    """Values that are no texts go into an input for text as JSON."""
    types = declared.schema.get("type", "string")
    takes_text = declared.kind == "value" and types == "string"
    return compact_json(value) if takes_text and not isinstance(value, str) else value


def consensus(votes: Sequence[Label]) -> Label | None:
    """The median vote (the lower of two in the middle), or the choice named most often (first, if equal)."""
    if not votes:
        return None
    if isinstance(votes[0], str):
        return max(votes, key=votes.count)
    return sorted(votes)[(len(votes) - 1) // 2]
