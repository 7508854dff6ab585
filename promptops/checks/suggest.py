"""Checks drafted from a prompt's own words, for a person to accept: rules over its text, no model is asked.

Every draft says which words it was made from. What it finds is what people usually write; what it misses is
left to them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.escapes import shorten
from promptops.prompt import Message, Prompt, Text

MAX_CHOICES = 20
_LANGUAGES: Mapping[str, str] = {
    "arabic": "ar", "chinese": "zh", "czech": "cs", "danish": "da", "dutch": "nl", "english": "en",
    "finnish": "fi", "french": "fr", "german": "de", "greek": "el", "hindi": "hi", "italian": "it",
    "japanese": "ja", "korean": "ko", "norwegian": "no", "polish": "pl", "portuguese": "pt", "russian": "ru",
    "spanish": "es", "swedish": "sv", "turkish": "tr", "ukrainian": "uk",
}  # fmt: skip
_NUMBERS: Mapping[str, int] = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "a single": 1, "single": 1,
}  # fmt: skip
_COUNT = rf"(\d[\d,]*|{'|'.join(_NUMBERS)})"
_AT_MOST = (
    r"(?:at most|no more than|not more than|up to|max(?:imum)?(?: of)?|under|below|fewer than|less than|"
    r"within)"
)
_AT_LEAST = r"(?:at least|no fewer than|no less than|min(?:imum)?(?: of)?|more than)"
_ANSWER = r"(?:answer|reply|respond|output|return|write|give|say|label|classify|classified|print)"
_LIST = r"((?:[`'\"]?[\w-]+[`'\"]?(?:, (?:or |and )?| or | and | / ?|/|\|))+[`'\"]?[\w-]+[`'\"]?)"
_SOURCE_INPUTS = frozenset(
    {"article", "context", "document", "documents", "excerpt", "passage", "passages", "source", "sources"}
)
_PERSONAL_INPUTS = frozenset({"age", "ethnicity", "gender", "nationality", "race", "religion", "sex"})


@dataclass(frozen=True, slots=True)
class SuggestedCheck:
    """An entry of ``checks``, and why it is there."""

    entry: Any
    reason: str


@dataclass(frozen=True, slots=True)
class PromptInstructions:
    """What a prompt tells the model to do, and the answers that it gives as examples."""

    instructions: str
    examples: tuple[str, ...]


def suggest_checks(prompt: Prompt) -> list[SuggestedCheck]:
    """Drafts of checks that the prompt does not have yet."""
    words = read_instructions(prompt)
    there = {check.kind for check in prompt.checks}
    drafts: list[SuggestedCheck] = []
    for source in _RULES:
        for draft in source(prompt, words):
            kind = entry_kind(draft.entry)
            if kind not in there and kind not in {entry_kind(other.entry) for other in drafts}:
                drafts.append(draft)
    return drafts


def entry_kind(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    inner = entry.get("not", entry)
    return inner if isinstance(inner, str) else str(next(iter(inner)))


def read_instructions(prompt: Prompt) -> PromptInstructions:
    instructions: list[str] = []
    examples: list[str] = []
    for message in prompt.messages:
        if isinstance(message, Message):
            text = "".join(part.template for part in message.content if isinstance(part, Text))
            (examples if message.role == "assistant" else instructions).append(text.strip())
    kept = instructions if not examples else [each for each in instructions if len(each.split()) > 1]
    return PromptInstructions("\n".join([*kept, *prompt.partials.values()]), tuple(examples))


def _from_schema(prompt: Prompt, _: PromptInstructions) -> Iterator[SuggestedCheck]:
    if prompt.output_schema is not None:
        yield SuggestedCheck("json_schema", "the prompt has an output schema")


def _from_parameters(prompt: Prompt, _: PromptInstructions) -> Iterator[SuggestedCheck]:
    form = prompt.parameters.get("response_format")
    if isinstance(form, dict) and form.get("type") in ("json_object", "json_schema"):
        yield SuggestedCheck("json", f"parameters.response_format is {form['type']}")
    limit = prompt.parameters.get("max_tokens", prompt.parameters.get("max_completion_tokens"))
    if isinstance(limit, int) and limit <= 10 and prompt.output is None:
        yield SuggestedCheck({"max_words": limit}, f"parameters.max_tokens is {limit}")


def _from_examples(prompt: Prompt, words: PromptInstructions) -> Iterator[SuggestedCheck]:
    choices = list(dict.fromkeys(words.examples))
    if prompt.output is None and 1 < len(choices) < len(words.examples) and max(map(len, choices)) <= 40:
        yield SuggestedCheck(
            {"one_of": choices}, f"the {len(words.examples)} example answers are {len(choices)} texts"
        )


def _from_choices(prompt: Prompt, words: PromptInstructions) -> Iterator[SuggestedCheck]:
    if prompt.output is not None:
        return
    patterns = (
        rf"\b(?:one of|either|exactly one of)(?: the following)?:?\s*(?:the \w+ )?\(?{_LIST}",
        rf"\b{_ANSWER}\b[^.\n]{{0,40}}?\b(?:as|with|only)\s+(?:one word:? |only )?{_LIST}",
        rf"\bone \w+:\s*{_LIST}",
    )
    for pattern in patterns:
        if found := re.search(pattern, words.instructions, re.IGNORECASE):
            choices = _split(found[1])
            if 1 < len(choices) <= MAX_CHOICES:
                yield SuggestedCheck({"one_of": choices}, f"“{_excerpt(found[0])}”")
                return


def _split(text: str) -> list[str]:
    parts = re.split(r",\s*(?:or |and )?| or | and |\s*/\s*|\|", text)
    return list(dict.fromkeys(part.strip(" `'\"") for part in parts if part.strip(" `'\"")))


def _from_lengths(_: Prompt, words: PromptInstructions) -> Iterator[SuggestedCheck]:
    for unit, most, least in (("word", "max_words", "min_words"), ("character", "max_chars", "min_chars")):
        forms = (
            rf"{_AT_MOST} {_COUNT} {unit}s?\b",
            rf"\b{_COUNT} {unit}s? (?:or (?:less|fewer)|at most|max)",
            rf"\b(?:in|with|using) (?:only |exactly |just |that )?{_COUNT} {unit}s?\b",
        )
        for form in forms:
            if found := re.search(form, words.instructions, re.IGNORECASE):
                strict = re.match(r"under|below|fewer|less", found[0], re.IGNORECASE)
                yield SuggestedCheck({most: _number(found[1]) - bool(strict)}, f"“{_excerpt(found[0])}”")
                break
        if found := re.search(rf"{_AT_LEAST} {_COUNT} {unit}s?\b", words.instructions, re.IGNORECASE):
            more = found[0].lower().startswith("more")
            yield SuggestedCheck({least: _number(found[1]) + more}, f"“{_excerpt(found[0])}”")
    if found := re.search(r"\b(?:one|single|1) (?:\w+ )?sentence\b", words.instructions, re.IGNORECASE):
        yield SuggestedCheck(
            {"regex": r"^[^.!?]+[.!?]?\s*$", "name": "one_sentence"}, f"“{_excerpt(found[0])}”"
        )


def _number(text: str) -> int:
    return _NUMBERS.get(text.lower()) or int(text.replace(",", ""))


def _from_format(prompt: Prompt, words: PromptInstructions) -> Iterator[SuggestedCheck]:
    if prompt.output is None and (
        found := re.search(rf"\b{_ANSWER}\b[^.\n]{{0,60}}\bJSON\b", words.instructions, re.IGNORECASE)
    ):
        yield SuggestedCheck("json", f"“{_excerpt(found[0])}”")
    for kind, verbs in (("starts_with", "start|begin"), ("ends_with", "end|finish|close")):
        form = rf"\b(?:{verbs})\b[^.\n]{{0,40}}?\bwith[^.\n]{{0,20}}? [`'\"“]([^`'\"“”\n]+)[`'\"”]"
        if found := re.search(form, words.instructions, re.IGNORECASE):
            yield SuggestedCheck({kind: found[1]}, f"“{_excerpt(found[0])}”")
    never = r"\b(?:never|do not|don't|must not|avoid)\b[^.\n]{0,40}?\b(?:say\w*|mention\w*|us(?:e|ing)|writ\w+|includ\w+)\b[^.\n]{0,30}? ?[`'\"“]([^`'\"“”\n]+)[`'\"”]"  # noqa: E501 - one pattern
    if found := re.search(never, words.instructions, re.IGNORECASE):
        yield SuggestedCheck(
            {"not": {"icontains": found[1]}, "name": "says_nothing_forbidden"}, f"“{_excerpt(found[0])}”"
        )
    names = "|".join(_LANGUAGES)
    if found := re.search(
        rf"\b{_ANSWER}\b[^.\n]{{0,40}}?\bin ({names})\b", words.instructions, re.IGNORECASE
    ):
        yield SuggestedCheck({"language": _LANGUAGES[found[1].lower()]}, f"“{_excerpt(found[0])}”")
    number = r"\b(?:only|just)\b[^.\n]{0,20}\b(?:number|integer|digits?)\b"
    if found := re.search(number, words.instructions, re.IGNORECASE):
        yield SuggestedCheck(
            {"regex": r"^\s*-?\d[\d,.]*\s*$", "name": "a_number_alone"}, f"“{_excerpt(found[0])}”"
        )


def _from_inputs(prompt: Prompt, words: PromptInstructions) -> Iterator[SuggestedCheck]:
    for name, declared in prompt.inputs.items():
        values = declared.schema.get("enum", ())
        if name.lower() in _SOURCE_INPUTS and prompt.output is None and not words.examples:
            yield SuggestedCheck({"grounded": name}, f"the input `{name}` is what the answer is drawn from")
        if name.lower() in _PERSONAL_INPUTS and len(values) > 1:
            entry = {"invariant": {"input": name, "values": list(values)}}
            yield SuggestedCheck(entry, f"the answer should not hang on `{name}`")


def _default_checks(prompt: Prompt, _: PromptInstructions) -> Iterator[SuggestedCheck]:
    if prompt.output is None:
        yield SuggestedCheck({"not": "refusal"}, "an answer is wanted, not an excuse")


_RULES: tuple[Callable[[Prompt, PromptInstructions], Iterator[SuggestedCheck]], ...] = (
    _from_schema,
    _from_parameters,
    _from_examples,
    _from_choices,
    _from_lengths,
    _from_format,
    _from_inputs,
    _default_checks,
)


def _excerpt(text: str) -> str:
    return shorten(" ".join(text.split()), 70)


_JUDGE_INSTRUCTIONS = """\
You judge an answer against the instructions that it was given. Give the reason first, then a score:
5 follows every instruction and is right, 3 is right in the main, 1 is wrong or follows none.

