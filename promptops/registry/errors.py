"""What can go wrong with a registry, whichever engine keeps it."""

import sqlite3

from promptops.errors import Invalid, Unavailable

UNFINISHED_COPY = 1_000_000
"""The schema number of a registry that is being copied to: nobody opens it before it is whole."""


class EngineProblem(Exception):
    """What an engine says where there is no better word for it, such as of a value that no column takes."""


class StaleRegistry(Unavailable):
    """What a process has open is no longer what others find at its place."""


class CommitInDoubt(Unavailable):
    """The connection broke while a transaction was being committed, and nobody can say now how that ended."""


def unfinished_copy_error(name: object) -> Invalid:
    return Invalid(
        f"the registry {name} is a copy that is not whole yet",
        hint="wait for `promptops registry copy`, or run it again where it was stopped",
    )


EngineError = (sqlite3.Error, EngineProblem)
