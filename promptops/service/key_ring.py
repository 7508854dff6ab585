"""The keys of a project as the gateway knows them: read again and again, so that a revoked one ends soon."""

from collections.abc import Mapping

from promptops.config.clock import utc_now
from promptops.config.closing import Closing
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.registry import (
    ApiKey,
    FollowedRegistry,
    RegistryDatabase,
    api_keys_stamp,
    hash_secret,
    list_api_keys,
)
from promptops.service.key_usage import KeyUsage, read_spending
from promptops.service.usage_store import LocalUsage, UsageStore

_BUSY_TIMEOUT_S = 1.0
_SPENDING_ROUNDS = 10  # between two looks at what other processes have spent


@dataclass(frozen=True, slots=True)
class KeyReading:
    """What was read of the keys at one moment; ``spent`` is by key and by the period that it is of."""

    keys: Mapping[str, ApiKey]  # by the hashes of their secrets
    spent: Mapping[str, Mapping[str, float]]


class KeyReader(Closing):
    """Reads keys and their spending. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._registry = FollowedRegistry(
            lambda: RegistryDatabase.open(settings.registry, busy_s=_BUSY_TIMEOUT_S)
        )
        self._round = 0
        self._stamp: tuple[object, ...] = ()
        self._keys: dict[str, ApiKey] = {}

    def read(self) -> KeyReading:
        """Raises what is wrong with the registry."""
        registry = self._registry.current()
        now, stamp = utc_now(), (registry.writer_id, *api_keys_stamp(registry))
        if stamp != self._stamp:
            found = {key.secret_hash: key for key in list_api_keys(registry)}
            # one without keys says nothing of them: it is new, where the registry was taken away
            self._keys, self._stamp = found or self._keys, stamp
        looks = self._round % _SPENDING_ROUNDS == 0
        self._round += 1
        active = [key for key in self._keys.values() if looks and key.revoked_at is None]
        spent = {key.key_id: read_spending(registry, key, now) for key in active}
        return KeyReading(self._keys, spent)

    def close(self) -> None:
        self._registry.close()


class KeyRing:
    """The keys as they were last read, and what each uses. Used by one thread."""

    def __init__(self, store: UsageStore | None = None) -> None:
        self.store = store or LocalUsage()
        self._by_hash: Mapping[str, ApiKey] = {}
        self._usage: dict[str, KeyUsage] = {}

    @property
    def empty(self) -> bool:
        """Whether no key was ever made: then none is needed."""
        return not self._by_hash

    @property
    def has_active(self) -> bool:
        return any(key.revoked_at is None for key in self._by_hash.values())

    def find(self, secret: str) -> ApiKey | None:
        """The key of a secret; None for one that is unknown or was revoked."""
        key = self._by_hash.get(hash_secret(secret))
        return key if key and key.revoked_at is None else None

    def usage(self, key: ApiKey) -> KeyUsage:
        if key.key_id not in self._usage:
            self._usage[key.key_id] = KeyUsage(key.limits, self.store, key.key_id)
        return self._usage[key.key_id]

    def apply(self, reading: KeyReading) -> None:
        self._by_hash = reading.keys
        for key in reading.keys.values():
            if key.key_id in reading.spent:
                self.usage(key).take_in(reading.spent[key.key_id])