The instructions:
"""


def judge_name(prompt: Prompt) -> str:
    return f"judges/{prompt.name}"


def judge_draft(prompt: Prompt) -> dict[str, Any]:
    """A judge prompt that holds an answer against the instructions it was given."""
    asked = read_instructions(prompt).instructions
    instructions = f"{_JUDGE_INSTRUCTIONS}{{% raw %}}{asked}{{% endraw %}}"
    return draft_judge(prompt, f"Score an answer of {prompt.name} from 1 to 5.", instructions, (1, 5))


def draft_judge(
    prompt: Prompt, description: str, instructions: str, scores: tuple[int, int]
) -> dict[str, Any]:
    """A judge prompt that sees inputs and answer, and gives a reason and a score within ``scores``."""
    inputs = [name for name, one in prompt.inputs.items() if one.kind == "value"]
    given = "".join(f"\n\n{name}:\n{{{{ {name} }}}}" for name in inputs)
    return {
        "description": description,
        "model": prompt.model,
        "parameters": {"temperature": 0, "max_tokens": 200},
        "inputs": {**{name: dict(prompt.inputs[name].schema) for name in inputs}, "output": "string"},
        "messages": [
            {"role": "system", "content": instructions},
            {"role": "user", "content": f"What was given:{given}\n\nThe answer:\n{{{{ output }}}}"},
        ],
        "output": {
            "schema": {
                "type": "object",
                "properties": {
                    "reason": {"type": "string", "maxLength": 400},
                    "score": {"type": "integer", "minimum": scores[0], "maximum": scores[1]},
                },
                "required": ["reason", "score"],
                "additionalProperties": False,
            }
        },
    }
