"""What pages work with: the project, and who looks at them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

from aiohttp import web

from promptops.config.closing import Closing
from promptops.config.registry_location import local_file
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError, Unavailable
from promptops.registry import RegistryDatabase
from promptops.release.context import ReleaseContext, open_optional_registry, open_release_context
from promptops.service.background_loop import Worker

T = TypeVar("T")
Role = Literal["viewer", "reviewer", "approver"]
ROLES: tuple[Role, ...] = ("viewer", "reviewer", "approver")
"""Each may do what those before it may."""

_BUSY_TIMEOUT_S = 2.0  # longer than writers need, shorter than people wait
_END_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """``actor``: who is recorded for decisions, such as ``Ada <ada@example.org>``; None: as git says."""

    name: str
    role: Role
    session: str  # which its forms are bound to
    has_signed_in: bool = True  # else a proxy says who it is
    actor: str | None = None

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


class Forbidden(PromptopsError):
    """Somebody has not the role that this needs, or a request does not come from a page of ours."""


class Project(Closing):
    """One project's log and releases, off the event loop: each kind of work on one thread, in order."""

    def __init__(self, settings: Settings, *, read_only: bool = False) -> None:
        self.settings = settings
        self.read_only = read_only
        self._reader = _RegistryThread(settings, "promptops-pages-reader")
        self._writer = _RegistryThread(settings, "promptops-pages-writer")
        self._looker = Worker("promptops-pages-releases")
        self._mover = Worker("promptops-pages-moves")

    async def read(self, work: Callable[[RegistryDatabase], T]) -> T:
        """Read the log; empty where there is none yet. Raises Unavailable where it cannot be read."""
        return await self._reader.run(work, create=False)

    async def write(self, work: Callable[[RegistryDatabase], T]) -> T:
        """Write to the log: on disk when this returns. It never waits behind what is read."""
        return await self._writer.run(work, create=True)

    async def releases(self, work: Callable[[ReleaseContext], T], viewer: Viewer | None = None) -> T:
        """Look at releases, or move them in the name of ``viewer``: nobody who looks waits for a remote."""

        def run() -> T:
            with open_release_context(
                self.settings,
                registry=open_optional_registry,
                actor=viewer.actor if viewer else None,
            ) as context:
                return work(context)

        worker = self._mover if viewer else self._looker
        return await asyncio.wrap_future(worker.submit(run))

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._looker.close(_END_TIMEOUT_S)
        self._mover.close(_END_TIMEOUT_S)


class _RegistryThread(Closing):
    """A thread with a connection of its own, which follows the file where that is replaced or migrated."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._worker = Worker(name)
        self._registry: RegistryDatabase | None = None
        self._opened: tuple[object, int] = None, 0  # the file, and its schema

    async def run(self, work: Callable[[RegistryDatabase], T], *, create: bool) -> T:
        return await asyncio.wrap_future(self._worker.submit(lambda: work(self._current(create=create))))

    def _current(self, *, create: bool) -> RegistryDatabase:
        known = self._registry
        if known and self._stands_for_none(known):
            known = None
        if known and self._file() == self._opened[0] and known.schema_number() == self._opened[1]:
            return known
        self._let_go()
        opened = self._registry = self._open(create=create)
        self._opened = self._file(), opened.schema_number()
        return opened

    def _open(self, *, create: bool) -> RegistryDatabase:
        opening = RegistryDatabase.open if create else RegistryDatabase.open_existing
        try:
            return opening(self._settings.registry, busy_s=_BUSY_TIMEOUT_S)
        except Invalid as error:  # one of a later version, or a damaged one: nothing that a page's reader did
            raise Unavailable(error.message, hint=error.hint) from error

    def _stands_for_none(self, known: RegistryDatabase) -> bool:
        """Whether there was none in the database; there may be one now."""
        return known.engine == "sqlite" and not isinstance(self._settings.registry, Path)

    def _file(self) -> object:
        """Which file is there; None where there is none."""
        try:
            found = local_file(self._settings.registry).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _let_go(self) -> None:
        if self._registry:
            with suppress(PromptopsError):
                self._registry.close()
            self._registry = None

    def close(self) -> None:
        with suppress(PromptopsError):
            self._worker.submit(self._let_go)
        self._worker.close(_END_TIMEOUT_S)


PROJECT: web.AppKey[Project] = web.AppKey("project", Project)
VIEWER: web.RequestKey[Viewer | None] = web.RequestKey("viewer")
FORM_TOKEN: web.RequestKey[str] = web.RequestKey("form_token", str)
"""What each form holds, in a field of the name ``csrf``."""


def viewer_of(request: web.Request) -> Viewer:
    """Who looks: the server has found that out before any page is asked."""
    viewer = request[VIEWER]
    assert viewer is not None  # noqa: S101 - whoever is not known is asked to sign in, and shown nothing
    return viewer


def require_role(request: web.Request, role: Role) -> Viewer:
    """Raises Forbidden for who may only look."""
    viewer = viewer_of(request)
    if request.app[PROJECT].read_only:
        raise Forbidden("this server is read-only: nothing is written or released here")
    if not viewer.may(role):
        article = "an" if role == "approver" else "a"
        raise Forbidden(
            f"this takes {article} {role}, and {viewer.name} is a {viewer.role}",
            hint="whoever runs the server gives roles: promptops keys new ADDRESS --role ROLE",
        )
    return viewer
