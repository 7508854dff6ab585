"""What is known of a branch's first-parent line, so that no history is read from git twice.

A *line* is one branch of one repository, seen from one project. ``history_commits`` and ``history_changes``
hold its commits that touch ``prompts/``, oldest first; ``history_prompts`` and ``history_versions`` hold what
was made of them, prompt by prompt, as far as anybody has asked.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from promptops.dataclass import dataclass
from promptops.registry.connection import Connection
from promptops.registry.database import RegistryDatabase
from promptops.registry.sqlite.schema import HISTORY_INDEX_DDL
from promptops.registry.sqlite.store import open_in_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchKey:
    """Which branch, of which repository, seen from which project."""

    repository: str
    prefix: str
    branch: str
    made_by: str  # another release of promptops may read the same files otherwise


@dataclass(frozen=True, slots=True)
class IndexedBranch:
    """How far a line is known: its last commit and how many of its commits touch ``prompts/``."""

    number: int
    tip: str
    commits: int


@dataclass(frozen=True, slots=True)
class IndexedCommit:
    """A commit to be added to a line; each change is (path below ``prompts/``, old blob, new blob)."""

    commit_sha: str
    authored_at: str
    author: str
    subject: str
    changes: Sequence[tuple[str, str | None, str | None]]


@dataclass(frozen=True, slots=True)
class PathChange:
    """What one commit of a line did to the files below ``prompts/``."""

    position: int
    commit_sha: str
    changes: Sequence[tuple[str, str | None, str | None]]


@dataclass(frozen=True, slots=True)
class IndexedPrompt:
    """How far one prompt's versions are known, and which files would change its next one."""

    commits: int
    follows: Sequence[str]
    note: str


@dataclass(frozen=True, slots=True)
class VersionStart:
    """Where a version starts on its line; ``digest`` is None where the prompt was invalid or absent."""

    position: int
    path: str
    digest: str | None
    change: str
    problem: str


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A version together with the commit that it starts at; ``path`` is where the prompt was then."""

    digest: str | None
    commit_sha: str
    authored_at: str
    author: str
    subject: str
    path: str
    change: str
    problem: str

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[0]


def open_in_memory_index() -> RegistryDatabase:
    """An index for one process, where the registry cannot be written."""
    return open_in_memory(Path(":memory:"), HISTORY_INDEX_DDL)


def find_indexed_branch(registry: RegistryDatabase, key: BranchKey) -> IndexedBranch | None:
    found = registry.read(
        "SELECT line, tip, commits FROM history_index"
        " WHERE repository = ? AND prefix = ? AND branch = ? AND made_by = ?",
        (key.repository, key.prefix, key.branch, key.made_by),
    )
    return IndexedBranch(*found[0]) if found else None


def extend_indexed_branch(
    registry: RegistryDatabase,
    key: BranchKey,
    known: IndexedBranch | None,
    tip: str,
    commits: Iterable[IndexedCommit],
) -> bool:
    """Add commits, oldest first, to a line as it was ``known``; False when somebody else was quicker."""
    with registry.write() as connection:
        if find_indexed_branch(registry, key) != known:
            return False
        number, at = (known.number, known.commits) if known else (_insert_branch(connection, key), 0)
        for commit in commits:
            row = (number, at, commit.commit_sha, commit.authored_at, commit.author, commit.subject)
            connection.execute("INSERT INTO history_commits VALUES (?, ?, ?, ?, ?, ?)", row)
            connection.executemany(
                "INSERT INTO history_changes VALUES (?, ?, ?, ?, ?)",
                [(number, at, *change) for change in commit.changes],
            )
            at += 1
        connection.execute("UPDATE history_index SET tip = ?, commits = ? WHERE line = ?", (tip, at, number))
    return True


def _insert_branch(connection: Connection, key: BranchKey) -> int:
    _delete_branch_rows(connection, key)
    values = (key.repository, key.prefix, key.branch, key.made_by)
    new = connection.execute(
        "INSERT INTO history_index (repository, prefix, branch, made_by, tip, commits) "
        "VALUES (?, ?, ?, ?, '', 0) RETURNING line",
        values,
    )
    return int(new.fetchall()[0][0])


def delete_indexed_branch(registry: RegistryDatabase, key: BranchKey) -> None:
    """Drop a line whose branch was rewritten."""
    with registry.write() as connection:
        _delete_branch_rows(connection, key)


def _delete_branch_rows(connection: Connection, key: BranchKey) -> None:
    where = "SELECT line FROM history_index WHERE repository = ? AND prefix = ? AND branch = ?"
    for table in (
        "history_versions",
        "history_prompts",
        "history_changes",
        "history_commits",
        "history_index",
    ):
        delete = f"DELETE FROM {table} WHERE line IN ({where})"  # noqa: S608 - constants
        connection.execute(delete, (key.repository, key.prefix, key.branch))


def read_path_changes(registry: RegistryDatabase, line: IndexedBranch, since: int) -> Iterator[PathChange]:
    """What the line's commits did, oldest first, from position ``since`` on."""
    rows = registry.read(
        "SELECT c.position, c.commit_sha, h.path, h.old_oid, h.new_oid FROM history_commits c"
        " JOIN history_changes h ON h.line = c.line AND h.position = c.position"
        " WHERE c.line = ? AND c.position >= ? ORDER BY c.position",
        (line.number, since),
    )
    for (position, commit_sha), group in groupby(rows, key=lambda row: (row[0], row[1])):
        yield PathChange(position, commit_sha, [(row[2], row[3], row[4]) for row in group])


