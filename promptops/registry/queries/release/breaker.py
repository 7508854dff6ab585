"""Breakers: a canary that fails call after call, while stable does not, is taken out of service here at once.

The flag is read by every process on this registry; the next tick makes a rollback of it.
"""

from promptops.config.clock import utc_now
from promptops.registry.database import RegistryDatabase

FAILURES_TO_OPEN = 5

# A call whose caller got no valid answer, or got it from stable because the canary could not be sent.
_FAILED = "(error_type IS NOT NULL OR fallback IS NOT NULL)"
# What a guard has let nobody ask says nothing of the version: any caller could open the breaker with it.
_LATEST = (
    f"SELECT seq, {_FAILED} AS failed FROM runs WHERE rollout = ? AND arm = ? AND excluded IS NULL "  # noqa: S608 - constants
    "AND cache_source IS NULL AND state IN ('finished', 'failed') "
    "AND coalesce(error_type, '') <> 'input_blocked' ORDER BY seq DESC LIMIT ?"
)


def open_breakers(registry: RegistryDatabase) -> dict[str, str]:
    """By rollout, why its canary is out of service here."""
    return {row["rollout"]: row["reason"] for row in registry.read("SELECT rollout, reason FROM breakers")}


def breaker_reason(registry: RegistryDatabase, rollout: str) -> str | None:
    """Why this rollout's canary is out of service here; None while it isn't."""
    found: str | None = registry.read_one("SELECT reason FROM breakers WHERE rollout = ?", (rollout,))
    return found


def open_breaker(registry: RegistryDatabase, rollout: str, reason: str) -> None:
    """Take a canary out of service. The first reason stays."""
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO breakers (rollout, reason, opened_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (rollout, reason, utc_now()),
        )


def is_canary_failing(registry: RegistryDatabase, rollout: str) -> bool:
    """Whether the canary's latest calls all failed, and none of stable's.

    Stable must have answered since the first of those failures: where it has not been heard of since, the
    fault may lie with the provider.
    """
    canary = registry.read(_LATEST, (rollout, "canary", FAILURES_TO_OPEN))
    if len(canary) < FAILURES_TO_OPEN or not all(row["failed"] for row in canary):
        return False
    stable = registry.read(_LATEST, (rollout, "stable", FAILURES_TO_OPEN))
    answered_since = bool(stable) and stable[0]["seq"] > canary[-1]["seq"]
    return answered_since and not any(row["failed"] for row in stable)
