"""How a prompt takes the next message of a conversation. Pure.

A prompt that inserts a chat history takes it there: at its end, or before the one message that prints the
question. To any other prompt a history is added at the end, which makes it another version with a digest of
its own: the messages that the prompt renders come first, as they were sent, and what was said since follows.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.prompt.templates import free_names
from promptops.prompt.types import Guard, Input, Insert, Message, Prompt, Text

ADDED_NAME = "conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationForm:
    """``text``: the input that takes the next message; where it is None the message ends the history.

    ``added``: the history is not the prompt's own.
    """

    prompt: Prompt
    history: str
    text: str | None = None
    added: bool = False

    def first_inputs(self, inputs: Mapping[str, Any], text: str) -> dict[str, Any]:
        """The inputs with a first message for a prompt that leaves it to the conversation."""
        if self.text is not None:
            return {**inputs, self.text: text}
        return {**inputs, self.history: [*inputs.get(self.history, ()), _user(text)]}

    def next_inputs(
        self, inputs: Mapping[str, Any], sent: Sequence[Mapping[str, Any]], answer: str
    ) -> dict[str, Any]:
        """The inputs behind a turn that was ``sent``: with its answer, and without the text to come."""
        said = {"role": "assistant", "content": answer}
        asked = [] if self.text is None else [_without_cache_marks(sent[-1])]
        kept = {name: value for name, value in inputs.items() if name != self.text}
        return {**kept, self.history: [*inputs.get(self.history, ()), *asked, said]}


def conversation_form(prompt: Prompt) -> ConversationForm:
    """How a prompt goes on."""
    places = [place for place, each in enumerate(prompt.messages) if isinstance(each, Insert)]
    if len(places) == 1 and (own := _own_form(prompt, places[0])):
        return own
    name = next(each for each in _added_names() if each not in prompt.inputs)
    added = Input(name, {}, "messages", required=False, default=[])
    # its checks are on the answer to its own messages, and so are its cases
    longer = replace(
        prompt,
        inputs={**prompt.inputs, name: added},
        messages=(*prompt.messages, Insert(name)),
        checks=(),
        cases=None,
        guards=tuple(_looking_at(guard, name) for guard in prompt.guards),
    )
    return ConversationForm(prompt=longer, history=name, added=True)


def awaited_input(prompt: Prompt, given: Container[str]) -> str | None:
    """What the first words of a conversation are: the one text input that is missing, or "" for a message.

    None where the prompt has its first message without them.
    """
    missing = [
        one
        for name, one in prompt.inputs.items()
        if one.required and one.kind != "messages" and name not in given
    ]
    if len(missing) == 1 and missing[0].accepts_text:
        return missing[0].name
    return "" if not missing and _has_no_question(prompt) else None


def _has_no_question(prompt: Prompt) -> bool:
    last = prompt.messages[-1]
    if isinstance(last, Insert):
        return True
    return all(isinstance(each, Message) and each.role in ("system", "developer") for each in prompt.messages)


def _own_form(prompt: Prompt, place: int) -> ConversationForm | None:
    insert, *after = prompt.messages[place:]
    assert isinstance(insert, Insert)  # noqa: S101 - it was looked for
    if not after:
        return ConversationForm(prompt=prompt, history=insert.name)
    text = _question(prompt, after[0]) if len(after) == 1 else None
    return ConversationForm(prompt=prompt, history=insert.name, text=text.name) if text else None


def _question(prompt: Prompt, message: Message | Insert) -> Input | None:
    """The one text that a user's message prints. What is untrusted has tags of its one request."""
    if not isinstance(message, Message) or message.role != "user":
        return None
    texts = [part.template for part in message.content if isinstance(part, Text)]
    texts += prompt.partials.values() if any("{%" in text for text in texts) else ()
    names = {name for text in texts for name in free_names(text)[0]}
    used = [one for name, one in prompt.inputs.items() if name in names]
    asked = [one for one in used if one.accepts_text and one.required]
    safe = not any(one.untrusted for one in used)
    return asked[0] if safe and len(asked) == 1 else None


def _looking_at(guard: Guard, name: str) -> Guard:
    """A guard of named inputs looks at the history too: what is said next is there."""
    return replace(guard, inputs=(*guard.inputs, name)) if guard.inputs else guard


def _added_names() -> Iterator[str]:
    yield ADDED_NAME
    number = 2
    while True:
        yield f"{ADDED_NAME}_{number}"
        number += 1


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _without_cache_marks(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the past: providers take few marks, and only the latest are of use."""
    content = message.get("content")
    plain = [_unmarked(part) for part in content] if isinstance(content, list) else content
    return {**_unmarked(message), "content": plain}


def _unmarked(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != "cache_control"}
