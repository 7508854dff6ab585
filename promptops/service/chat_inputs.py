"""A chat as the inputs of a prompt: its last message is the one text that the prompt takes. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Input, Prompt


@dataclass(frozen=True, slots=True)
class ChatInputs:
    """The inputs that a chat feeds: ``text`` the last user message, ``history`` all that is not in it."""

    text: str | None
    history: str | None


def find_chat_inputs(prompt: Prompt, given: Mapping[str, Any] | None = None) -> ChatInputs | None:
    """Which of the inputs that are not ``given`` a chat feeds; None where that is ambiguous, or none."""
    missing = _missing(prompt, given or {})
    texts = [each.name for each in missing if each.required and each.accepts_text]
    chats = [each.name for each in missing if each.kind == "messages"]
    others = [each for each in missing if each.required and not _is_fed(each)]
    if others or len(texts) > 1 or len(chats) > 1 or not (texts or chats):
        return None
    return ChatInputs(texts[0] if texts else None, chats[0] if chats else None)


def inputs_from_chat(
    prompt: Prompt, chat: Sequence[Mapping[str, Any]], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The ``given`` inputs and those that the chat feeds. Raises Invalid, naming what was expected."""
    places = find_chat_inputs(prompt, given)
    if places is None:
        raise Invalid(
            f"the messages do not say which input of `{prompt.name}` they are",
            hint=f"give its inputs as JSON in `inputs`: {describe_inputs(prompt)}",
        )
    if places.text is None:
        return {**given, str(places.history): [dict(message) for message in chat]}
    *earlier, last = chat
    inputs = {**given, places.text: _text_of(last, prompt, places.text)}
    if earlier and places.history is None:
        raise Invalid(
            f"`{prompt.name}` takes one user message, and {len(chat)} messages were given",
            hint="an input of type `messages` takes the earlier ones, system messages among them",
        )
    if earlier:
        inputs[str(places.history)] = [dict(message) for message in earlier]
    return inputs


def describe_inputs(prompt: Prompt) -> str:
    """``ticket (string), chat (messages, optional)``."""
    shown = [
        f"{each.name} ({_type_of(each)}{'' if each.required else ', optional'})"
        for each in prompt.inputs.values()
    ]
    return ", ".join(shown) or "it takes none"


def are_complete(prompt: Prompt, given: Mapping[str, Any]) -> bool:
    """Whether these inputs leave none open that a chat would be for."""
    return bool(given) and not any(
        each.required or each.kind == "messages" for each in _missing(prompt, given)
    )


def _missing(prompt: Prompt, given: Mapping[str, Any]) -> list[Input]:
    return [each for each in prompt.inputs.values() if each.name not in given]


def _is_fed(declared: Input) -> bool:
    return declared.kind == "messages" or declared.accepts_text


def _type_of(declared: Input) -> str:
    return declared.kind if declared.kind != "value" else str(declared.schema.get("type", "any"))


def _text_of(message: Mapping[str, Any], prompt: Prompt, name: str) -> str:
    content = message.get("content")
    if isinstance(content, list) and all(_is_text_part(part) for part in content):
        content = "\n".join(part["text"] for part in content)
    if message.get("role") != "user" or not isinstance(content, str):
        raise Invalid(
            f"the last message is not the text of a user, which is the input `{name}` of `{prompt.name}`",
            hint="end with a user message that is text, or give `inputs`",
        )
    return content


def _is_text_part(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)
