"""Templates and inputs to the messages that are sent. Pure."""

import base64
import binascii
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from promptops.config.yaml import InvalidAt, Position, Problem, YamlPath
from promptops.dataclass import dataclass
from promptops.errors import Invalid, MissingInputs
from promptops.prompt import (
    CHAT_SCHEMA_JSON,
    JSON_FORMAT,
    ImageFile,
    Input,
    Insert,
    Part,
    Prompt,
    Text,
    image_type,
    text_parts,
)
from promptops.prompt.canonical_json import canonical_texts, compact_json, json_data_problem, sha256_hex
from promptops.prompt.chat import part_bytes, tool_order_problem
from promptops.prompt.json_schema import (
    Validator,
    explain_schema_error,
    format_path,
    unknown_name_message,
    validator_for,
)
from promptops.prompt.template_types import TemplateFault
from promptops.prompt.templates import CompiledTemplate, free_names
from promptops.prompt.untrusted import NO_NONCE, delimit, sanitize_text, untrusted_uses, with_notice

MAX_IMAGE_BYTES = 20_000_000  # bytes
_TOKEN_BYTES = 4
_MESSAGE_TOKENS = 4
_IMAGE_TOKENS = 765  # what OpenAI counts for 1024 x 1024 pixels in detail

_DATA_URL = re.compile(r"data:image/[a-z]+;base64,([A-Za-z0-9+/=]*)")
_NO_PARTIALS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """``inputs`` are those accepted, defaults among them; an image is a data: URL."""

    messages: tuple[dict[str, Any], ...]
    inputs: Mapping[str, Any]
    nonce: str = ""  # of the tags around untrusted inputs, where there are such inputs


def render_prompt(prompt: Prompt, inputs: Mapping[str, Any], nonce: str = NO_NONCE) -> RenderedPrompt:
    """Accept the inputs and render every message. Raises Invalid, naming the input or the line at fault.

    ``nonce``: one that nobody knows beforehand, for what is sent.
    """
    return render_accepted(prompt, validate_inputs(prompt, inputs), nonce)


def render_accepted(prompt: Prompt, accepted: Mapping[str, Any], nonce: str = NO_NONCE) -> RenderedPrompt:
    """``render_prompt`` for inputs that ``validate_inputs`` has given back."""
    messages = tuple(_messages(prompt, accepted, nonce))
    if any(isinstance(each, Insert) for each in prompt.messages):
        _check_histories(prompt, accepted, messages)
    if not prompt.untrusted_inputs:
        _check_budget(prompt, messages)
        return RenderedPrompt(messages, accepted)
    messages = with_notice(messages, datamark=any(one.datamark for one in prompt.inputs.values()))
    _check_budget(prompt, messages)
    return RenderedPrompt(messages, accepted, nonce)


