"""Jobs of the loopback batch provider: what goes wrong with each, how its requests end, what they cost."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

OPENAI_MODEL = "gpt-5.4-mini-2026-03-17"
ANTHROPIC_MODEL = "claude-haiku-4-5-20251001"
Wire = Literal["openai", "anthropic"]
Ending = Literal["answered", "failed", "expired", "cancelled", "no_funds"]
State = Literal["pending", "ended", "expired", "failed", "cancelling", "cancelled"]


@dataclass(frozen=True)
class Rates:
    """Picodollars per token in a job; a direct call costs twice as much."""

    input: int
    cached: int
    written: int
    output: int


RATES = {
    OPENAI_MODEL: Rates(375_000, 37_500, 375_000, 2_250_000),
    ANTHROPIC_MODEL: Rates(500_000, 50_000, 625_000, 2_500_000),
}


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. ``input`` counts all of the prompt, ``output`` all that was generated."""

    input: int
    output: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    def picodollars(self, model: str) -> int:
        rates = RATES[model]
        plain = self.input - self.cached - self.written
        return (
            plain * rates.input
            + self.cached * rates.cached
            + self.written * rates.written
            + self.output * rates.output
        )


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong with one job. Without an argument: nothing, and it is over at the first look."""

    lose_answer: bool = False  # accepted, and the connection is reset before an answer
    server_error: bool = False  # accepted, and answered with a 500
    listed_after: int = 0  # lists of jobs in which it is not shown yet
    fail_validation: bool = False
    polls: int = 0  # looks at it that find it pending
    rate_limited_polls: int = 0  # looks that are answered with a 429, before those
    retry_after: float = 0  # seconds
    expire_after: int | None = None  # requests that are answered before its time runs out
    cancel_after: int = 0  # ... before it is cancelled, where it is
    no_funds_after: int | None = None  # ... before the account is empty
    fail_every: int = 0  # each n-th request fails: 33 are 3 %
    fail_status: int = 500
    duplicate_every: int = 0  # each n-th line of the results stands there twice
    shuffle: bool = False
    unknown_lines: int = 0  # with a custom_id that nobody has sent
    garbage: Sequence[bytes] = ()  # lines before the first
    truncate: bool = False  # the last line lacks its end
    cut_downloads: int = 0  # of a file of results, that lack its end
    files_gone: bool = False


@dataclass(frozen=True)
class Outcome:
    custom_id: str
    ending: Ending
    model: str
    text: str = ""
    usage: Usage | None = None


@dataclass
class Job:
    id: str
    wire: Wire
    requests: list[tuple[str, dict[str, Any]]]
    faults: Faults
    metadata: dict[str, str] = field(default_factory=dict)
    problem: str = ""  # why it is not valid
    state: State = "pending"
    created: float = field(default_factory=time.time)
    polls: int = 0
    lists: int = 0
    downloads: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[str]:
        return Counter(outcome.ending for outcome in self.outcomes)

    def advance(self, finish: Callable[["Job", int, State], None]) -> None:
        """What a look at it that was not refused finds."""
        faults = self.faults
        if self.state == "cancelling":
            finish(self, faults.cancel_after, "cancelled")
        elif self.state != "pending" or self.polls <= faults.polls + faults.rate_limited_polls:
            return
        elif faults.fail_validation or self.problem:
            self.state, self.problem = "failed", self.problem or "This line is not parseable as valid JSON."
        elif faults.expire_after is not None:
            finish(self, faults.expire_after, "expired")
        else:
            finish(self, len(self.requests), "ended")

    def ending(self, number: int, most: int, state: State) -> Ending:
        """Of the n-th request, where ``most`` had their turn before the job ended."""
        if number > most:
            return "expired" if state == "expired" else "cancelled"
        if self.faults.no_funds_after is not None and number > self.faults.no_funds_after:
            return "no_funds"
        every = self.faults.fail_every
        return "failed" if every and number % every == 0 else "answered"


@dataclass(frozen=True)
class Charge:
    job: str  # "" of a direct call
    custom_id: str
    picodollars: int


def echo(request: Mapping[str, Any]) -> str:
    said = [message for message in request["messages"] if message.get("role") == "user"]
    content = said[-1]["content"] if said else ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def count_tokens(request: Mapping[str, Any], text: str) -> Usage:
    """Some of everything that a bill depends on, the same ones each time."""
    sent = 40 + len(json.dumps(request["messages"]).split())
    reasoning = 3 * (len(text) % 5)
    return Usage(sent, len(text.split()) + 1 + reasoning, cached=sent // 4, reasoning=reasoning)


def written(rows: list[dict[str, Any]], faults: Faults) -> bytes:
    """Rows as a file of results, with what the script wants wrong in it."""
    lines = [json.dumps(row).encode() for row in rows]
    if faults.duplicate_every:
        lines += lines[:: faults.duplicate_every]
    strangers = range(faults.unknown_lines if rows else 0)
    lines += [json.dumps(rows[0] | {"custom_id": f"nobody-{each}"}).encode() for each in strangers]
    if faults.shuffle:
        lines = lines[1::2][::-1] + lines[::2]
    content = b"".join(line + b"\n" for line in [*faults.garbage, *lines])
    return content[:-20] if faults.truncate else content
