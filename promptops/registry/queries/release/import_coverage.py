"""Which stretches of other registries' logs have arrived here, and what is missing between them."""

import json
from collections.abc import Iterable, Iterator

from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.log_gaps import LogGap
from promptops.registry.queries.meta import read_meta, save_meta
from promptops.registry.queries.rows import record_json
from promptops.registry.release_export_reader import ExportHeader

_EXPORTED_AT_KEY = (
    "exported:{0}:{1}"  # in ``meta``, with a registry's id and a stretch's start: when it was told
)
_GAPS = "gaps:"  # in ``meta``, with a registry's id: what it said last is missing of its own log


def save_import_coverage(registry: RegistryDatabase, header: ExportHeader, now: str) -> None:
    """Keep what a file covers, within the transaction that takes in its runs."""
    exported_key = _EXPORTED_AT_KEY.format(header.registry_id, header.since_seq)
    gaps_key = f"{_GAPS}{header.registry_id}"
    with registry.write() as connection:
        stretch = (header.registry_id, header.since_seq, header.through_seq, now)
        connection.execute("INSERT INTO imports VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", stretch)
        if read_meta(registry, exported_key) is None:
            save_meta(registry, exported_key, header.exported_at)
        stored = read_meta(registry, gaps_key)
        if stored is None or json.loads(stored)["at"] <= header.exported_at:
            text = record_json({"at": header.exported_at, "gaps": list(header.gaps)})
            save_meta(registry, gaps_key, text)


def describe_import_gaps(registry: RegistryDatabase, since: str) -> list[str]:
    """Sentences about what is missing of other registries' logs since a time (UTC text).

    Files that have not arrived, behind which others have; and gaps that a registry itself has found.
    """
    return [*_missing_files(registry, since), *_reported_gaps(registry, since)]


def _missing_files(registry: RegistryDatabase, since: str) -> Iterator[str]:
    rows = registry.read("SELECT * FROM imports ORDER BY registry_id, since_seq, through_seq")
    known: dict[str, int] = {}
    for row in rows:
        name, reached = row["registry_id"], known.get(row["registry_id"], 0)
        if row["since_seq"] > reached and _exported_at(registry, name, row["since_seq"]) >= since:
            yield (
                f"the runs {reached + 1:,} to {row['since_seq']:,} of the registry {name} have not been "
                "imported: a file is missing"
            )
        known[name] = max(reached, row["through_seq"])


def _exported_at(registry: RegistryDatabase, name: str, since_seq: int) -> str:
    """When a file was written, whenever it arrived: what was lost before says nothing of later times."""
    return read_meta(registry, _EXPORTED_AT_KEY.format(name, since_seq)) or ""


def _reported_gaps(registry: RegistryDatabase, since: str) -> Iterator[str]:
    rows = registry.read("SELECT key, value FROM meta WHERE key >= ? AND key < ?", (_GAPS, f"{_GAPS}~"))
    for row in rows:
        for gap in _decode_gaps(json.loads(row["value"])["gaps"]):
            if gap.at >= since:
                yield f"in the registry {row['key'].removeprefix(_GAPS)} {gap}"


def _decode_gaps(gaps: Iterable[dict[str, object]]) -> Iterator[LogGap]:
    for each in gaps:
        yield LogGap(**each)  # type: ignore[arg-type]  # looked at when the file was read
