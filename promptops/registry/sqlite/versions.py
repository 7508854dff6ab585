"""Versions that were run or evaluated here, and what each of them says."""

from promptops.registry.sqlite.store import RegistryDatabase


def read_version_source(registry: RegistryDatabase, prompt: str, digest: str) -> str | None:
    """A version's canonical JSON."""
    sql = "SELECT source FROM versions WHERE prompt = ? AND digest = ?"
    source: str | None = registry.read_one(sql, (prompt, digest))
    return source


def find_logged_versions(
    registry: RegistryDatabase, prompt: str, digits: str
) -> list[tuple[str, str | None]]:
    """Versions that were run or evaluated here: (digest, commit), by the first digits of the digest."""
    rows = registry.read(
        "SELECT digest, commit_sha FROM versions WHERE prompt = ? AND substr(digest, 1, ?) = ?",
        (prompt, len(digits), digits),
    )
    return [(row[0], row[1]) for row in rows]
