"""Versions that were run or evaluated here, and what each of them says."""

from promptops.config.clock import utc_now
from promptops.registry.database import RegistryDatabase


def save_version(
    registry: RegistryDatabase,
    prompt: str,
    digest: str,
    source: str,
    *,
    commit_sha: str | None = None,
    path: str | None = None,
    log: str | None = None,
) -> None:
    """Keep what a digest stands for (canonical JSON), once, so that runs can be rebuilt without git.

    ``log``: the rules of its file on what is redacted, as JSON.
    """
    sql = "SELECT commit_sha, log FROM versions WHERE prompt = ? AND digest = ?"
    known = registry.read(sql, (prompt, digest))
    if known and known[0]["log"] == log and (known[0][0] or commit_sha is None):
        return
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (prompt, digest) DO UPDATE "
            "SET commit_sha = coalesce(versions.commit_sha, excluded.commit_sha), path = excluded.path, "
            "log = excluded.log",
            (prompt, digest, source, commit_sha, path, utc_now(), log),
        )


def read_version_source(registry: RegistryDatabase, prompt: str, digest: str) -> tuple[str, str] | None:
    """A version's canonical JSON, and the rules of its file on what is redacted (JSON)."""
    sql = "SELECT source, coalesce(log, '{}') FROM versions WHERE prompt = ? AND digest = ?"
    rows = registry.read(sql, (prompt, digest))
    return (rows[0][0], rows[0][1]) if rows else None


def read_prompt_log_rules(registry: RegistryDatabase) -> list[str]:
    """The rules on what is redacted of all prompts that ran here (JSON)."""
    sql = "SELECT DISTINCT log FROM versions WHERE log IS NOT NULL"
    return [row[0] for row in registry.read(sql)]


def find_logged_versions(
    registry: RegistryDatabase, prompt: str, digits: str
) -> list[tuple[str, str | None]]:
    """Versions that were run or evaluated here: (digest, commit), by the first digits of the digest."""
    rows = registry.read(
        "SELECT digest, commit_sha FROM versions WHERE prompt = ? AND substr(digest, 1, ?) = ?",
        (prompt, len(digits), digits),
    )
    return [(row[0], row[1]) for row in rows]
