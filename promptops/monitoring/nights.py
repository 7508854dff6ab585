"""Days as text (UTC): a night is the day on which its runs were started."""

from datetime import date
from functools import lru_cache

_SATURDAY = 5


@lru_cache(maxsize=64)
def is_weekend(day: str) -> bool:
    return date.fromisoformat(day).weekday() >= _SATURDAY
