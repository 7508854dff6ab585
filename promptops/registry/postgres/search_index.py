"""The index of words of PostgreSQL: of each run a tsvector whose lexemes are three letters in a row.

Where a letter is a word or half of one, as in Chinese, single letters and pairs are lexemes, too. So the
index needs no dictionary, no extension and no locale, and holds what SQLite's holds and more.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import json
from collections.abc import Iterator, Sequence
from typing import Any

from promptops.registry.queries.runs.search_query import Grams, fold_text

_TRIGRAM = 3
_MAX_GRAMS = 40  # of one text: those that follow tell little more
_WIDE = "\u2e80"  # from here on a letter says as much as a word of Latin ones: Han, kana, hangul
_ROOM = 900_000  # bytes of lexemes; a tsvector takes a megabyte
_EVERYTHING = "****"  # the lexeme of texts that have more
_CHUNK = 500  # runs whose texts are held at once
_SELECT = "SELECT seq, inputs, output FROM run_texts WHERE"
_INSERT = (
    "INSERT INTO run_search (seq, grams) VALUES (?, array_to_tsvector(CAST(? AS text[]))) "
    "ON CONFLICT (seq) DO UPDATE SET grams = excluded.grams"
)


class PostgresSearchIndex:
    """See ``SearchIndex``."""

    def has_index(self, connection: Any) -> bool:
        del connection
        return True  # its table is part of the schema

    def create_index(self, connection: Any) -> None: ...

    def drop_index(self, connection: Any) -> None:
        connection.execute("TRUNCATE run_search")

    def index_runs(self, connection: Any, where: str, values: Sequence[Any]) -> None:
        after = -1
        while found := connection.execute(
            f"{_SELECT} {where} AND seq > ? ORDER BY seq LIMIT ?", (*values, after, _CHUNK)
        ).fetchall():
            rows = [(row["seq"], _lexemes(row["inputs"], row["output"])) for row in found]
            connection.executemany(_INSERT, rows)
            after = found[-1]["seq"]

    def unindex_runs(self, connection: Any, where: str, values: Sequence[Any]) -> None:
        connection.execute(f"DELETE FROM run_search WHERE {where}", values)

    def merge_index(self, connection: Any) -> None:
        """What was deleted is left to the server's autovacuum."""
        del connection

    def read_texts(self, connection: Any, seqs: Sequence[int]) -> list[tuple[int, dict[str, str | None]]]:
        """The texts of these runs, the last first: of inputs the values, as keys and escapes are no words."""
        marks = ", ".join("?" * len(seqs))
        found = connection.execute(f"{_SELECT} seq IN ({marks}) ORDER BY seq DESC", seqs)
        return [
            (row["seq"], {"inputs": _input_words(row["inputs"]), "output": row["output"]}) for row in found
        ]

    def grams_of(self, text: str) -> list[str]:
        if len(text) < _TRIGRAM:
            return [text] if any(letter >= _WIDE for letter in text) else []
        found = dict.fromkeys(text[at : at + _TRIGRAM] for at in range(len(text) - _TRIGRAM + 1))
        return list(found)[:_MAX_GRAMS]

    def held_condition(self, grams: Grams) -> tuple[str, str]:
        """A condition on ``r``, a run, and its value: the index holds these of it."""
        condition = "r.seq IN (SELECT seq FROM run_search WHERE grams @@ CAST(CAST(? AS text) AS tsquery))"
        return condition, f"{_expression(grams)} | {_quoted(_EVERYTHING)}"


def _expression(grams: Grams) -> str:
    if isinstance(grams, str):
        return _quoted(grams)
    word, parts = grams
    return f"({(' & ' if word == 'AND' else ' | ').join(_expression(part) for part in parts)})"


def _quoted(gram: str) -> str:
    return "'" + gram.replace("\\", "\\\\").replace("'", "''") + "'"


def _lexemes(inputs: str | None, output: str | None) -> list[str]:
    found: set[str] = set()
    for text in (fold_text(_input_words(inputs)), fold_text(output)):
        found.update(text[at : at + _TRIGRAM] for at in range(len(text) - _TRIGRAM + 1))
        if not text.isascii():
            found.update(letter for letter in text if letter >= _WIDE)
            found.update(
                text[at : at + 2] for at in range(len(text) - 1) if text[at] >= _WIDE or text[at + 1] >= _WIDE
            )
    size = sum(len(each.encode()) for each in found) if len(found) * 12 > _ROOM else 0
    return [_EVERYTHING] if size > _ROOM else list(found)


def _input_words(inputs: str | None) -> str | None:
    """The texts and numbers of a JSON document, one below the other; what is no JSON is a text itself."""
    if inputs is None:
        return None
    try:
        values = json.loads(inputs)
    except (ValueError, RecursionError):
        return inputs
    return "\n".join(_words(values))


def _words(value: Any) -> Iterator[str]:
    """In the order of the document. Not by recursion: a model's JSON may be nested deeply."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += reversed(each.values())
        elif isinstance(each, list):
            waiting += reversed(each)
        elif isinstance(each, str):
            if each[:5].lower() != "data:":
                yield each
        elif isinstance(each, int | float) and not isinstance(each, bool):
            yield str(each)


INDEX = PostgresSearchIndex()
