"""The text that every call of a version starts with: what a provider's prompt cache can reuse."""

from collections.abc import Mapping

from promptops.prompt import ImageFile, Message, Prompt, Text
from promptops.prompt.templates import plain_pieces


def static_prefix(prompt: Prompt) -> list[tuple[str, str]]:
    """Role and text of the leading messages, up to the first thing that inputs decide."""
    found: list[tuple[str, str]] = []
    for message in prompt.messages:
        text, whole = (
            _message_prefix(message, prompt.partials) if isinstance(message, Message) else ("", False)
        )
        if isinstance(message, Message) and (text or whole):
            found.append((message.role, text))
        if not whole:
            break
    return found


def _message_prefix(message: Message, partials: Mapping[str, str]) -> tuple[str, bool]:
    texts: list[str] = []
    for part in message.content:
        if isinstance(part, Text):
            text, whole = _template_prefix(part.template, partials)
            texts.append(text)
            if not whole:
                return "".join(texts), False
        elif not isinstance(part, ImageFile):
            return "".join(texts), False
    return "".join(texts), True


def _template_prefix(template: str, partials: Mapping[str, str]) -> tuple[str, bool]:
    plain = plain_pieces(template)
    if plain is not None:
        return plain[0], len(plain) == 1
    from promptops.prompt.jinja_templates import static_pieces

    texts: list[str] = []
    for text in static_pieces(template, partials):
        if text is None:
            return "".join(texts), False
        texts.append(text)
    return "".join(texts), True
