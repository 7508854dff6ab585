"""Transactions on a PostgreSQL server that take long to end after they were given their numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_MAKE = """
CREATE FUNCTION commit_slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT OR UPDATE ON runs DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION commit_slowly();
"""
_FORGET = "DROP TRIGGER slow_commit ON runs; DROP FUNCTION commit_slowly"


@contextmanager
def slow_commits(url: str, body: str) -> Iterator[None]:
    """In the block each transaction that has written a run runs ``body``, of PL/pgSQL, before it commits."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(_MAKE.replace("{body}", body))
        try:
            yield
        finally:
            server.execute(_FORGET)
