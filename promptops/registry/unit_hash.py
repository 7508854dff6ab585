"""Whom a call was for, as a keyed hash: the only thing that is kept of a unit."""

import hashlib
import hmac
import os
from dataclasses import field

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.meta import read_unit_key

UNIT_KEY_VARIABLE = "PROMPTOPS_UNIT_KEY"  # the key of several hosts whose evidence is put together


@dataclass(frozen=True, slots=True)
class UnitKey:
    """``id`` tells keys apart and gives none away: the first 12 hex digits of the key's SHA-256."""

    secret: bytes = field(repr=False)
    id: str

    def hash(self, unit: str) -> str:
        return hmac.digest(self.secret, unit.encode("utf-8", "surrogatepass"), "sha256").hex()


def unit_key(registry: RegistryDatabase) -> UnitKey:
    """The key that units are hashed with here: of the environment, else this registry's own."""
    return unit_key_from_env() or _make_unit_key(read_unit_key(registry))


def known_unit_hashes(registry: RegistryDatabase, unit: str) -> list[str]:
    """What a unit may be logged as here: by the key of the environment, and by the registry's own."""
    keys = (unit_key_from_env(), _make_unit_key(read_unit_key(registry)))
    return list(dict.fromkeys(key.hash(unit) for key in keys if key))


def unit_key_from_env() -> UnitKey | None:
    text = os.environ.get(UNIT_KEY_VARIABLE)
    return _make_unit_key(text) if text else None


def _make_unit_key(text: str) -> UnitKey:
    secret = text.encode("utf-8", "surrogateescape")
    return UnitKey(secret, hashlib.sha256(secret).hexdigest()[:12])
