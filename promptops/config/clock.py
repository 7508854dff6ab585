"""The one clock: moments are UTC text, which sorts as time does, or seconds since the epoch."""

import time
from datetime import UTC, datetime
from functools import lru_cache

_FORM = "%Y-%m-%dT%H:%M:%S"


def utc_now() -> str:
    return utc_text(time.time())


def utc_text(seconds: float) -> str:
    """``2026-11-02T09:14:00.123Z``: to the millisecond, as the registry holds moments."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_whole_second(whole)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _whole_second(seconds: int) -> str:
    """Many moments of a busy log lie in one second."""
    return time.strftime(_FORM, time.gmtime(seconds))


def format_timestamp(seconds: float) -> str:
    """``2026-11-02T09:14:00Z``: to the second, as git and the state branch hold moments."""
    return f"{time.strftime(_FORM, time.gmtime(seconds // 1))}Z"


def utc_seconds(text: str) -> float:
    """The other way round, from any ISO date or time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
