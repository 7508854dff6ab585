"""Golden sets: one case at a time, from JSONL, YAML or CSV.

A case is ``{"inputs": {…}, "expected"?: …, "checks"?: […], "tags"?: […], "id"?: "…"}``. In CSV the
columns ``expected``, ``tags`` (separated by spaces) and ``id`` have these meanings; every other column
is an input, read by its schema.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from types import MappingProxyType
from typing import Any

from promptops.config.json_text import parse_strict_json
from promptops.config.text import MAX_BYTES, utf8_lines, without_lfs_pointer
from promptops.config.yaml import parse_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.canonical_json import sha256_hex
from promptops.prompt.csv_inputs import inputs_from_cells
from promptops.prompt.csv_rows import is_csv, read_csv_rows
from promptops.prompt.types import Input


class ExpectedNull:
    """What a case expects that says `expected: null`, where None is a case that expects nothing."""

    __slots__ = ()


EXPECTED_NULL = ExpectedNull()
CASE_KEYS = ("inputs", "expected", "checks", "tags", "id")
_NO_INPUTS: Mapping[str, Input] = MappingProxyType({})
CASE_COLUMNS = ("expected", "tags", "id")
CaseRow = tuple[str, Callable[[], Any]]
"""Where a case stands, and what parses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One golden example. ``id`` is a hash of the content unless the file gives one."""

    id: str
    inputs: Mapping[str, Any]
    expected: Any = None
    checks: tuple[Any, ...] = ()
    tags: tuple[str, ...] = ()
    where: str = ""


def read_cases(path: str, lines: Iterable[bytes], inputs: Mapping[str, Input] = _NO_INPUTS) -> Iterator[Case]:
    """Yield the cases of a file given as its lines. Raises Invalid, naming the line, at the first bad one.

    ``inputs`` are those of the prompt: cells of a CSV file are read by their schemas.
    """
    return (make_case(parse(), where) for where, parse in read_case_rows(path, lines, inputs))


def read_case_rows(path: str, lines: Iterable[bytes], inputs: Mapping[str, Input]) -> Iterator[CaseRow]:
    """As ``read_cases``, each case to be parsed by itself: one that is bad leaves the others readable."""
    ending = path.rpartition(".")[2].lower()
    lines = without_lfs_pointer(path, lines)
    if ending == "jsonl":
        return _from_jsonl(path, lines)
    if ending in ("yaml", "yml"):
        return _from_yaml(path, lines)
    if is_csv(path):
        return _from_csv(path, lines, inputs)
    raise Invalid(f"{path}: cases are .jsonl, .yaml or .csv files", hint="rename the file")


def _from_jsonl(path: str, lines: Iterable[bytes]) -> Iterator[CaseRow]:
    for number, line in enumerate(utf8_lines(path, lines), 1):
        if line.strip():
            where = f"{path}:{number}"
            yield where, partial(_parse_line, line, where)


def _parse_line(line: bytes, where: str) -> Any:
    try:
        return parse_strict_json(line)
    except ValueError as error:
        raise Invalid(f"{where}: not JSON: {error}", hint="one case a line") from None


def _from_yaml(path: str, lines: Iterable[bytes]) -> Iterator[CaseRow]:
    data = b"".join(lines)
    if len(data) > MAX_BYTES:
        hint = "JSONL is read a case at a time, however many there are"
        raise Invalid(f"{path}: {len(data):,} bytes of YAML, and at most {MAX_BYTES:,} are read", hint=hint)
    document = parse_yaml(data, path)
    if not isinstance(document.data, list):
        raise Invalid(f"{path}: cases are a list", hint="start every case with `- inputs:`")
    for index, data in enumerate(document.data):
        yield document.where((index,)), partial(_given, data)


def _given(data: Any) -> Any:
    return data


def _from_csv(path: str, lines: Iterable[bytes], inputs: Mapping[str, Input]) -> Iterator[CaseRow]:
    for number, row in read_csv_rows(path, lines):
        where = f"{path}:{number}"
        yield where, partial(_parse_cells, row, where, inputs)


def _parse_cells(row: Mapping[str, str], where: str, inputs: Mapping[str, Input]) -> dict[str, Any]:
    cells = {name: cell for name, cell in row.items() if name not in CASE_COLUMNS}
    data: dict[str, Any] = {"inputs": inputs_from_cells(cells, inputs, where)}
    data.update({name: row[name] for name in ("expected", "id") if row.get(name)})
    if row.get("tags"):
        data["tags"] = row["tags"].split()
    return data


def make_case(data: Any, where: str) -> Case:
    if not isinstance(data, dict):
        raise Invalid(f"{where}: a case is a mapping with `inputs`")
    for key in data:
        if key not in CASE_KEYS:
            nearest = get_close_matches(key, CASE_KEYS, 1)
            raise Invalid(
                f"{where}: unknown key `{key}`" + (f" (did you mean `{nearest[0]}`?)" if nearest else "")
            )
    inputs, checks, tags = data.get("inputs", {}), data.get("checks", []), data.get("tags", [])
    if not isinstance(inputs, dict):
        raise Invalid(f"{where}: `inputs` is a mapping of names to values")
    if not isinstance(checks, list) or not isinstance(tags, list):
        raise Invalid(f"{where}: `checks` and `tags` are lists")
    return Case(
        id=_content_hash(data, where) if data.get("id") is None else str(data["id"]),
        inputs=inputs,
        expected=EXPECTED_NULL if data.get("expected", "") is None else data.get("expected"),
        checks=tuple(checks),
        tags=tuple(str(tag) for tag in tags),
        where=where,
    )


def expected_json(expected: Any) -> Any:
    """What a case expects, as JSON data: None for null."""
    return None if expected is EXPECTED_NULL else expected


def _content_hash(data: Mapping[str, Any], where: str) -> str:
    try:
        text = json.dumps(data, sort_keys=True, ensure_ascii=True)
    except RecursionError:
        raise Invalid(f"{where}: the case is nested too deeply") from None
    return sha256_hex(text.encode())[:12]


def iter_lines(data: bytes) -> Iterator[bytes]:
    return iter(io.BytesIO(data))
