"""`${env:NAME:default}` and `${file:path}` in front matter. The environment is never read."""

from collections.abc import Callable
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.errors import Invalid
from promptops.interop.reader import SourceFolder

_MAX_DEPTH = 10  # of files that name files
_AS_WRITTEN = frozenset({"connection", "configuration"})  # addresses and keys stay references


class References:
    """Puts files and defaults in the place of references. What is said of them is told to ``report``."""

    def __init__(self, folder: SourceFolder, report: Callable[[YamlPath, str], None]) -> None:
        self._folder = folder
        self._report = report

    def resolve(self, value: Any, path: YamlPath = (), files: int = 0) -> Any:
        if isinstance(value, dict):
            return {key: self.resolve(each, (*path, key), files) for key, each in value.items()}
        if isinstance(value, list):
            return [self.resolve(each, (*path, index), files) for index, each in enumerate(value)]
        reference = read_reference(value)
        if reference is None:
            return value
        kind, rest = reference
        if kind == "file":
            return self.file(value, rest, path, files)
        return value if not _AS_WRITTEN.isdisjoint(map(str, path)) else self.variable(value, rest, path)

    def variable(self, written: str, rest: str, path: YamlPath) -> str:
        name, colon, default = rest.partition(":")
        if colon and default:
            self._report(path, f"`{default}`, the default: the environment variable {name} is not read")
            return default
        self._report(path, f"the environment variable {name} is not read")
        return written

    def file(self, written: str, name: str, path: YamlPath, files: int) -> Any:
        if files >= _MAX_DEPTH:
            raise Invalid(f"files name one another more than {_MAX_DEPTH} deep: {self._folder.shown(name)}")
        try:
            return self.resolve(self.content(name), path, files + 1)
        except Invalid as error:
            self._report(path, error.message)
            return written

    def content(self, name: str) -> Any:
        if name.endswith(".json"):
            return self._folder.json(name)
        return self._folder.yaml(name).data if name.endswith((".yaml", ".yml")) else self._folder.text(name)


def read_reference(value: Any) -> tuple[str, str] | None:
    """``("file", "a.json")`` for ``${file:a.json}``."""
    if not isinstance(value, str) or not (value.startswith("${") and value.endswith("}")):
        return None
    kind, colon, rest = value[2:-1].partition(":")
    return (kind.lower(), rest) if colon and kind.lower() in ("env", "file") else None
