"""The index of words of SQLite: a table of FTS5 with every three letters in a row.

It holds no texts: what it holds of a run must be taken out with exactly the text that was put in.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Sequence
from typing import Any

from promptops.registry.queries.runs.search_query import Grams, fold_text

_TRIGRAM = 3
_MAX_TRIGRAMS = 40  # of one text: those that follow tell little more
_CREATE = (
    "CREATE VIRTUAL TABLE run_search USING fts5("
    "inputs, output, content='', detail=none, tokenize='trigram case_sensitive 1')"  # texts are folded before
)
_FOLDED = "seq, search_fold(inputs), search_fold(output) FROM search_texts"
_INDEX_ROWS = f"INSERT INTO run_search (rowid, inputs, output) SELECT {_FOLDED}"
_UNINDEX_ROWS = f"INSERT INTO run_search (run_search, rowid, inputs, output) SELECT 'delete', {_FOLDED}"


class SqliteSearchIndex:
    """See ``SearchIndex``."""

    def has_index(self, connection: Any) -> bool:
        """Whether there is an index, and of this form: earlier ones held whole words."""
        row = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'run_search'").fetchone()
        return row is not None and "trigram" in row[0]

    def create_index(self, connection: Any) -> None:
        connection.execute(_CREATE)

    def drop_index(self, connection: Any) -> None:
        connection.execute("DROP TABLE IF EXISTS run_search")

    def index_runs(self, connection: Any, where: str, values: Sequence[Any]) -> None:
        _add_fold(connection)
        connection.execute(f"{_INDEX_ROWS} WHERE {where}", values)

    def unindex_runs(self, connection: Any, where: str, values: Sequence[Any]) -> None:
        _add_fold(connection)
        connection.execute(f"{_UNINDEX_ROWS} WHERE {where}", values)

    def read_texts(self, connection: Any, seqs: Sequence[int]) -> list[tuple[int, dict[str, str | None]]]:
        """The texts of these runs, the last first: of inputs the values, as keys and escapes are no words."""
        marks = ", ".join("?" * len(seqs))
        found = connection.execute(
            f"SELECT seq, inputs, output FROM search_texts WHERE seq IN ({marks}) ORDER BY seq DESC", seqs
        )
        return [(row[0], {"inputs": row[1], "output": row[2]}) for row in found]

    def merge_index(self, connection: Any) -> None:
        """Merge what deletions have left, a bounded part of it."""
        connection.execute("INSERT INTO run_search (run_search, rank) VALUES ('merge', -2000)")

    def grams_of(self, text: str) -> list[str]:
        """Nothing of a text of fewer than three letters."""
        found = dict.fromkeys(text[at : at + _TRIGRAM] for at in range(len(text) - _TRIGRAM + 1))
        return list(found)[:_MAX_TRIGRAMS]

    def held_condition(self, grams: Grams) -> tuple[str, str]:
        """A condition on ``r``, a run, and its value: the index holds these of it."""
        return "r.seq IN (SELECT rowid FROM run_search WHERE run_search MATCH ?)", _expression(grams)


def _expression(grams: Grams) -> str:
    if isinstance(grams, str):
        return '"' + grams.replace('"', '""') + '"'
    word, parts = grams
    return f"({f' {word} '.join(_expression(part) for part in parts)})"


def _add_fold(connection: Any) -> None:
    connection.create_function("search_fold", 1, fold_text, deterministic=True)


INDEX = SqliteSearchIndex()
