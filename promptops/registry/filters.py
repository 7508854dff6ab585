"""Which runs are meant: what the reading verbs have in common."""

import re

from promptops.config.clock import utc_moment, utc_seconds, utc_text
from promptops.dataclass import dataclass
from promptops.errors import Invalid

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
ANY_ERROR = "any"
ANY_CHECK = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """All of what is given must hold."""

    prompt: str | None = None  # may hold the wildcards * and ?
    digest: str | None = None  # or the start of one
    model: str | None = None  # as asked for; may hold wildcards
    error: str | None = None  # a type of error, or "any"
    since: str | None = None
    until: str | None = None
    min_cost: float | None = None
    min_latency: float | None = None
    channel: str | None = None
    tag: str | None = None
    tenant: str | None = None
    kind: str | None = None
    eval_id: str | None = None
    state: str | None = None
    version: str | None = None  # as channels call it: v3
    arm: str | None = None
    key_tenant: str | None = None  # whose key of the gateway paid; ``tenant`` is also found in metadata
    failed_check: str | None = None  # the name of a check, or "any"
    thumbs: str | None = None  # "up" or "down"
    traffic: bool | None = None  # what served somebody: runs, and batches on a channel


def parse_time(text: str, option: str = "--since") -> str:
    """A span back from now (``90m``, ``12h``, ``7d``, ``2w``) or an ISO date or time, as UTC text."""
    span = re.fullmatch(r"(\d{1,6})([smhdw])", text)
    if span:
        return utc_text(max(0.0, utc_moment() - int(span[1]) * _UNITS[span[2]]))
    try:
        return utc_text(utc_seconds(text))
    except ValueError:
        raise Invalid(
            f"{option} {text}: neither a span nor a date",
            hint="give 90m, 12h, 7d or 2w, or a date such as 2026-11-02 or 2026-11-02T09:00 (UTC)",
        ) from None
