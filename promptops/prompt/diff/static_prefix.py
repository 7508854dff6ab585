"""The text that every call of a version starts with: what a provider's prompt cache can reuse."""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from jinja2 import DictLoader, StrictUndefined, nodes
from jinja2.exceptions import TemplateError

from promptops.prompt import ImageFile, Message, Prompt, Text
from promptops.prompt.sandbox import TemplateEnvironment


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
    texts: list[str] = []
    for text in _pieces(template, partials):
        if text is None:
            return "".join(texts), False
        texts.append(text)
    return "".join(texts), True


def _pieces(template: str, partials: Mapping[str, str]) -> Iterator[str | None]:
    """The static pieces of a template from its start; None stands for the first that is not."""
    try:
        body = _environment().parse(template).body
    except TemplateError:
        yield None
        return
    for node in body:
        if isinstance(node, nodes.Output):
            yield from (part.data if isinstance(part, nodes.TemplateData) else None for part in node.nodes)
        elif isinstance(node, nodes.Include) and isinstance(node.template, nodes.Const):
            yield from _pieces(partials.get(node.template.value, ""), partials)
        elif not isinstance(node, nodes.Assign | nodes.Macro):
            yield None


@lru_cache(maxsize=1)
def _environment() -> TemplateEnvironment:
    return TemplateEnvironment(DictLoader({}), StrictUndefined)
