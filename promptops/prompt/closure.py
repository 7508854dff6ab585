"""The files a prompt is made of: read below prompts/, partials with all that they include."""

import json
from collections.abc import Callable
from typing import Any

from promptops.config.json_text import parse_strict_json
from promptops.config.text import decode_text, find_position
from promptops.config.yaml import InvalidAt, Position, Problem, parse_yaml
from promptops.errors import Invalid, NotFound
from promptops.prompt.template_types import Include, TemplateFault
from promptops.prompt.templates import find_includes

FileReader = Callable[[str], bytes]
"""A plain path below prompts/ to its bytes; raises NotFound, or Invalid for what may not be read."""

LineLocator = Callable[[int], tuple[str, Position]]
"""A template's line to the file and the position where it stands."""

PROMPTS_FOLDER = "prompts/"
PARTIAL_SUFFIXES = (".j2", ".md", ".txt")
MAX_INCLUDE_DEPTH = 50
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def image_type(data: bytes) -> str | None:
    """Tell an image's media type from its first bytes; None for what models are not sent."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _IMAGES if data.startswith(magic)), None)


def path_problem(path: str) -> str:
    """Say why a path may not be read: it must stay below prompts/, and have one spelling. "" when it may."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "\\" in path or ":" in parts[0]:
        return f"the path `{path}` leaves prompts/"
    if "" in parts or "." in parts or not path.isprintable():
        return f"the path `{path}` is not spelled plainly"
    return ""


class PartialCollector:
    """Collects the partials that texts include, and what is wrong with them."""

    def __init__(self, read: FileReader) -> None:
        self.read = read
        self.texts: dict[str, str] = {}
        self.problems: list[Problem] = []

    def follow(self, text: str, place: LineLocator, chain: tuple[str, ...] = ()) -> None:
        try:
            includes = find_includes(text)
        except TemplateFault as fault:
            self.report("template", place, fault.line, fault.message, fault.hint)
            return
        for include in includes:
            if message := _include_problem(include, chain):
                self.report("include", place, include.line, message, "paths of partials start below prompts/")
            elif include.name not in self.texts:
                self.add(include, place, chain)

    def add(self, include: Include, place: LineLocator, chain: tuple[str, ...]) -> None:
        name = include.name
        try:
            text = decode_text(self.read(name), PROMPTS_FOLDER + name)
        except NotFound:
            if not include.optional:
                self.report(
                    "include", place, include.line, f"no partial `{name}`", f"create {PROMPTS_FOLDER}{name}"
                )
        except InvalidAt as error:
            self.problems.append(error.problem)
        except Invalid as error:
            self.report("include", place, include.line, error.message, error.hint)
        else:
            self.texts[name] = normalize_newlines(text)
            self.follow(self.texts[name], partial_locator(name), (*chain, name))

    def report(self, rule: str, place: LineLocator, line: int, message: str, hint: str) -> None:
        path, position = place(line)
        self.problems.append(Problem(rule, message, path, position, hint))


def normalize_newlines(text: str) -> str:
    """Count CRLF as LF: a checkout on Windows is the same version."""
    return text.replace("\r\n", "\n")


def partial_locator(name: str) -> LineLocator:
    return lambda line: (PROMPTS_FOLDER + name, Position(line, 1))


def _include_problem(include: Include, chain: tuple[str, ...]) -> str:
    name = include.name
    if name in chain:
        return f"include cycle: {' -> '.join([*chain[chain.index(name) :], name])}"
    if len(chain) >= MAX_INCLUDE_DEPTH:
        return f"includes nested deeper than {MAX_INCLUDE_DEPTH}"
    if message := path_problem(name):
        return message
    return (
        ""
        if name.endswith(PARTIAL_SUFFIXES)
        else f"`{name}` is not a partial: they end in {', '.join(PARTIAL_SUFFIXES)}"
    )


def decode_schema(data: bytes, path: str) -> Any:
    """Decode a JSON Schema kept as a .json or YAML file below prompts/."""
    if path.endswith((".yaml", ".yml")):
        return parse_yaml(data, PROMPTS_FOLDER + path).data
    return _decode_json(data, PROMPTS_FOLDER + path)


def _decode_json(data: bytes, path: str) -> Any:
    text = decode_text(data, path)
    try:
        return parse_strict_json(text)
    except json.JSONDecodeError as error:
        problem = Problem("json", f"not JSON: {error.msg}", path, find_position(text, error.pos))
        raise InvalidAt(problem) from None
    except ValueError as error:
        problem = Problem("json", f"not JSON that can be read: {error}", path, Position(1, 1))
        raise InvalidAt(problem) from None
