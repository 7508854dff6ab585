"""The one clock: moments are UTC text, which sorts as time does, or seconds since the epoch.

Moments that several hosts log are compared with each other, so where a server keeps the log its clock is
followed: a host whose own clock is wrong dates what it does as the others would.
"""

import os
import time
from datetime import UTC, date, datetime
from functools import lru_cache

from promptops.errors import Invalid
from promptops.escapes import shorten

TODAY_VARIABLE = "PROMPTOPS_TODAY"
_FORM = "-%m-%dT%H:%M:%S"  # behind the year, which strftime does not fill up with zeros
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_800  # the years 1 to 9999, which ISO dates have
_TOLERATED_S = 1.0  # as little as that hosts may differ by; else moments would jitter with the network
_behind_s = 0.0  # what this host's clock is behind that of the server


def utc_now() -> str:
    return utc_text(utc_moment())


def utc_moment() -> float:
    """Now, in seconds since the epoch."""
    return time.time() + _behind_s


def follow_clock(theirs: float, asked_at: float, answered_at: float) -> None:
    """Date by the clock of a server from now on, where this host's is wrong by more than a second.

    ``theirs``: seconds since the epoch there, at some moment between two of ``time.time()`` here.
    """
    global _behind_s  # noqa: PLW0603 - of the process, as the host's clock is
    slow, fast = theirs - answered_at, theirs - asked_at
    is_right = slow <= _TOLERATED_S and fast >= -_TOLERATED_S
    _behind_s = 0.0 if is_right else (slow + fast) / 2


def utc_text(seconds: float) -> str:
    """``2026-11-02T09:14:00.123Z``: to the millisecond, as the registry holds moments."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_whole_second(whole)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _whole_second(seconds: int) -> str:
    """Many moments of a busy log lie in one second."""
    moment = time.gmtime(seconds)
    return f"{moment.tm_year:04d}{time.strftime(_FORM, moment)}"


def format_timestamp(seconds: float) -> str:
    """``2026-11-02T09:14:00Z``: to the second, as git and the state branch hold moments."""
    return f"{_whole_second(int(seconds // 1))}Z"


def local_day() -> date:
    """The day where the person is, or the one that they ask about, as for what is retired by then."""
    asked = os.environ.get(TODAY_VARIABLE, "")
    try:
        return date.fromisoformat(asked) if asked else date.today()  # noqa: DTZ011 - the person's own zone
    except ValueError:
        said = shorten(asked, 40)
        raise Invalid(f"{TODAY_VARIABLE} must be a day such as 2027-01-31; it is `{said}`") from None


def utc_seconds(text: str) -> float:
    """The other way round, from any ISO date or time; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not _FIRST_S <= seconds < _LAST_S:
        raise ValueError(f"{text} is not within the years 1 to 9999 in UTC")
    return seconds
