"""Where a service finds versions and releases, and looks for what is new."""

from typing import Protocol

from promptops.config.settings import Settings
from promptops.runner.routing import GitSource, ReleaseSource
from promptops.service.version_cache import VersionCache
from promptops.versions.resolve import Version


class RefreshableSource(ReleaseSource, Protocol):
    """A source that looks for what is new when it is told to."""

    def refresh(self) -> bool: ...

    def judge(self, reference: str) -> Version:
        """What a guard asks as its judge."""
        ...

    def find(self, reference: str) -> Version:
        """What a reference means that names no channel."""
        ...


class RepositorySource(GitSource):
    """A repository as the source of everything."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._current = VersionCache(settings)

    def judge(self, reference: str) -> Version:
        return self._current.find(reference)

    def find(self, reference: str) -> Version:
        return self._current.find(reference)
