"""A prompt as frozen values, and the digest that names what it means."""

from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import Any, Literal

from promptops.config.yaml import Document, YamlPath
from promptops.dataclass import dataclass
from promptops.prompt.canonical_json import canonical_json, compact_json, sha256_hex
from promptops.prompt.templates import can_print_json

SHORT_DIGEST_LENGTH = 12
PYTHON_FORMAT, JSON_FORMAT = 1, 2
"""Formats of the canonical object: how templates write true, null, lists and mappings."""
FORMATS = (PYTHON_FORMAT, JSON_FORMAT)

_HANDLING = frozenset({"untrusted", "datamark", "sanitize"})  # false and empty mean the same as absent
_ANNOTATIONS = frozenset({"$comment", "description", "examples", "title"})


CacheControl = Mapping[str, Any] | None
"""Where the provider's cache of the prompt ends; what is absent does not get into the digest."""


def _with_cache_control(part: dict[str, Any], cache_control: CacheControl) -> dict[str, Any]:
    return part if cache_control is None else {**part, "cache_control": dict(cache_control)}


@dataclass(frozen=True, slots=True)
class Text:
    template: str
    path: YamlPath  # where it stands in the document
    cache_control: CacheControl = None

    def canonical(self) -> dict[str, Any]:
        return _with_cache_control({"text": self.template}, self.cache_control)


@dataclass(frozen=True, slots=True)
class ImageInput:
    """A declared input of type image."""

    name: str
    cache_control: CacheControl = None

    def canonical(self) -> dict[str, Any]:
        return _with_cache_control({"image": self.name}, self.cache_control)


@dataclass(frozen=True, slots=True)
class ImageFile:
    path: str
    data: bytes = field(repr=False)
    media_type: str
    cache_control: CacheControl = None

    def canonical(self) -> dict[str, Any]:
        return _with_cache_control({"image_sha256": sha256_hex(self.data)}, self.cache_control)


Part = Text | ImageInput | ImageFile


@dataclass(frozen=True, slots=True)
class Message:
    """``extras`` holds name, cache_control, tool_call_id and tool_calls, which are sent as written."""

    role: str
    content: tuple[Part, ...]
    extras: Mapping[str, Any] = field(default_factory=dict)

    def canonical(self) -> dict[str, Any]:
        return {"role": self.role, "content": [part.canonical() for part in self.content], **self.extras}


@dataclass(frozen=True, slots=True)
class Insert:
    """Messages that come in through an input of type messages."""

    name: str

    def canonical(self) -> dict[str, Any]:
        return {"insert": self.name}


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    schema: Mapping[str, Any]  # empty for messages and image
    kind: Literal["value", "messages", "image"] = "value"
    required: bool = True
    default: Any = None

    @property
    def accepts_text(self) -> bool:
        """Whether a string is a value of this input, so that what was typed is taken verbatim."""
        types = self.schema.get("type", "string")
        return self.kind == "value" and "string" in ([types] if isinstance(types, str) else types)

    @property
    def untrusted(self) -> bool:
        """Whether somebody outside has written it: it is sent between tags."""
        return self.schema.get("untrusted") is True

    @property
    def datamark(self) -> bool:
        return self.schema.get("datamark") is True

    @property
    def sanitize(self) -> tuple[str, ...]:
        return tuple(self.schema.get("sanitize", ()))

    def canonical(self) -> dict[str, Any]:
        if self.kind == "value":
            return {
                key: value
                for key, value in self.schema.items()
                if key not in _ANNOTATIONS and (value or key not in _HANDLING)
            }
        return {"type": self.kind} | ({} if self.required else {"default": self.default})


@dataclass(frozen=True, slots=True)
class Output:
    schema: Mapping[str, Any] | None
    repair: int = 0
    extract: Literal["json", "none"] | None = None  # None: as the provider's abilities have it

    @property
    def schema_text(self) -> str:
        """Compact JSON in source order: models write members in the order in which they are asked for."""
        return "" if self.schema is None else compact_json(self.schema)

    def canonical(self) -> dict[str, Any]:
        written = {"schema": self.schema_text, "repair": self.repair, "extract": self.extract}
        return {key: value for key, value in written.items() if value}


@dataclass(frozen=True, slots=True)
class Check:
    name: str  # given, or made from the kind; unique within the prompt
    kind: str
    argument: Any = None
    negate: bool = False
    weight: float = 1.0
    threshold: float | None = None


