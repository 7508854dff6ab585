"""What became of every key of a source: an importer says so key by key, and what it forgets is found here."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promptops.config.yaml import Document, YamlPath
from promptops.dataclass import dataclass
from promptops.interop.model import Finding, Verdict
from promptops.privacy.secrets import may_hold_secret, secrets_in_text

_SECRET_NAME = re.compile(r"(?i)api_?key$|token$|secret|password|authorization|^headers$|cookie")
_LEFT_OUT = "(left out)"
_UNREAD = "no counterpart in a prompt file"


class KeyAccounts:
    """``data`` of one file. An entry holds for its path and for all below that has none of its own."""

    def __init__(
        self, data: Any, file: str, line_of: Callable[[YamlPath], int | None] = lambda _: None
    ) -> None:
        self._data = data
        self._file = file
        self._line_of = line_of
        self._entries: dict[YamlPath, tuple[Verdict, str]] = {}
        self._alone: set[YamlPath] = set()

    @classmethod
    def of(cls, document: Document) -> "KeyAccounts":
        return cls(document.data, document.path, lambda path: document.position(path).line)

    def keep(self, *path: str | int) -> None:
        """It is in force as it was."""
        self._entries.setdefault(path, ("kept", ""))

    def change(self, path: YamlPath, note: str) -> None:
        """It is in force in another form; the note says what a person should know."""
        self._entries[path] = ("changed", note)

    def lose(self, path: YamlPath, why: str) -> None:
        """It is not in force."""
        self._entries[path] = ("lost", why)

    def change_alone(self, path: YamlPath, note: str) -> None:
        """As ``change``, of a mapping whose members are accounted for one by one."""
        self.change(path, note)
        self._alone.add(path)

    def where(self, path: YamlPath) -> str:
        """``file:line``, as messages name places."""
        line = self._line_of(path)
        return f"{self._file}:{line}" if line else self._file

    def findings(self) -> list[Finding]:
        """In the order of the file."""
        return [finding for _, finding in self._all()]

    def lost_values(self) -> dict[str, Any]:
        """What is not in force, by its key, without what looks like a secret."""
        lost = (path for path, finding in self._all() if finding.verdict == "lost")
        return {path_text(path): without_secrets(path, value_at(self._data, path)) for path in lost}

    def _all(self) -> Iterator[tuple[YamlPath, Finding]]:
        parents = {path[:length] for path in self._entries for length in range(len(path))}
        parents |= {()} if isinstance(self._data, Mapping | list) else set()  # though no key is mentioned
        return self._walk((), self._data, parents, covered=False)

    def _walk(
        self, path: YamlPath, value: Any, parents: set[YamlPath], *, covered: bool
    ) -> Iterator[tuple[YamlPath, Finding]]:
        entry = self._entries.get(path)
        if entry:
            yield path, self._finding(path, *entry)
            covered = path not in self._alone
        elif not covered and path not in parents and path:
            yield path, self._finding(path, "lost", _UNREAD)
            return
        if path in parents or (path in self._alone and isinstance(value, Mapping | list)):
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            for key, item in items:
                yield from self._walk((*path, key), item, parents, covered=covered)

    def _finding(self, path: YamlPath, verdict: Verdict, note: str) -> Finding:
        return Finding(path_text(path), verdict, note, self._file, self._line_of(path))


class CellAccounts(KeyAccounts):
    """Of data that was made of one value: the worst that is said of its parts is said of the value."""

    def __init__(self, place: "SourceNode") -> None:
        super().__init__(place.value, "")
        self._place = place
        self._worst = 0

    def keep(self, *_: str | int) -> None:
        if not self._worst:
            self._place.keep()

    def change(self, _: YamlPath, note: str) -> None:
        if self._worst < 2:
            self._worst = 1
            self._place.change(note)

    def lose(self, _: YamlPath, why: str) -> None:
        self._worst = 2
        self._place.lose(why)

    def where(self, _: YamlPath) -> str:
        return self._place.where


def path_text(path: YamlPath) -> str:
    """``("tests", 0, "vars")`` as ``tests[0].vars``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".") or "(the file)"


def without_secrets(path: YamlPath, value: Any) -> Any:
    """A value whose members that are named like keys and passwords are left out."""
    if path and isinstance(path[-1], str) and _SECRET_NAME.search(path[-1]):
        return _LEFT_OUT
    if isinstance(value, Mapping):
        return {key: without_secrets((key,), item) for key, item in value.items()}
    if isinstance(value, str) and may_hold_secret(value) and any(secrets_in_text(value)):
        return _LEFT_OUT
    return [without_secrets((), item) for item in value] if isinstance(value, list) else value


def value_at(data: Any, path: YamlPath) -> Any:
    for key in path:
        data = data[key]
    return data


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A value of a source with its place, so that whoever reads it can say what became of it."""

    value: Any
    path: YamlPath
    accounts: KeyAccounts

    @classmethod
    def of(cls, document: Document) -> "SourceNode":
        return cls(document.data, (), KeyAccounts.of(document))

    def __getitem__(self, key: str | int) -> "SourceNode":
        return SourceNode(self.value[key], (*self.path, key), self.accounts)

    def get(self, key: str) -> "SourceNode | None":
        """A member of a mapping; None where there is none, or it is null."""
        if not isinstance(self.value, Mapping) or self.value.get(key) is None:
            return None
        return self[key]

    def members(self) -> "list[tuple[str, SourceNode]]":
        return [(key, self[key]) for key in self.value] if isinstance(self.value, Mapping) else []

    def elements(self) -> "list[SourceNode]":
        """The items of a list; of anything else the node itself."""
        return [self[index] for index in range(len(self.value))] if isinstance(self.value, list) else [self]

    @property
    def where(self) -> str:
        return self.accounts.where(self.path)

    def keep(self) -> None:
        self.accounts.keep(*self.path)

    def change(self, note: str) -> None:
        self.accounts.change(self.path, note)

    def lose(self, why: str) -> None:
        self.accounts.lose(self.path, why)
