"""Keys of the gateway in the registry, and what they have spent."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from promptops.config.clock import utc_now
from promptops.errors import Invalid, NotFound
from promptops.registry.api_keys import ApiKey, KeyLimits
from promptops.registry.connection import Row
from promptops.registry.database import RegistryDatabase


def add_api_key(registry: RegistryDatabase, key: ApiKey) -> None:
    limits = json.dumps(asdict(key.limits))
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO api_keys (key_id, secret_hash, tenant, limits, created_at, revoked_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (key.key_id, key.secret_hash, key.tenant, limits, key.created_at, key.revoked_at),
        )


def list_api_keys(registry: RegistryDatabase) -> list[ApiKey]:
    """All of them, also those that were revoked, in the order in which they were made."""
    return [_key(row) for row in registry.read("SELECT * FROM api_keys ORDER BY created_at, key_id")]


def api_keys_stamp(registry: RegistryDatabase) -> tuple[Any, ...]:
    """Another one whenever a key was made or revoked, which takes less than to read them all."""
    sql = "SELECT count(*), count(revoked_at), max(created_at) FROM api_keys"
    return tuple(registry.read(sql)[0])


def revoke_api_key(registry: RegistryDatabase, key_id: str) -> ApiKey:
    """The key as it is then. One that was revoked before stays as it was."""
    with registry.write() as connection:
        connection.execute(
            "UPDATE api_keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL", (utc_now(), key_id)
        )
    found = registry.read("SELECT * FROM api_keys WHERE key_id = ?", (key_id,))
    if not found:
        raise NotFound(f"no key `{key_id}`", hint="promptops keys list shows them")
    return _key(found[0])


def spent_by_key(registry: RegistryDatabase, key_id: str, since: str) -> float:
    """What the calls of a key that began since then have cost so far."""
    sql = "SELECT coalesce(sum(spent_usd), 0) FROM runs WHERE api_key = ? AND started_at >= ?"
    return float(registry.read_one(sql, (key_id, since)))


def _key(row: Row) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        secret_hash=row["secret_hash"],
        tenant=row["tenant"],
        limits=_limits(json.loads(row["limits"]), row["key_id"]),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def _limits(kept: Mapping[str, Any], key_id: str) -> KeyLimits:
    """Raises Invalid where a later version has written a limit that this one would not keep."""
    unknown = kept.keys() - KeyLimits.__dataclass_fields__.keys()
    if unknown:
        raise Invalid(
            f"the key {key_id} has the limit `{min(unknown)}`, which is unknown", hint="upgrade promptops"
        )
    lists = {name: tuple(kept[name]) for name in ("allow", "models") if name in kept}
    return KeyLimits(**{**kept, **lists})
