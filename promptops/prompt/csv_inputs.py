"""Cells of a table as inputs of a prompt, read by the inputs' schemas."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from promptops.config.json_text import parse_strict_json
from promptops.errors import Invalid
from promptops.escapes import shorten
from promptops.prompt.types import Input
from promptops.prompt.value_types import ALL_TYPES, schema_types

_MAX_SHOWN = 60  # characters of a cell in a message
_GERMAN = re.compile(r"[+-]?(?:(?:\d{1,3}(?:\.\d{3})+|0),\d+|\d+,(?:\d\d?|\d{4,})|\d{1,3}(?:\.\d{3}){2,})")
_ENGLISH = re.compile(r"[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def inputs_from_cells(cells: Mapping[str, str], declared: Mapping[str, Input], where: str) -> dict[str, Any]:
    """Values by name; an empty cell takes the default. Raises Invalid, naming row and column.

    Cells of names that are not declared are texts.
    """
    return {
        name: _cell_value(name, cell, declared.get(name), where)
        for name, cell in cells.items()
        if cell or name not in declared or declared[name].required
    }


def _cell_value(name: str, cell: str, declared: Input | None, where: str) -> Any:
    """A text where the schema allows one, else JSON."""
    types = _types_of(declared)
    if "string" in types:
        return cell
    try:
        return _parse_cell(cell.strip(), types)
    except (ValueError, RecursionError):
        if not cell.strip():
            raise Invalid(f"{where}: column `{name}` is empty, and the input has no default") from None
        message = (
            f"column `{name}`: `{shorten(cell, _MAX_SHOWN)}` is not of type {' or '.join(sorted(types))}"
        )
        raise Invalid(f"{where}: {message}", hint=_hint(cell.strip(), types)) from None


def _hint(word: str, types: Iterable[str]) -> str:
    if "number" in types and _EITHER.fullmatch(word):
        return f"it may mean {word.replace(',', '.')} or {word.replace(',', '')}: write the one that is meant"
    return "write it as JSON: 3, true, [1, 2]"


def _types_of(declared: Input | None) -> Iterable[str]:
    if declared is None:
        return ALL_TYPES
    if declared.kind == "messages":
        return {"array"}
    return schema_types(declared.schema if declared.kind == "value" else {})


def _parse_cell(word: str, types: Iterable[str]) -> Any:
    if "boolean" in types and word.lower() in {"true", "false"}:  # spreadsheets write TRUE
        return word.lower() == "true"
    if "number" in types:
        word = _plain_number(word)
    return parse_strict_json(word)


def _plain_number(word: str) -> str:
    """A number as spreadsheets write it in other countries, where it can mean but one."""
    if _GERMAN.fullmatch(word):
        word = word.replace(".", "").replace(",", ".")
    elif _ENGLISH.fullmatch(word):
        word = word.replace(",", "")
    else:
        return word
    return word.removeprefix("+")
