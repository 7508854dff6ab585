"""Where a registry is: a file, or a database of a PostgreSQL server."""

import hashlib
import os
import re
from dataclasses import field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from promptops.dataclass import dataclass
from promptops.errors import Invalid

_SCHEMES = ("postgresql://", "postgres://")
_OTHER_SCHEME = r"[A-Za-z][\w+.-]{1,20}://"  # no drive, which has one letter
_SECRET = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class PostgresLocation:
    """A database, by the URL that libpq understands.

    ``local``: of a name of its own, where the file of a registry would be; what else belongs to a registry
    is kept beside that. As text it is the URL without its password.
    """

    url: str = field(repr=False)
    local: Path

    def __str__(self) -> str:
        return hide_password(self.url)


RegistryLocation = Path | PostgresLocation


def is_postgres_url(text: str) -> bool:
    return text.startswith(_SCHEMES)


def foreign_url_problem(text: str) -> str:
    """Why a URL of anything but PostgreSQL is no registry; it would be taken for the path of a file."""
    found = None if is_postgres_url(text) else re.match(_OTHER_SCHEME, text)
    return f"is a file or a PostgreSQL database, and not at {found[0]}" if found else ""


def registry_location(text: str, base: Path, home: Path) -> RegistryLocation:
    """What a person or the environment names: a URL, or a path from ``base``.

    ``home``: the folder of what is kept beside a database. Raises `Invalid` for a URL of anything else.
    """
    if is_postgres_url(text):
        return postgres_location(text, home)
    if problem := foreign_url_problem(text):
        raise Invalid(
            f"the registry {problem}",
            hint="write a path, or postgresql://USER@HOST:PORT/DATABASE in lower case",
        )
    return base / expand_home(Path(text))


def postgres_location(url: str, home: Path) -> PostgresLocation:
    name = hashlib.sha256(hide_password(url).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return PostgresLocation(url, home / f"registry.db-{name}")


def local_file(registry: RegistryLocation) -> Path:
    """What the files beside a registry are named after."""
    return registry if isinstance(registry, Path) else registry.local


def may_exist(registry: RegistryLocation) -> bool:
    """Whether it makes sense to open it for reading; of a database that is known when it is asked."""
    return not isinstance(registry, Path) or registry.exists()


def exact_text(registry: RegistryLocation) -> str:
    """What another process finds the same registry by. May hold a password: for its environment only."""
    return str(registry) if isinstance(registry, Path) else registry.url


def is_ambiguous(url: str) -> bool:
    """Whether nobody can say where a password ends: it has a bare `@`, `/`, `?` or `#`."""
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    return url.count("@") > authority.count("@") or authority.count("@") > 1


def hide_password(url: str) -> str:
    """The URL as it may be shown."""
    if is_ambiguous(url):
        return f"{url.partition('://')[0]}://…"
    try:
        parts = urlsplit(url)
        user, mark, hosts = parts.netloc.rpartition("@")
        query = [part for part in parts.query.split("&") if unquote(part.partition("=")[0]) not in _SECRET]
    except ValueError:
        return f"{url.partition('://')[0]}://…"
    netloc = user.partition(":")[0] + mark + hosts
    rest = f"?{'&'.join(query)}" if query != [""] and query else ""
    return f"{parts.scheme}://{netloc}{parts.path}{rest}"  # as `geturl` drops the slashes before no host


def has_password(url: str) -> bool:
    if is_ambiguous(url):
        return True
    try:
        parts = urlsplit(url)
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:
        return True
    return ":" in parts.netloc.rpartition("@")[0] or any(name in _SECRET for name in names)


def expand_home(path: Path) -> Path:
    """As a shell does: what begins with the name of nobody stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser fails there
