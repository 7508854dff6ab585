"""A prompt with another model or other settings: another version, under its own digest."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from promptops.errors import Invalid
from promptops.prompt.canonical_json import compact_json, json_data_problem
from promptops.prompt.json_schema import (
    explain_key_error,
    explain_schema_error,
    format_path,
    validator_for,
)
from promptops.prompt.schema import PROMPT_SCHEMA
from promptops.prompt.types import Prompt

SETTABLE = ("max_input_tokens", "model", "output.extract", "output.repair", "parameters")
_OUTPUT = ("extract", "repair")


def with_overrides(
    prompt: Prompt, *, model: str | None = None, settings: Mapping[str, Any] | None = None
) -> Prompt:
    """Replace the model, and settings named by dotted keys (``parameters.temperature``)."""
    data: dict[str, Any] = {"model": prompt.model, "parameters": copy.deepcopy(dict(prompt.parameters))}
    if prompt.max_input_tokens is not None:
        data["max_input_tokens"] = prompt.max_input_tokens
    if prompt.output is not None:
        data["output"] = {name: value for name in _OUTPUT if (value := getattr(prompt.output, name))}
    for key, value in (settings or {}).items():
        _set(data, key, value)
    if model is not None:
        data["model"] = model
    _validate(data)
    output = replace(prompt.output, **data["output"]) if prompt.output else None
    limit = data.get("max_input_tokens")
    return replace(
        prompt, model=data["model"], parameters=data["parameters"], output=output, max_input_tokens=limit
    )


def _set(data: dict[str, Any], key: str, value: Any) -> None:
    first, *rest = key.split(".")
    if not (key in SETTABLE or (first == "parameters" and all(rest))):
        message, hint = _unknown_setting(key)
        raise Invalid(message, hint=hint)
    if reason := json_data_problem(value):
        raise Invalid(f"the setting `{key}` cannot be used: {reason}")
    if first == "output" and "output" not in data:
        raise Invalid(f"`{key}` needs an output schema, and the prompt has none")
    holder: Any = data
    for step in (first, *rest)[:-1]:
        holder = holder.setdefault(step, {})
        if not isinstance(holder, dict):
            raise Invalid(f"`{key}` cannot be set: `{step}` is not a mapping")
    holder[key.rsplit(".", 1)[-1]] = value


def _unknown_setting(key: str) -> tuple[str, str]:
    """Message and hint. What is like no setting is a parameter's name, as providers know many."""
    last = key.rpartition(".")[2]
    near = [name for name in SETTABLE if name.rpartition(".")[2] == last]
    alike = [name for name in SETTABLE if name.count(".") == key.count(".")]
    near = near or get_close_matches(key, alike, n=1, cutoff=0.8)
    if not near and last.isidentifier() and last != SETTABLE[-1]:
        near = [f"parameters.{last}"]
    if near:
        return f"unknown setting `{key}` (did you mean `{near[0]}`?)", ""
    return f"unknown setting `{key}`", f"known: {', '.join(SETTABLE)}.NAME"


def _validate(data: Mapping[str, Any]) -> None:
    keys = ("model", "parameters", "max_input_tokens")
    schema = {"properties": {key: PROMPT_SCHEMA["properties"][key] for key in keys}}
    output = PROMPT_SCHEMA["properties"]["output"]["properties"]
    schema["properties"]["output"] = {"properties": {name: output[name] for name in _OUTPUT}}
    for error in validator_for(compact_json(schema)).iter_errors(data):
        if error.kind.name == "propertyNames":
            raise Invalid(f"a parameter cannot be set: {explain_key_error(error)[1]}")
        raise Invalid(explain_schema_error(error, format_path(tuple(error.instance_path))))
