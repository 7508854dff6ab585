"""``--fix``: what is mechanical and certain. Each change is checked by reading the file again."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from promptops.checks import CHECK_KINDS, compile_checks
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings
from promptops.config.text import find_index
from promptops.config.yaml import Document, parse_yaml
from promptops.config.yaml import YamlPath as Place
from promptops.errors import Invalid
from promptops.lint.checks import exact_equivalent
from promptops.lint.file_cache import FileCache
from promptops.prompt import Check, load_with_problems

_BOM = b"\xef\xbb\xbf"
_PARTIAL_SUFFIXES = (".j2", ".md", ".txt")
_PROMPT_SUFFIXES = (".yaml", ".yml")
_OPTION_KEYS = ("name", "weight", "threshold", "not")


def fix_files(names: Iterable[str], files: FileCache, settings: Settings) -> Iterator[tuple[str, str]]:
    """Repair the files of some prompts on disk; yields each file's path with what was changed in it."""
    for path in dict.fromkeys(path for name in names for path in _text_paths(name, files)):
        before = files.known(path)
        if before is None:
            continue
        after, changes = fix_bytes(before, path)
        if changes:
            WriteTarget.inside(settings.prompts / path, settings.work_tree).write(after)
            files.forget(path)
            yield f"{settings.prompts_path}/{path}", ", ".join(changes)


def _text_paths(name: str, files: FileCache) -> list[str]:
    """Read a prompt as far as it goes; a file that a byte order mark hides is repaired, then read on."""
    read, asked = files.recording_reader()
    try:
        load_with_problems(name, lambda path: read(path).removeprefix(_BOM))
    except Invalid:
        return []
    return [path for path in asked if path.endswith((*_PROMPT_SUFFIXES, *_PARTIAL_SUFFIXES))]


def fix_bytes(data: bytes, path: str) -> tuple[bytes, list[str]]:
    """Give the repaired bytes, and what was done in words."""
    changes = []
    if data.startswith(_BOM):
        data = data.removeprefix(_BOM)
        changes.append("byte order mark removed")
    if b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")
        changes.append("CRLF made LF")
    if path.endswith(_PROMPT_SUFFIXES):
        data, renamed = _rename_checks(data, path)
        changes += renamed
    return data, changes


def _rename_checks(data: bytes, path: str) -> tuple[bytes, list[str]]:
    changes = []
    while (found := _rename_first_check(data, path)) is not None:
        data, change = found
        changes.append(change)
    return data, changes


def _rename_first_check(data: bytes, path: str) -> tuple[bytes, str] | None:
    try:
        document = parse_yaml(data, path)
    except Invalid:
        return None
    checks = document.data.get("checks") if isinstance(document.data, dict) else None
    for index, item in enumerate(checks if isinstance(checks, list) else ()):
        kind, argument, place = _kind(item, index)
        name = exact_equivalent(kind, argument)
        if name is not None and _is_valid_check(name, argument):
            after = _replace_word(document, place, kind, name)
            if after is not None:
                return after, f"check `{kind}` is now `{name}`"
    return None


def _kind(item: Any, index: int) -> tuple[str, Any, Place]:
    if isinstance(item, str):
        return item, None, ("checks", index)
    kinds = [key for key in item if key not in _OPTION_KEYS] if isinstance(item, dict) else []
    return (kinds[0], item[kinds[0]], ("checks", index, kinds[0])) if len(kinds) == 1 else ("", None, ())


def _is_valid_check(kind: str, argument: Any) -> bool:
    try:
        compile_checks((Check(kind, kind, argument),), "")
    except Invalid:
        return False
    return kind in CHECK_KINDS


def _replace_word(document: Document, place: Place, old: str, new: str) -> bytes | None:
    """Put one word for another at its place; None unless that changes this word and nothing else."""
    source = document.source
    start = find_index(source, document.positions[place])
    start += source[start : start + 1] in {"'", '"'}
    if not source.startswith(old, start):
        return None
    data = f"{source[:start]}{new}{source[start + len(old) :]}".encode()
    wanted = copy.deepcopy(document.data)
    entry = wanted["checks"][place[1]]
    is_word = isinstance(entry, str)
    renamed = new if is_word else {new if key == old else key: value for key, value in entry.items()}
    wanted["checks"][place[1]] = renamed
    return data if parse_yaml(data, document.path).data == wanted else None
