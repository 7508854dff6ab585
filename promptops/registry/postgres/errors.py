"""What PostgreSQL says when something is wrong, as errors with a next step."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from promptops.config.registry_location import PostgresLocation
from promptops.errors import Invalid, PromptopsError, Unavailable, disk_full_error
from promptops.registry.errors import CommitInDoubt, EngineProblem

_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)
_BUSY = (errors.LockNotAvailable,)
_ENDED = (errors.QueryCanceled, errors.IdleSessionTimeout, psycopg.InternalError)

_START = "start the server, or name another registry with --registry or PROMPTOPS_REGISTRY"
_CERTIFICATES = (
    "sslrootcert=FILE in the URL names what the server's certificate is signed by; "
    "the host is written as the certificate has it"
)
_SERVICES = "check service= in the URL or PGSERVICE, and ~/.pg_service.conf or PGSERVICEFILE"
_HINTS = (  # of a connection that was refused the server gives words only, and no code; the first that fit
    ("authentication failed", "check the user in the URL, and the password in PGPASSWORD or ~/.pgpass"),
    ("no password supplied", "put the password in PGPASSWORD or ~/.pgpass"),
    ("startup parameter", "the pooler takes no options: ALTER ROLE NAME SET search_path names the schema"),
    ("resolve host", "check the host in the URL or PGHOST"),
    (
        "pg_hba.conf",
        "allow this user, host and database in pg_hba.conf of the server, or try sslmode=require",
    ),
    ("certificate", _CERTIFICATES),
    ("SSL", "set `ssl = on` on the server; sslmode=prefer in the URL is for a network of your own"),
    ("invalid ", "the parameters are https://www.postgresql.org/docs/current/libpq-connect.html"),
    ("of service", _SERVICES),
    ("service file", _SERVICES),
    ('role "', "create it on the server (`createuser NAME`), or name another user in the URL"),
    ("does not exist", "create it on the server (`createdb NAME`), or name another in the URL"),
)


@contextmanager
def translate_postgres_errors(location: PostgresLocation, busy_s: float) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise translate_postgres_error(error, location, busy_s) from error


def translate_postgres_error(  # noqa: PLR0911 - a table
    error: psycopg.Error, location: PostgresLocation, busy_s: float
) -> Exception:
    """The error to raise in place of psycopg's."""
    name = f"the registry {location}"
    if isinstance(error, _BUSY):
        return busy_error(location, busy_s)
    if isinstance(error, _AGAIN):
        return Unavailable(f"{name} was changed by another process at the same time", hint="try again")
    if isinstance(error, errors.DiskFull):
        return disk_full_error(f"for {name}")
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return no_rights_error(location)
    if isinstance(error, errors.InsufficientPrivilege):
        return no_rights_error(location, first_line(error))
    if isinstance(error, _ENDED):
        return _not_done_error(location, error)
    if isinstance(error, errors.TooManyConnections):
        return Unavailable(f"{name} has no connection left", hint="raise max_connections of the server")
    if isinstance(error, psycopg.OperationalError):
        return unreachable_error(location, error)
    return EngineProblem(f"{name}: {first_line(error)}")


def busy_error(location: PostgresLocation, busy_s: float) -> PromptopsError:
    return Unavailable(
        f"the registry {location} has been locked by another process for {busy_s:g} s", hint="try again"
    )


def _not_done_error(location: PostgresLocation, error: psycopg.Error) -> PromptopsError:
    """The server could not, or somebody has ended it, or a limit that an administrator has set."""
    return Unavailable(
        f"the server has not done what was asked of the registry {location}: {first_line(error)}",
        hint="try again; a timeout is longer after ALTER ROLE NAME SET statement_timeout = '5min'",
    )


def no_rights_error(location: PostgresLocation, said: str = "") -> PromptopsError:
    return Invalid(
        f"the registry {location} cannot be written here" if not said else f"the registry {location}: {said}",
        hint="grant its user write access, name another registry with --registry, or run with --no-log",
    )


def bad_url_error(location: PostgresLocation) -> PromptopsError:
    return Invalid(
        f"the registry {location} is not a URL that libpq reads",
        hint="write postgresql://USER@HOST:PORT/DATABASE, other characters as %XX; a password in PGPASSWORD",
    )


def pooled_error(location: PostgresLocation) -> PromptopsError:
    return Invalid(
        f"the registry {location} is behind a pooler that gives one session to several clients in turn",
        hint="set pool_mode = session of pgbouncer, or name the port of the server itself",
    )


def commit_in_doubt_error(location: PostgresLocation, error: psycopg.Error) -> CommitInDoubt:
    return CommitInDoubt(
        f"the registry {location} was lost while it was written: {first_line(error)}",
        hint="what is missing is written again when the server can be reached",
    )


def unreachable_error(location: PostgresLocation, error: psycopg.Error) -> PromptopsError:
    said = first_line(error)
    hint = next((hint for words, hint in _HINTS if words in said), _START)
    return Unavailable(f"the registry {location} cannot be reached: {said}", hint=hint)


def first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
