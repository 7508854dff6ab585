"""Messages as a prompt of promptfoo, with Nunjucks templates."""

import json
import re
from collections.abc import Callable
from typing import Any

from promptops.interop.model import Verdict
from promptops.prompt import ImageInput, Insert, Message, Prompt, Text
from promptops.prompt.templates import plain_pieces

Say = Callable[[Prompt, str, Verdict, str], None]
_INCLUDE = re.compile(r"\{%-?\s*include\s+['\"]([^'\"]+)['\"](?:\s+ignore missing)?\s*-?%\}")
_LOOKS_LIKE_A_FILE = re.compile(r"file://.*|[^\s{}]*[*?\[][^\s{}]*|[^\s{}]+\.\w{1,5}(?::[\w.]+)?")
_AS_JSON = re.compile(r"\(\[((?:(?!\}\}).)+?)\] ~ \"\"\)\[1:-1\]")  # as nunjucks.py writes `dump`
INSERTED = '{"role": "{{ turn.role }}", "content": {{ turn.content | dump }}},'


def prompt_entry(prompt: Prompt, say: Say) -> dict[str, str]:
    """One prompt: a text where it is one message of the user, else messages as JSON."""
    found = [_message(prompt, index, say) for index in range(len(prompt.messages))]
    messages = [each for each in found if each is not None]
    if len(messages) == 1 and messages[0].keys() == {"role", "content"}:
        text = messages[0]["content"]
        if messages[0]["role"] == "user" and isinstance(text, str) and _is_plain(text):
            return {"label": prompt.name, "raw": text}
    return {"label": prompt.name, "raw": _as_json(messages)}


def _is_plain(text: str) -> bool:
    """Whether nobody takes the text for a file's name or for JSON."""
    return not text.lstrip().startswith(("[", "{")) and not _LOOKS_LIKE_A_FILE.fullmatch(text)


def _as_json(messages: list[dict[str, Any]]) -> str:
    """A conversation that is inserted is a loop, which JSON does not have."""
    text = json.dumps(messages, ensure_ascii=False, indent=2)
    return re.sub(
        r'\{\s*"insert": "(\w+)"\s*\},?',
        lambda found: f"{{% for turn in {found[1]} %}}{INSERTED}{{% endfor %}}",
        text,
    )


def _message(prompt: Prompt, index: int, say: Say) -> dict[str, Any] | None:
    message, key = prompt.messages[index], f"messages[{index}]"
    if isinstance(message, Insert):
        if index == len(prompt.messages) - 1:
            say(prompt, key, "lost", "a conversation at the end is not possible in JSON with a loop")
            return None
        say(prompt, key, "kept", "")
        return {"insert": message.name}
    parts = [_part(prompt, part, key, say) for part in message.content]
    plain = len(parts) == 1 and parts[0] is not None and parts[0].keys() == {"type", "text"}
    written = isinstance(prompt.document.data["messages"][index].get("content"), str)
    content: Any = parts[0]["text"] if plain and parts[0] and written else [each for each in parts if each]
    extras = {name: value for name, value in message.extras.items() if name != "cache_control"}
    if "cache_control" in message.extras:
        say(prompt, f"{key}.cache_control", "lost", "it belongs to a part of a message there")
    say(prompt, key, *_verdict(prompt, message))
    return {"role": message.role, **({"content": content} if message.content else {}), **extras}


def _part(prompt: Prompt, part: Any, key: str, say: Say) -> dict[str, Any] | None:
    cache = {"cache_control": dict(part.cache_control)} if part.cache_control else {}
    if isinstance(part, Text):
        return {"type": "text", "text": to_nunjucks(part.template, prompt), **cache}
    if isinstance(part, ImageInput):
        return {"type": "image_url", "image_url": {"url": f"{{{{ {part.name} }}}}"}, **cache}
    say(prompt, key, "lost", f"the image {part.path} is a file of the prompts; give it as a variable")
    return None


def _verdict(prompt: Prompt, message: Message) -> tuple[Verdict, str]:
    texts = [part.template for part in message.content if isinstance(part, Text)]
    if any(_INCLUDE.search(text) for text in texts):
        return "changed", "partials are written out"
    if any(plain_pieces(text) is None for text in texts) and prompt.inputs:
        return "changed", "Nunjucks reads this template nearly as Jinja2 does: try it"
    return "kept", ""


def to_nunjucks(template: str, prompt: Prompt) -> str:
    """The template with its partials written out, and what Nunjucks spells otherwise."""
    for _ in range(50):
        if not _INCLUDE.search(template):
            break
        template = _INCLUDE.sub(lambda found: prompt.partials.get(found[1], ""), template)
    template = _AS_JSON.sub(r"\1 | dump", template)
    template = re.sub(r"\|\s*tojson\(\s*indent\s*=\s*(\d+)\s*\)", r"| dump(\1)", template)
    template = re.sub(r"\|\s*tojson\b(?:\(\s*\))?", "| dump", template)
    return re.sub(r"(\{%-?\s*for\s+\w+\s*,\s*\w+\s+in\s+[\w.]+)\.items\(\)", r"\1", template)
