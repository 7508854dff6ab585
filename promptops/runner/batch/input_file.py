"""The file of a batch: one JSON object a line, ``{"inputs": …, "unit"?: …, "metadata"?: …}``, or CSV.

In CSV the columns ``unit`` and ``metadata.NAME`` have these meanings; every other column is an input, and so
is one that the prompt declares. Cells are read by the schemas of the inputs.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from promptops.config.json_text import parse_strict_json
from promptops.config.text import utf8_lines, without_lfs_pointer
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Prompt
from promptops.prompt.csv_inputs import inputs_from_cells
from promptops.prompt.csv_rows import is_csv, read_csv_rows
from promptops.prompt.json_schema import type_name, unknown_name_message
from promptops.prompt.render import RenderedPrompt, render_prompt
from promptops.runner.batch.shard import Shard

KEYS = ("inputs", "unit", "metadata")
_METADATA = "metadata."


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
    numbers: "array[int]"  # of the lines that hold something, and are of the shard
    total: int  # lines that hold something, of all shards

    @property
    def last(self) -> int:
        return self.numbers[-1] if self.numbers else 0


def scan_input_file(
    file: BinaryIO,
    name: str,
    prompt: Prompt,
    unit: str | None,
    look: Callable[[RenderedPrompt], None] | None = None,
    shard: Shard | None = None,
) -> InputFileScan:
    """Read every line, and render those of the shard.

    Raises Invalid at the first that could not be run, before any is.
    """
    digest, numbers, total = hashlib.sha256(), array("q"), 0
    for line in _read_lines(_hashed(file, digest), name, prompt, unit):
        total += 1
        if shard and not shard.has(total - 1):
            continue
        try:
            rendered = render_prompt(prompt, line.inputs)
        except Invalid as error:
            raise Invalid(f"{name}:{line.number}: {error.message}", hint=error.hint) from None
        numbers.append(line.number)
        if look:
            look(rendered)
    return InputFileScan(digest.hexdigest(), numbers, total)


def read_lines(
    file: BinaryIO, name: str, prompt: Prompt, unit: str | None, shard: Shard | None = None
) -> Iterator[InputLine]:
    file.seek(0)
    lines = _read_lines(file, name, prompt, unit)
    return shard.take(lines) if shard else lines


def _hashed(lines: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        yield line


def _read_lines(lines: Iterable[bytes], name: str, prompt: Prompt, unit: str | None) -> Iterator[InputLine]:
    lines = without_lfs_pointer(name, lines)
    if is_csv(name):
        for number, row in read_csv_rows(name, lines):
            yield _parse_row(row, number, name, prompt, unit)
        return
    for number, raw in enumerate(utf8_lines(name, lines), 1):
        if raw.strip():
            yield parse_line(raw, number, name, unit)


def _parse_row(row: Mapping[str, str], number: int, name: str, prompt: Prompt, unit: str | None) -> InputLine:
    where = f"{name}:{number}"
    about = {column: cell for column, cell in row.items() if _is_about_line(column, prompt)}
    cells = {column: cell for column, cell in row.items() if column not in about}
    metadata = {
        column.removeprefix(_METADATA): cell for column, cell in about.items() if column != "unit" and cell
    }
    data: dict[str, Any] = {
        "inputs": inputs_from_cells(cells, prompt.inputs, where),
        "unit": about.get("unit") or None,
        "metadata": metadata,
    }
    return InputLine(number, data["inputs"], metadata, _read_unit(data, unit, where))


def _is_about_line(column: str, prompt: Prompt) -> bool:
    named = column.startswith(_METADATA) and column != _METADATA
    return column not in prompt.inputs and (column == "unit" or named)


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
        data = parse_strict_json(raw)
    except UnicodeDecodeError as error:
        raise Invalid(f"{where}: not UTF-8 (byte {error.start + 1})", hint="save the file as UTF-8") from None
    except ValueError as error:
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
