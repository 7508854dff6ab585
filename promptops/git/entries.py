"""Entries of trees and of the index, as git writes them."""

import posixpath
from collections.abc import Iterator

from promptops.dataclass import dataclass
from promptops.git.process import GitObject


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file, link or submodule of a tree or of the index; ``path`` is from the top of the repository."""

    path: str
    mode: str
    oid: str
    stage: int = 0


def split_names(stdout: bytes) -> list[str]:
    return stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


def tree_entry(line: str) -> TreeEntry:
    facts, _, path = line.partition("\t")
    mode, _, oid = facts.split(" ")
    return TreeEntry(path, mode, oid)


def index_entry(line: str) -> TreeEntry:
    facts, _, path = line.partition("\t")
    mode, oid, stage = facts.split(" ")
    return TreeEntry(path, mode, oid, int(stage))


def tree_entries(tree: GitObject, folder: str) -> Iterator[TreeEntry]:
    """Entries of a tree object as git stores it: mode, name, a zero byte and the raw object id."""
    data, at, width = tree.data, 0, len(tree.oid) // 2
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, name = data[at:end].partition(b" ")
        path = posixpath.join(folder, name.decode("utf-8", "surrogateescape"))
        yield TreeEntry(path, mode.decode().zfill(6), data[end + 1 : end + 1 + width].hex())
        at = end + 1 + width
