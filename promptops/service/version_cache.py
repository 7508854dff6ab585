"""Versions for a program that asks for the same ones again and again: read again only when something moved.

Nothing here starts git while the files of the repository stand still, and looking whether they do costs a
few calls of ``stat``, at most once a second.
"""

import os
import re
import time
from collections.abc import Iterator
from threading import Lock

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.versions.resolve import Version, resolve_version, with_provenance

CHECK_INTERVAL_S = 1.0
_FULL_ID = re.compile("[0-9a-f]{40}|[0-9a-f]{64}|sha256:[0-9a-f]{64}|v[0-9]+")

FileStamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    version: Version
    refs: FileStamp
    files: FileStamp


class VersionCache:
    """May be shared by threads; one of them reads from git at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[str, _CacheEntry] = {}
        self._lock = Lock()
        self._refs: FileStamp = ()
        self._looked = -CHECK_INTERVAL_S

    def find(self, reference: str) -> Version:
        """Resolve a reference; raises what ``resolve_version`` raises, each time."""
        version = self._unchanged(reference)
        if version is not None:  # without the lock, for which many threads would queue
            return version
        with self._lock:
            return self._unchanged(reference) or self._resolve(reference)

    def _unchanged(self, reference: str) -> Version | None:
        refs, kept = self._ref_stamp(), self._kept.get(reference)
        if kept and (kept.refs == refs or _is_fixed(reference)) and kept.files == self._stamp_of(kept):
            return kept.version
        return None

    def _resolve(self, reference: str) -> Version:
        refs = self._ref_stamp()
        version = resolve_version(reference, self._settings)
        if files := stamp_files(_files_of(version, self._settings)):
            version = resolve_version(reference, self._settings)  # again, so never older than the stamp
        version = with_provenance(version, self._settings)
        self._kept[reference] = _CacheEntry(version, refs, files)
        return version

    def _stamp_of(self, kept: _CacheEntry) -> FileStamp:
        return stamp_files(_files_of(kept.version, self._settings))

    def _ref_stamp(self) -> FileStamp:
        if time.monotonic() - self._looked >= CHECK_INTERVAL_S:
            refs = stamp_files(ref_files(self._settings))
            self._looked, self._refs = time.monotonic(), refs
        return self._refs


def ref_files(settings: Settings) -> Iterator[str]:
    """Every file that a branch, a tag or HEAD can be kept in, whichever way git keeps them."""
    for folder in {settings.git_dir, settings.common_dir}:
        if folder is None:
            continue
        yield from (f"{folder}/{name}" for name in ("HEAD", "packed-refs", "reftable/tables.list"))
        for where, _, names in os.walk(folder / "refs"):
            yield from (f"{where}/{name}" for name in names)


def stamp_files(paths: Iterator[str]) -> FileStamp:
    """What changes when one of these files does; a file that is not there has no part in it."""
    found = []
    for path in paths:
        try:
            facts = os.stat(path)  # noqa: PTH116 - a string already
        except OSError:
            continue
        found.append((path, facts.st_mtime_ns, facts.st_size, facts.st_ino))
    return tuple(sorted(found))


def _files_of(version: Version, settings: Settings) -> Iterator[str]:
    """The files outside git's objects that a version was read from."""
    if version.source == "working tree":
        yield from (f"{settings.prompts}/{path}" for path in version.prompt.closure)
    elif version.source == "index" and settings.git_dir is not None:
        yield str(settings.git_dir / "index")


def _is_fixed(reference: str) -> bool:
    """Whether no move of a branch can give the reference another meaning."""
    return bool(_FULL_ID.fullmatch(reference.partition("@")[2]))
