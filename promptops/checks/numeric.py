"""Checks on numbers: one that the output names, and what the call took."""

import math
import re
from collections.abc import Mapping
from typing import Any

from promptops.checks.text import argument_or_expected
from promptops.checks.types import CheckError, CheckSubject, CheckVerdict, quote, to_text

NUMERIC_SCHEMA: Mapping[str, Any] = {
    "type": ["number", "string", "object"],
    "properties": {
        "value": {"type": ["number", "string"]},
        "tolerance": {"type": "number", "minimum": 0},
        "relative": {"type": "number", "minimum": 0},
    },
    "additionalProperties": False,
}
LIMIT_SCHEMA: Mapping[str, Any] = {"type": "number", "minimum": 0}
_NUMBER = r"(?<![\w.])[-+]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?!\w|\.\d)"


def numeric(subject: CheckSubject, argument: Any) -> CheckVerdict:
    """The last number of the output is the one wanted, give or take the tolerance."""
    given = argument if isinstance(argument, dict) else {"value": argument}
    wanted = _expected_number(argument_or_expected(subject, given.get("value"), "numeric"))
    found = last_number(subject.output)
    if found is None:
        return CheckVerdict(passed=False, message=f"there is no number in {quote(subject.output)}")
    allowed = max(given.get("tolerance", 0), given.get("relative", 0) * abs(wanted))
    near = math.isclose(found, wanted, rel_tol=1e-9, abs_tol=allowed) or abs(found - wanted) <= allowed
    about = f", give or take {allowed:g}" if allowed else ""
    return CheckVerdict(near, f"expected {wanted:.12g}{about}, got {found:.12g}", found)


def last_number(text: str) -> float | None:
    """Numbers in English notation: ``-1,234.5``, ``6e3``; signs of currency or per cent are no part."""
    found = re.findall(_NUMBER, text.replace("\N{MINUS SIGN}", "-"))
    return float(found[-1].replace(",", "")) if found else None


def latency(subject: CheckSubject, limit: float) -> CheckVerdict:
    """Milliseconds from the first attempt to the answer, retries and repair included."""
    return _within(subject.latency_ms, limit, "the latency of this answer is unknown", "{:.0f} ms")


def cost(subject: CheckSubject, limit: float) -> CheckVerdict:
    return _within(subject.cost_usd, limit, "the price of this answer is unknown", "{:.6g} USD")


def _within(value: float | None, limit: float, unknown: str, form: str) -> CheckVerdict:
    if value is None:
        raise CheckError(unknown)
    return CheckVerdict(
        value <= limit, f"{form.format(value)}, at most {form.format(limit)} is allowed", value
    )


def _expected_number(value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    number = float(value) if known else last_number(to_text(value))
    if number is None:
        raise CheckError(f"expected {value!r}, which is not a number")
    return number
