"""The file of a batch: one JSON object a line, ``{"inputs": …, "unit"?: …, "metadata"?: …}``."""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from promptops.errors import Invalid
from promptops.prompt import Prompt
from promptops.prompt.json_schema import type_name, unknown_name_message
from promptops.prompt.render import RenderedPrompt, render_prompt

KEYS = ("inputs", "unit", "metadata")


@dataclass(frozen=True, slots=True)
class InputLine:
    number: int  # from 1, empty lines counted
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    unit: str | None


@dataclass(frozen=True, slots=True)
class InputFileScan:
    """What one reading of the whole file has found."""

    file_hash: str
    numbers: "array[int]"  # of the lines that hold something

    @property
    def last(self) -> int:
        return self.numbers[-1] if self.numbers else 0


def scan_input_file(
    file: BinaryIO,
    name: str,
    prompt: Prompt,
    unit: str | None,
    look: Callable[[RenderedPrompt], None] | None = None,
) -> InputFileScan:
    """Read and render every line. Raises Invalid at the first that could not be run, before any is."""
    digest, numbers = hashlib.sha256(), array("q")
    for number, raw in enumerate(file, 1):
        digest.update(raw)
        if not raw.strip():
            continue
        line = parse_line(raw, number, name, unit)
        try:
            rendered = render_prompt(prompt, line.inputs)
        except Invalid as error:
            raise Invalid(f"{name}:{number}: {error.message}", hint=error.hint) from None
        numbers.append(number)
        if look:
            look(rendered)
    return InputFileScan(digest.hexdigest(), numbers)


def read_lines(file: BinaryIO, name: str, unit: str | None) -> Iterator[InputLine]:
    file.seek(0)
    for number, raw in enumerate(file, 1):
        if raw.strip():
            yield parse_line(raw, number, name, unit)


def parse_line(raw: bytes, number: int, name: str, unit: str | None = None) -> InputLine:
    where = f"{name}:{number}"
    data = _parse_object(raw, where)
    for key in data:
        if key not in KEYS:
            message, hint = unknown_name_message("key", key, KEYS)
            raise Invalid(f"{where}: {message}", hint=hint or "each line is {inputs, unit?, metadata?}")
    inputs, metadata = data.get("inputs"), data.get("metadata", {})
    if not isinstance(inputs, dict):
        hint = 'each line is {"inputs": {"NAME": "VALUE"}}'
        raise Invalid(f"{where}: `inputs` must be a mapping, not {type_name(inputs)}", hint=hint)
    if not isinstance(metadata, dict):
        raise Invalid(f"{where}: `metadata` must be a mapping, not {type_name(metadata)}")
    return InputLine(number, inputs, metadata, _read_unit(data, unit, where))


def _parse_object(raw: bytes, where: str) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except UnicodeDecodeError as error:
        raise Invalid(f"{where}: not UTF-8 (byte {error.start + 1})", hint="save the file as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{where}: not JSON: {error}", hint="one JSON object a line; nothing was run") from None
    if not isinstance(data, dict):
        raise Invalid(f"{where}: a line must be a mapping, not {type_name(data)}")
    return data


def _read_unit(data: Mapping[str, Any], path: str | None, where: str) -> str | None:
    found: Any = data
    for step in (path or "unit").split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if found is None and path:
        raise Invalid(f"{where}: no unit at `{path}`", hint="--unit names a key such as metadata.user")
    if found is None:
        return None
    if isinstance(found, (dict, list, bool)):
        raise Invalid(f"{where}: the unit must be a string or a number, not {type_name(found)}")
    return str(found)
