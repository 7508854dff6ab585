"""Who meets the canary: a function of the salt and the unit alone, so that it is the same everywhere."""

from hashlib import sha256

BUCKETS = 10_000
_PREFIX = b"promptops/assign/v1\0"


def salt_of(prompt: str, channel: str, digest: str, attempt: int = 1) -> str:
    """``PROMPT/CHANNEL/sha256:<64 hex digits>`` of the canary: a canary started again keeps its users.

    New evidence is another ``attempt`` and ends in ``/NUMBER``: the users who met the canary the last time
    would answer as they did then, so that a second false rollback is three times as likely as a first one.
    """
    return f"{prompt}/{channel}/sha256:{digest}" + (f"/{attempt}" if attempt > 1 else "")


def bucket(salt: str, unit: str) -> int:
    """Where a unit falls, from 0 to 9999. Units that UTF-8 cannot hold are told apart as well."""
    drawn = sha256(_PREFIX + salt.encode() + b"\0" + unit.encode(errors="surrogatepass")).digest()
    return int.from_bytes(drawn[:8], "big") * BUCKETS >> 64


def on_canary(salt: str, unit: str, weight_bp: int) -> bool:
    """Nested: a higher weight only adds units."""
    return bucket(salt, unit) < weight_bp
