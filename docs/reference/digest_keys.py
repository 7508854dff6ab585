"""Every key of a prompt file, once changed: whether that makes another version is found by making one."""

from collections.abc import Iterator
from copy import deepcopy
from json import dumps
from typing import Any

from promptops.errors import NotFound
from promptops.prompt import Prompt, load_prompt

PIXEL = bytes.fromhex("89504e470d0a1a0a")  # what a PNG begins with
FILES: dict[str, bytes] = {"a.png": PIXEL, "b.png": PIXEL + b"b", "part.j2": b"part", "s.json": b"{}"}
BASE: dict[str, Any] = {
    "model": "openai/gpt-5.4-mini-2026-03-17",
    "inputs": {"text": {"type": "string"}, "chat": {"type": "messages", "default": []}},
    "messages": [
        {"role": "user", "content": [{"text": "Read {{ text }}"}, {"image_file": "a.png"}]},
        {"insert": "chat"},
    ],
    "output": {"schema": {"type": "object"}},
    "checks": [{"contains": "a"}],
}
_USER = "messages.0"
_PART = f"{_USER}.content.0"
_TOOL = {"type": "function", "function": {"name": "look"}}
CHANGES: dict[str, tuple[str, Any]] = {  # key -> where, and another value
    "description": ("description", "Something else."),
    "model": ("model", "openai/gpt-5.4-2026-03-05"),
    "parameters": ("parameters", {"temperature": 0}),
    "inputs": ("inputs.more", "string"),
    "inputs: description": ("inputs.text.description", "A text."),
    "inputs: default": ("inputs.text.default", "none"),
    "inputs: maxLength and the rest of JSON Schema": ("inputs.text.maxLength", 9),
    "inputs: untrusted": ("inputs.text.untrusted", True),
    "inputs: datamark": ("inputs.text", {"type": "string", "untrusted": True, "datamark": True}),
    "inputs: sanitize": ("inputs.text.sanitize", ["nfc"]),
    "messages": ("messages.2", {"role": "assistant", "content": "Yes?"}),
    "messages: role": (f"{_USER}.role", "system"),
    "messages: content, text": (f"{_PART}.text", "See {{ text }}"),
    "messages: the text of a partial": (f"{_PART}.text", "{% include 'part.j2' %}{{ text }}"),
    "messages: the bytes of image_file": (f"{_USER}.content.1.image_file", "b.png"),
    "messages: cache_control": (f"{_USER}.cache_control", {"type": "ephemeral"}),
    "messages: name": (f"{_USER}.name", "ada"),
    "messages: insert": ("messages.1", {"role": "user", "content": "{{ text }}"}),
    "tools": ("tools", [_TOOL]),
    "caller_tools": ("caller_tools", "allow"),
    "fallback": ("fallback", ["openai/gpt-5.4-2026-03-05"]),
    "output: schema": ("output.schema", "s.json"),
    "output: repair": ("output.repair", 1),
    "output: extract": ("output.extract", "json"),
    "max_input_tokens": ("max_input_tokens", 9_000),
    "checks": ("checks", ["json_schema"]),
    "guards: block, redact, retry, replace": ("guards", [{"on": "output", "check": "json", "do": "block"}]),
    "guards: flag": ("guards", [{"on": "output", "check": "json", "do": "flag"}]),
    "cases": ("cases", "a.cases.jsonl"),
    "probes": ("probes", ["one"]),
    "log": ("log", {"redact": ["email"], "keep": "pseudonym"}),
    "retention": ("retention", {"inputs": "30d"}),
    "review": ("review", "required"),
    "metadata": ("metadata", {"owner": "support"}),
}


def read(path: str) -> bytes:
    if path not in FILES:
        raise NotFound(path)
    return FILES[path]


def prompt_of(data: dict[str, Any]) -> Prompt:
    """JSON is YAML."""
    text = dumps(data).encode()

    def reader(path: str) -> bytes:
        return text if path == "p.yaml" else read(path)

    return load_prompt("p", reader)


def changed(key: str) -> Prompt:
    where, value = CHANGES[key]
    data = deepcopy(BASE)
    *path, last = (int(step) if step.isdigit() else step for step in where.split("."))
    place: Any = data
    for step in path:
        place = place[step]
    if isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return prompt_of(data)


def digest_rows() -> Iterator[str]:
    """A row of the table for each key."""
    before = prompt_of(BASE).digest
    for key in CHANGES:
        name, _, part = key.partition(": ")
        what = f"`{name}`" + (f": {part}" if part else "")
        yield f"| {what} | {'yes' if changed(key).digest != before else 'no'} |"
