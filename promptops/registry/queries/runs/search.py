"""Runs by the words of their inputs and outputs: the index names runs that may hold them, the texts tell."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import RunFilter
from promptops.registry.queries.runs.conditions import filter_conditions
from promptops.registry.queries.runs.queries import RunRecord, runs_by_seq
from promptops.registry.queries.runs.search_index import (
    Progress,
    RunTexts,
    engine_index,
    indexed_through,
    is_index_complete,
    update_search_index,
)
from promptops.registry.queries.runs.search_query import SearchQuery, excerpt_hit, parse_query

_FIRST, _MOST = 200, 20_000  # runs asked for at once: more each time, while too few hold the words
_TEXTS = 50  # runs whose texts are read at once
_LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SearchHit:
    run: RunRecord
    snippet: str  # the words found stand between \x02 and \x03


@dataclass(frozen=True, slots=True)
class SearchResult:
    hits: list[SearchHit]
    note: str = ""  # why the answer may be less than what was asked for


def search_runs(
    registry: RegistryDatabase, words: str, chosen: RunFilter, *, limit: int, progress: Progress | None = None
) -> SearchResult:
    """Runs that have ended and hold these words, newest first: ``refund OR 返金 NOT "too late"``."""
    query = parse_query(words)
    if registry.writable:
        update_search_index(registry, progress)
    indexed = registry.writable or is_index_complete(registry)
    note = "" if indexed else f"{registry.path} is read-only: all texts were read, without the index"
    where, values = filter_conditions(chosen)
    after = indexed_through(registry) if indexed else 0
    found = find_words(registry, where, values, query, limit, after=after)
    if indexed and len(found) < limit:
        found += find_indexed_words(registry, where, values, query, limit - len(found))
    runs = runs_by_seq(registry, [seq for seq, _ in found])
    snippets = (excerpt_hit(texts, query.terms) for _, texts in found)
    return SearchResult([SearchHit(*each) for each in zip(runs, snippets, strict=True)], note)


def find_words(
    registry: RegistryDatabase,
    where: str,
    values: Sequence[Any],
    query: SearchQuery,
    limit: int,
    *,
    after: int,
) -> list[RunTexts]:
    """The last of the chosen runs that hold the words, without the index: of those behind a number."""
    behind = _holding(registry, f"{where} AND r.seq > ?", (*values, after), query)
    return list(islice(behind, limit))


def find_indexed_words(
    registry: RegistryDatabase, where: str, values: Sequence[Any], query: SearchQuery, limit: int
) -> list[RunTexts]:
    """The last of the chosen runs that hold the words, of those that are in the index."""
    index = engine_index(registry.engine)
    where, values = f"{where} AND r.seq <= ?", (*values, indexed_through(registry))
    if grams := query.grams(index.grams_of):
        held, value = index.held_condition(grams)
        where, values = f"{where} AND {held}", (*values, value)
    return list(islice(_holding(registry, where, values, query), limit))


def _holding(
    registry: RegistryDatabase, where: str, values: Sequence[Any], query: SearchQuery
) -> Iterator[RunTexts]:
    """The chosen runs whose texts hold the words, the last first."""
    sql = (
        f"SELECT r.seq FROM runs r WHERE {where} AND r.seq < ? AND r.state <> 'started' "
        "ORDER BY r.seq DESC LIMIT ?"
    )
    before, size, seqs = _LAST, _FIRST, [_LAST]
    while seqs:
        seqs = [row[0] for row in registry.read(sql, (*values, before, size))]
        for start in range(0, len(seqs), _TEXTS):
            with registry.temp_connection() as connection:
                texts = engine_index(registry.engine).read_texts(connection, seqs[start : start + _TEXTS])
            yield from (each for each in texts if query.finds(each[1]))
        if len(seqs) < size:
            return
        before, size = seqs[-1], min(4 * size, _MOST)
