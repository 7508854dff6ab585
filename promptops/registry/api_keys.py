"""Keys of the gateway: whose they are, and what they may do. The secret itself is kept nowhere."""

import secrets
from dataclasses import field
from hashlib import sha256
from typing import Self

from promptops.config.clock import utc_now
from promptops.dataclass import dataclass

_PREFIX = "pops"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """What the calls of a key may be and cost. None is no limit."""

    allow: tuple[str, ...] = ("*",)  # references, such as support/*:production
    models: tuple[str, ...] = ()  # that may be called without a prompt, such as openai/gpt-5.4-mini*
    revisions: bool = False  # NAME@REV too, which need not be released
    metrics: bool = False  # what all tenants use
    role: str | None = None  # on the pages for people; None: the key opens none
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    unit_requests_per_minute: int | None = None
    unit_blocked_per_hour: int | None = None  # inputs of a unit that guards have blocked
    usd_per_day: float | None = None
    usd_per_month: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    key_id: str
    secret_hash: str
    tenant: str
    limits: KeyLimits = field(default_factory=KeyLimits)
    created_at: str
    revoked_at: str | None = None

    @classmethod
    def create(cls, tenant: str, limits: KeyLimits) -> tuple[Self, str]:
        """A new key, and its secret, which is shown once."""
        key_id = secrets.token_hex(4)
        secret = f"{_PREFIX}-{key_id}-{secrets.token_urlsafe(32)}"
        key = cls(
            key_id=key_id, secret_hash=hash_secret(secret), tenant=tenant, limits=limits, created_at=utc_now()
        )
        return key, secret


def hash_secret(secret: str) -> str:
    """Of 256 random bits, which nobody guesses: a slow hash would add nothing."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