def validate_inputs(prompt: Prompt, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Check each input against its schema and fill in defaults."""
    for name in inputs:
        if name not in prompt.inputs:
            message, hint = unknown_name_message("input", name, sorted(prompt.inputs))
            raise Invalid(
                f"{message} of `{prompt.name}`", hint=hint if prompt.inputs else "this prompt takes no inputs"
            )
    missing = [f"`{name}`" for name, one in prompt.inputs.items() if one.required and name not in inputs]
    if missing:
        what = f"the input {missing[0]} is" if len(missing) == 1 else f"the inputs {', '.join(missing)} are"
        raise MissingInputs(f"{what} missing", hint=f"give it: -i {missing[0].strip('`')}=VALUE, or =@FILE")
    validators = _validators(prompt)
    return {
        name: _validate_input(one, _sanitized(one, inputs[name]), validators.get(name))
        if name in inputs
        else one.default
        for name, one in prompt.inputs.items()
    }


def _sanitized(declared: Input, value: Any) -> Any:
    return sanitize_text(value, declared.sanitize) if declared.sanitize and type(value) is str else value


def _validate_input(declared: Input, value: Any, validator: Validator | None) -> Any:
    if validator is None:
        return _validate_image(declared.name, value)
    if reason := json_data_problem(value):
        raise Invalid(f"the input `{declared.name}` cannot be used: {reason}")
    if not validator.is_valid(value):
        error = next(iter(validator.iter_errors(value)))
        raise Invalid(
            explain_schema_error(error, f"the input {format_path((declared.name, *error.instance_path))}")
        )
    return value


def _validate_image(name: str, value: Any) -> str:
    data = _image_bytes(name, value)
    if len(data) > MAX_IMAGE_BYTES:
        raise Invalid(f"the image `{name}` has {len(data):,} bytes, and at most {MAX_IMAGE_BYTES:,} are sent")
    media_type = image_type(data)
    if media_type is None:
        raise Invalid(f"the input `{name}` is not a PNG, JPEG, GIF or WebP image")
    return image_data_url(media_type, data)


def _image_bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    found = _DATA_URL.fullmatch(value) if isinstance(value, str) else None
    if found:
        try:
            return base64.b64decode(found[1], validate=True)
        except binascii.Error:
            pass
    hint = f"give the file: -i {name}=@photo.png"
    raise Invalid(f"the input `{name}` must be an image: its bytes, or a data: URL of it", hint=hint)


def image_data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


@lru_cache(maxsize=256)
def _validators(prompt: Prompt) -> Mapping[str, Validator]:
    return {
        name: validator_for(CHAT_SCHEMA_JSON if one.kind == "messages" else compact_json(one.schema))
        for name, one in prompt.inputs.items()
        if one.kind != "image"
    }


@lru_cache(maxsize=256)
def compile_templates(prompt: Prompt) -> Mapping[YamlPath, CompiledTemplate]:
    """Compile what a prompt sends, once; its texts are kept by their content as well."""
    for problem in undelimited_uses(prompt):
        raise InvalidAt(problem)
    return {text.path: _compile(prompt, text) for text in text_parts(prompt)}


def undelimited_uses(prompt: Prompt) -> Iterator[Problem]:
    """Where a template does more with an untrusted input than print it: its tags would be cut or changed."""
    names = prompt.untrusted_inputs
    if not names:
        return
    for text in text_parts(prompt):
        for line, name in untrusted_uses(text.template, names):
            yield _undelimited(prompt.document.path, prompt.document.line_of(text.path, line), name)
    for path, partial in prompt.partials.items():
        for line, name in untrusted_uses(partial, names):
            yield _undelimited(f"prompts/{path}", line, name)


def _undelimited(path: str, line: int, name: str) -> Problem:
    message = f"the untrusted input `{name}` can only be printed as it is"
    hint = f"write {{{{ {name} }}}} or {{% if {name} %}}; `sanitize` cleans it, `maxLength` bounds it"
    return Problem("undelimited", message, path, Position(line, 1), hint)


def _compile(prompt: Prompt, text: Text, *, missing_is_empty: bool = False) -> CompiledTemplate:
    partials = tuple(sorted(prompt.partials.items()))
    try:
        json_values = prompt.format == JSON_FORMAT
        return CompiledTemplate(
            text.template, partials, missing_is_empty=missing_is_empty, json_values=json_values
        )
    except TemplateFault as fault:
        raise _locate_fault(prompt, text, fault) from None


def _locate_fault(prompt: Prompt, text: Text, fault: TemplateFault) -> InvalidAt:
    if fault.partial:
        path, line = f"prompts/{fault.partial}", fault.line
    else:
        path, line = prompt.document.path, prompt.document.line_of(text.path, fault.line)
    return InvalidAt(Problem("template", fault.message, path, Position(line, 1), fault.hint))


def _messages(prompt: Prompt, inputs: Mapping[str, Any], nonce: str) -> Iterable[dict[str, Any]]:
    values = {name: _template_value(prompt.inputs[name], value, nonce) for name, value in inputs.items()}
    for message in prompt.messages:
        if isinstance(message, Insert):
            yield from (dict(one) for one in inputs[message.name])
        else:
            parts = [_part(prompt, part, values, inputs) for part in message.content]
            yield {"role": message.role, "content": _content(parts), **message.extras}


def _check_histories(
    prompt: Prompt, inputs: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse what every provider refuses: no message at all, and tool calls apart from their results."""
    names: list[str] = []
    for message in prompt.messages:
        if isinstance(message, Insert):
            names += [f"`{message.name}[{at}]`" for at in range(len(inputs[message.name]))]
        else:
            names.append("")
    if not names:
        empty = ", ".join(f"`{each.name}`" for each in prompt.messages if isinstance(each, Insert))
        raise Invalid(
            f"no message to send: the input {empty} is an empty history",
            hint="give it a message of role user, or add one to the prompt",
        )
    if problem := tool_order_problem(zip(names, messages, strict=True)):
        raise Invalid(problem, hint="a call's result follows it at once: role tool, with its tool_call_id")


def _template_value(declared: Input, value: Any, nonce: str) -> Any:
    if declared.untrusted:
        return delimit(value, nonce, datamark=declared.datamark)
    if declared.kind != "image":
        return value
    from jinja2 import StrictUndefined

    return StrictUndefined(
        f"the image `{declared.name}` has no text; send it as a part, `image: {declared.name}`"
    )


def _content(parts: list[dict[str, Any]]) -> Any:
    if not parts:
        return None  # an example of the assistant calling tools
    alone = len(parts) == 1 and parts[0].keys() == {"type", "text"}
    return parts[0]["text"] if alone else parts


def _part(prompt: Prompt, part: Part, values: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    cached = {} if part.cache_control is None else {"cache_control": dict(part.cache_control)}
    if isinstance(part, Text):
        text = _render(prompt, part, compile_templates(prompt)[part.path], values)
        return {"type": "text", "text": text, **cached}
    url = image_data_url(part.media_type, part.data) if isinstance(part, ImageFile) else inputs[part.name]
    return {"type": "image_url", "image_url": {"url": url}, **cached}


def _render(prompt: Prompt, text: Text, template: CompiledTemplate, values: Mapping[str, Any]) -> str:
    try:
        return template.render(values)
    except TemplateFault as fault:
        raise _locate_fault(prompt, text, fault) from None


def _check_budget(prompt: Prompt, messages: Sequence[Mapping[str, Any]]) -> None:
    limit = prompt.max_input_tokens
    if limit is not None and (count := estimate_tokens(messages)) > limit:
        position = prompt.document.position(("max_input_tokens",))
        message = f"the messages have about {count:,} tokens, above max_input_tokens {limit:,}"
        hint = "shorten the inputs, or raise max_input_tokens"
        raise InvalidAt(Problem("budget", message, prompt.document.path, position, hint))


def estimate_tokens(messages: Iterable[Mapping[str, Any]]) -> int:
    """Estimate without a tokenizer: a token per four bytes, four a message, 765 an image or file."""
    total = 0
    for message in messages:
        content = message.get("content") or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts = [part[part["type"]] for part in parts if part["type"] in ("text", "refusal")]
        files = sum(map(part_bytes, parts))
        images = len(parts) - len(texts)
        extras = {key: value for key, value in message.items() if key not in ("role", "content")}
        size = (
            files + sum(len(text.encode()) for text in texts) + (len(compact_json(extras)) if extras else 0)
        )
        total += _MESSAGE_TOKENS + math.ceil(size / _TOKEN_BYTES) + _IMAGE_TOKENS * images
    return total


def min_tokens(prompt: Prompt) -> int:
    """Estimate what the prompt costs before anything is put in: inputs without a default are empty."""
    values = {name: one.default for name, one in prompt.inputs.items() if not one.required}
    texts = [
        _render(prompt, text, _compile(prompt, text, missing_is_empty=True), values)
        for text in text_parts(prompt)
    ]
    return estimate_tokens({"role": "user", "content": text} for text in texts)


def messages_hash(messages: Iterable[Mapping[str, Any]]) -> str:
    return sha256_hex(canonical_texts(list(messages)))


def template_variables(prompt: Prompt) -> frozenset[str]:
    """Name what the templates and partials take from outside, whether declared or not."""
    free: set[str] = set()
    stored: set[str] = set()
    for template in (text.template for text in text_parts(prompt)):
        free |= free_names(template)[0]
        stored |= free_names(template)[1]
    for template in prompt.partials.values():
        free |= free_names(template)[0] - stored  # an including template may set what a partial uses
    return frozenset(free)


def render_text(
    template: str,
    values: Mapping[str, Any],
    *,
    partials: Mapping[str, str] = _NO_PARTIALS,
    missing_is_empty: bool = False,
    json_values: bool = True,
    where: str = "template",
) -> str:
    """Render a template that stands alone; ``where`` is what an error calls it."""
    try:
        compiled = CompiledTemplate(
            template,
            tuple(sorted(partials.items())),
            missing_is_empty=missing_is_empty,
            json_values=json_values,
        )
        return compiled.render(values)
    except TemplateFault as fault:
        raise Invalid(f"{fault.partial or where}:{fault.line}: {fault.message}", hint=fault.hint) from None
