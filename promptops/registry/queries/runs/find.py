"""Runs page by page, the latest logged first, by every filter and by words in their texts."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.filters import ANY_CHECK, RunFilter
from promptops.registry.queries.runs.conditions import filter_conditions, has_wildcard
from promptops.registry.queries.runs.daily_stats import update_daily_stats
from promptops.registry.queries.runs.queries import RunRecord, runs_by_seq
from promptops.registry.queries.runs.search import find_indexed_words, find_words
from promptops.registry.queries.runs.search_index import RunTexts, search_backlog, update_search_index
from promptops.registry.queries.runs.search_query import parse_query

_MAX_BACKLOG = 4_000  # runs that a page may wait for until their words are indexed: a second
_READ_FIRST = 1_000  # runs whose texts are read before the index is asked, which is slow for common words
# a check that few runs have is looked for on their days alone
_DAYS_OF_CHECK = (
    "(r.prompt, substr(r.started_at, 1, 10)) IN (SELECT c.prompt, c.day FROM stats_cells c "
    "JOIN stats_outcomes o ON o.cell = c.cell WHERE o.source = 'check' AND o.name = ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRuns:
    """``before``: where the next page begins, None at the end; ``note``: why there may be more than these."""

    runs: list[RunRecord]
    before: int | None = None
    note: str = ""


def find_runs(
    registry: RegistryDatabase, chosen: RunFilter, *, limit: int, words: str = "", before: int | None = None
) -> FoundRuns:
    """At most ``limit`` of the chosen runs, the last logged first; ``before``: only those logged earlier."""
    where, values = filter_conditions(chosen)
    if before is not None:
        where, values = f"{where} AND r.seq < ?", [*values, before]
    if chosen.failed_check not in (None, ANY_CHECK) and update_daily_stats(registry, chosen.prompt):
        where, values = f"{where} AND {_DAYS_OF_CHECK}", [*values, chosen.failed_check]
    # by the prompt's index, else by the table: both are in order, so that reading ends with the page
    index = (
        "INDEXED BY runs_by_prompt" if chosen.prompt and not has_wildcard(chosen.prompt) else "NOT INDEXED"
    )
    note = ""
    if words:
        seqs, note = _search(registry, where, values, words, before, limit + 1)
    else:
        sql = f"SELECT r.seq FROM runs r {index} WHERE {where} ORDER BY r.seq DESC LIMIT ?"
        seqs = [row[0] for row in registry.read(sql, (*values, limit + 1))]
    more = seqs[limit - 1] if len(seqs) > limit else None
    return FoundRuns(runs=runs_by_seq(registry, seqs[:limit]), before=more, note=note)


def _search(
    registry: RegistryDatabase, where: str, values: list[Any], words: str, before: int | None, limit: int
) -> tuple[list[int], str]:
    """The runs that hold the words, and what keeps others from being found."""
    query = parse_query(words)
    last = before or (registry.read_one("SELECT max(seq) FROM runs") or 0) + 1
    recent = find_words(registry, where, values, query, limit, after=last - _READ_FIRST - 1)
    if len(recent) == limit:
        return _seqs(recent), ""
    backlog = search_backlog(registry)
    if registry.writable and backlog and backlog <= _MAX_BACKLOG:
        update_search_index(registry)
        backlog = 0
    if backlog is None:
        return (
            _seqs(recent),
            f"only {_READ_FIRST:,} runs were looked at: `promptops runs search` makes an index of all",
        )
    found = find_indexed_words(registry, where, values, query, limit)
    seqs = sorted({*_seqs(recent), *_seqs(found)}, reverse=True)[:limit]
    return seqs, f"{backlog:,} runs are not indexed yet: `promptops runs search` does it" if backlog else ""


def _seqs(found: Sequence[RunTexts]) -> list[int]:
    return [seq for seq, _ in found]
