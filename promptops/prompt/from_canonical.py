"""A prompt made again from its canonical object: what reaches the model, and guards, without checks."""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from promptops.config.yaml import Document
from promptops.errors import NotFound
from promptops.prompt.types import (
    FORMATS,
    Guard,
    ImageInput,
    Input,
    Insert,
    Message,
    Output,
    Part,
    Prompt,
    Text,
)

_NO_RULES: Mapping[str, Any] = MappingProxyType({})


def from_canonical(name: str, content: Mapping[str, Any], log: Mapping[str, Any] = _NO_RULES) -> Prompt:
    """Keeps the digest. Raises NotFound where an image file is part of it: of that only the hash is kept."""
    if content.get("format") not in FORMATS:
        raise NotFound(
            f"the stored version of `{name}` has format {content.get('format')}, which is not known here",
            hint="upgrade promptops",
        )
    output = content.get("output")
    return Prompt(
        name=name,
        recorded_format=content["format"],
        path=f"{name}.yaml",
        document=Document(f"prompts/{name}.yaml", {}, {}),
        model=content["model"],
        parameters=content.get("parameters", {}),
        inputs={one: _input(one, schema) for one, schema in content.get("inputs", {}).items()},
        messages=tuple(_message(name, index, one) for index, one in enumerate(content["messages"])),
        partials=content.get("partials", {}),
        tools=tuple(json.loads(content.get("tools", "[]"))),
        caller_tools=content.get("caller_tools", "deny"),
        fallback=tuple(content.get("fallback", ())),
        output=_output(output) if output else None,
        guards=_guards(content.get("guards", ())),
        log=log,
    )


def _guards(content: Sequence[Mapping[str, Any]]) -> tuple[Guard, ...]:
    if not content:
        return ()
    from promptops.prompt.guards import guards_from_canonical

    return guards_from_canonical(content)


def _output(content: Mapping[str, Any]) -> Output:
    schema = content.get("schema")
    return Output(json.loads(schema) if schema else None, content.get("repair", 0), content.get("extract"))


def _input(name: str, schema: Mapping[str, Any]) -> Input:
    required, default = "default" not in schema, schema.get("default")
    if schema.get("type") == "messages":
        return Input(name, {}, "messages", required, default)
    if schema.get("type") == "image":
        return Input(name, {}, "image", required, default)
    return Input(name, schema, "value", required, default)


def _message(prompt: str, index: int, content: Mapping[str, Any]) -> Message | Insert:
    if "insert" in content:
        return Insert(content["insert"])
    extras = {key: value for key, value in content.items() if key not in ("role", "content")}
    parts = tuple(
        _part(prompt, part, ("messages", index, "content", place))
        for place, part in enumerate(content["content"])
    )
    return Message(content["role"], parts, extras)


def _part(prompt: str, part: Mapping[str, Any], path: tuple[str | int, ...]) -> Part:
    cached = part.get("cache_control")
    if "text" in part:
        return Text(part["text"], path, cached)
    if "image" in part:
        return ImageInput(part["image"], cached)
    raise NotFound(
        f"`{prompt}` sends an image file, and of that only the hash is kept outside git",
        hint="commit the prompt with its image before it runs",
    )
