"""What reading one configuration needs: its folder, the accounts of every file, the next steps."""

from pathlib import PurePosixPath
from typing import Any

from promptops.errors import Invalid
from promptops.interop.accounts import KeyAccounts, SourceNode
from promptops.interop.model import Finding
from promptops.interop.reader import SourceFile, plain_path
from promptops.interop.target import ImportTarget
from promptops.lint.context import LintProject

CODE_SUFFIXES = frozenset([".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".sh", ".bash", ".pl"])
NEVER_RUN = "code is never run by an import"


class ConfigReading:
    """Files are read once; each keeps accounts of its own."""

    def __init__(self, file: SourceFile, target: ImportTarget, project: LintProject) -> None:
        self.file = file
        self.folder = file.folder
        self.target = target
        self.project = project
        self.steps: dict[str, None] = {}
        self.root = SourceNode.of(file.yaml())
        self._loaded: dict[str, SourceNode] = {file.name: self.root}

    def load(self, reference: str) -> SourceNode:
        """The data of a YAML or JSON file that the configuration names. Raises Invalid."""
        path = plain_path(reference)
        if path not in self._loaded:
            if path.endswith(".json"):
                data = self.folder.json(path)
                self._loaded[path] = self.table(path, data)
            else:
                self._loaded[path] = SourceNode.of(self.folder.yaml(path))
        return self._loaded[path]

    def table(self, path: str, data: Any) -> SourceNode:
        """Accounts for data that was read in another way."""
        if path not in self._loaded:
            self._loaded[path] = SourceNode(data, (), KeyAccounts(data, self.folder.shown(path)))
        return self._loaded[path]

    def lookup(self, node: SourceNode) -> SourceNode | None:
        """What a value stands for: itself, or the data of the file that it names; None for neither."""
        if not is_reference(node.value):
            return node
        if is_code(node.value):
            node.lose(NEVER_RUN)
            return None
        try:
            found = self.load(node.value)
        except Invalid as error:
            node.lose(error.message)
            return None
        node.keep()
        return found

    def text(self, node: SourceNode) -> str | None:
        """A text, or that of the file it names; None, and accounted for, where that cannot be."""
        if not is_reference(node.value):
            return str(node.value)
        if is_code(node.value):
            node.lose(NEVER_RUN)
            return None
        try:
            return self.folder.text(node.value)
        except Invalid as error:
            node.lose(error.message)
            return None

    def findings(self) -> list[Finding]:
        return [finding for node in self._loaded.values() for finding in node.accounts.findings()]

    def lost_values(self) -> dict[str, Any]:
        """What is not in force, by file and key."""
        values: dict[str, Any] = {}
        for path, node in self._loaded.items():
            lost = node.accounts.lost_values()
            start = "" if path == self.file.name else f"{path} "
            values |= {f"{start}{key}": value for key, value in lost.items()}
        return values


def is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("file://")


def is_code(reference: str) -> bool:
    return file_suffix(reference) in CODE_SUFFIXES


def file_suffix(reference: str) -> str:
    """``.js`` of ``file://a/b.js:name``, in lower case."""
    path = plain_path(reference)
    base, colon, name = path.rpartition(":")
    return PurePosixPath(base if colon and "/" not in name else path).suffix.lower()


def is_pattern(path: str) -> bool:
    return any(letter in path for letter in "*?[")