def find_indexed_prompt(registry: RegistryDatabase, line: IndexedBranch, prompt: str) -> IndexedPrompt | None:
    found = registry.read(
        "SELECT commits, follows, note FROM history_prompts WHERE line = ? AND prompt = ?",
        (line.number, prompt),
    )
    return IndexedPrompt(found[0][0], tuple(json.loads(found[0][1])), found[0][2]) if found else None


def save_indexed_prompt(
    registry: RegistryDatabase,
    line: IndexedBranch,
    prompt: str,
    known: IndexedPrompt,
    versions: Sequence[VersionStart],
    *,
    again: bool,
) -> None:
    """Keep what was found out about a prompt, unless the line has moved on meanwhile."""
    with registry.write() as connection:
        still = "SELECT 1 FROM history_index WHERE line = ? AND tip = ?"
        if connection.execute(still, (line.number, line.tip)).fetchone() is None:
            return
        if again:
            delete = "DELETE FROM history_versions WHERE line = ? AND prompt = ?"
            connection.execute(delete, (line.number, prompt))
        connection.execute(
            "INSERT INTO history_prompts (line, prompt, commits, follows, note) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (line, prompt) DO UPDATE SET commits = excluded.commits, "
            "follows = excluded.follows, note = excluded.note",
            (line.number, prompt, known.commits, json.dumps(known.follows), known.note),
        )
        connection.executemany(
            _SAVE_VERSION,
            [(prompt, v.path, v.digest, v.change, v.problem, line.number, v.position) for v in versions],
        )


_VERSION_COLUMNS = ("path", "digest", "change", "problem", "commit_sha", "authored_at", "author", "subject")
_SAVE_VERSION = (
    f"INSERT INTO history_versions (line, prompt, position, {', '.join(_VERSION_COLUMNS)}) "  # noqa: S608 - constants
    "SELECT line, ?, position, ?, ?, ?, ?, commit_sha, authored_at, author, subject "
    "FROM history_commits WHERE line = ? AND position = ? ON CONFLICT (line, prompt, position) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _VERSION_COLUMNS)
)


def read_indexed_versions(
    registry: RegistryDatabase, line: IndexedBranch, prompt: str
) -> list[IndexedVersion]:
    """Read the versions of a prompt, newest first."""
    rows = registry.read(
        "SELECT digest, commit_sha, authored_at, author, subject, path, change, problem"
        " FROM history_versions WHERE line = ? AND prompt = ? ORDER BY position DESC",
        (line.number, prompt),
    )
    return [IndexedVersion(*row) for row in rows]