GuardSide = Literal["input", "output"]
GuardAction = Literal["block", "redact", "flag", "retry", "replace"]
OnError = Literal["block", "allow"]
Afterwards = Literal["block", "replace", "flag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A check of what comes in or goes out, and what is done where it does not pass."""

    name: str  # given, or that of the check; unique among the guards of the prompt
    on: GuardSide
    check: Check
    do: GuardAction
    on_error: OnError  # what is done where the check cannot say
    replacement: str | None = None  # ``with``: what stands in place of the answer, or of what is redacted
    message: str = ""  # what the caller is told where it blocks
    inputs: tuple[str, ...] = ()  # that it looks at; none: all of them
    retries: int = 0  # how often the model is asked again
    then: Afterwards = "block"  # where it does not pass after that either

    @property
    def changes(self) -> bool:
        """Whether it can change what the model or the caller gets, and so is part of the version."""
        return self.do != "flag"

    def canonical(self) -> dict[str, Any]:
        """Without its name, which nobody gets. What is absent and what is empty mean the same."""
        check = {
            "kind": self.check.kind,
            "argument": self.check.argument,
            "not": self.check.negate,
            "threshold": self.check.threshold,
        }
        content: dict[str, Any] = {
            "on": self.on,
            "check": {key: value for key, value in check.items() if value is not None and value is not False},
            "do": self.do,
            "on_error": self.on_error,
            "with": self.replacement,
            "message": self.message or None,
            "inputs": list(self.inputs) or None,
            "retries": self.retries or None,
            "then": self.then if self.do == "retry" else None,
        }
        return {key: value for key, value in content.items() if value is not None}


@dataclass(frozen=True, eq=False, kw_only=True)
class Prompt:
    """What a prompt file means; two with the same digest ask the same of a model."""

    name: str
    path: str  # below prompts/
    model: str
    messages: tuple[Message | Insert, ...]
    document: Document = field(repr=False)
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    partials: Mapping[str, str] = field(default_factory=dict)  # path -> text, transitive
    tools: tuple[Mapping[str, Any], ...] = ()
    caller_tools: Literal["deny", "allow"] = "deny"  # whether a caller of the gateway may add some
    fallback: tuple[str, ...] = ()
    output: Output | None = None
    max_input_tokens: int | None = None
    checks: tuple[Check, ...] = ()
    guards: tuple[Guard, ...] = ()
    cases: str | None = None  # below prompts/
    probes: tuple[str, ...] = ()  # ids of cases
    log: Mapping[str, Any] = field(default_factory=dict)  # what of its runs is redacted besides
    review: Literal["none", "required"] = "none"  # whether a person releases each answer on a channel
    retention: Mapping[str, str] = field(default_factory=dict)  # of the texts of its runs
    metadata: Mapping[str, Any] = field(default_factory=dict)
    closure: tuple[str, ...] = ()  # every file the digest depends on, the prompt's own first
    recorded_format: int | None = None  # where a digest that was recorded before says it

    @cached_property
    def format(self) -> int:
        """How values are written into texts: as Python does (1), or as JSON (2).

        A version that was recorded has the format of its digest. Files have format 2 where a template can
        write what the two write differently, and else 1, so that their digest is the one they always had.
        """
        return self.format_of_files if self.recorded_format is None else self.recorded_format

    @cached_property
    def format_of_files(self) -> int:
        return JSON_FORMAT if self._prints_json() else PYTHON_FORMAT

    def _prints_json(self) -> bool:
        messages = [message for message in self.messages if isinstance(message, Message)]
        parts = [part for message in messages for part in message.content]
        texts = [part.template for part in parts if isinstance(part, Text)]
        return can_print_json([*texts, *self.partials.values()], self.value_schemas)

    @property
    def value_schemas(self) -> dict[str, Mapping[str, Any]]:
        """What each input is to templates, as a JSON Schema."""
        kinds: dict[str, Mapping[str, Any]] = {"messages": {"type": "array"}, "image": {"type": []}}
        return {name: kinds.get(one.kind, one.schema) for name, one in self.inputs.items()}

    def with_digest(self, digest: str) -> "Prompt | None":
        """The version of these files that has a recorded digest, in whichever format; None for none."""
        forms = (self, *(replace(self, recorded_format=number) for number in FORMATS))
        return next((form for form in forms if form.digest == digest), None)

    @cached_property
    def untrusted_inputs(self) -> frozenset[str]:
        return frozenset(name for name, one in self.inputs.items() if one.untrusted)

    @property
    def takes_caller_tools(self) -> bool:
        return self.caller_tools == "allow"

    @property
    def output_schema(self) -> Mapping[str, Any] | None:
        return self.output.schema if self.output else None

    @cached_property
    def canonical_text(self) -> str:
        return canonical_json(self.canonical()).decode()

    @cached_property
    def digest(self) -> str:
        return sha256_hex(self.canonical_text.encode())

    def canonical(self) -> dict[str, Any]:
        """All that can change a reply. What is absent and what is empty mean the same, so it is left out."""
        content = {
            "model": self.model,
            "parameters": dict(self.parameters),
            "inputs": {name: one.canonical() for name, one in self.inputs.items()},
            "messages": [message.canonical() for message in self.messages],
            "partials": dict(self.partials),
            "tools": compact_json(self.tools) if self.tools else "",
            "caller_tools": self.caller_tools if self.takes_caller_tools else "",
            "fallback": list(self.fallback),
            "output": self.output.canonical() if self.output else None,
            "guards": [guard.canonical() for guard in self.guards if guard.changes],
        }
        return {"format": self.format} | {key: value for key, value in content.items() if value}


def short_digest(digest: str) -> str:
    return f"sha256:{digest[:SHORT_DIGEST_LENGTH]}"
