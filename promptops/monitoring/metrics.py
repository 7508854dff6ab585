"""What is watched of a channel, and what to do when it moves.

Most of the budget of false alarms is for what tells of broken answers, so that it is found soonest; the
others have equal parts of the rest. The parts of all metrics that there are sum to 1, whether they are
watched or not: who has no probes, or asks for no vectors, leaves that part unused, and who begins to
changes nothing of what the others are held to. So it is with slices (runs with a tag that promptops.yaml
names): each has the main metrics for itself, and one fifth of the part of slices though there be fewer.
"""

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from promptops.dataclass import dataclass

Family = Literal["quality", "outcomes", "inputs", "probes", "provider"]
Direction = Literal["rise", "fall"]
OF_VERSION: tuple[Family, ...] = (
    "quality",
    "outcomes",
    "probes",
    "provider",
)  # begin again with each release
MAX_SLICES = 5
MAIN = ("errors", "failed_checks", "refusals", "latency_ms", "output_tokens", "cost_usd")


@dataclass(frozen=True, slots=True)
class Metric:
    """``number``: its values are numbers that are compared by rank; else 0 or 1."""

    name: str
    family: Family
    title: str
    advice: str
    number: bool = False
    slice: str = ""  # the tag of the runs that it is of; empty: of all

    @property
    def budget(self) -> float:
        """Its part of the false alarms that a prompt may have in a year."""
        if self.slice:
            return _OF_SLICES / (MAX_SLICES * len(MAIN))
        part, of = _PARTS[_group(self)]
        return part / of


_LOOK = "read the examples (`promptops runs show RUN`)"
_PROVIDER = f"{_LOOK}; `monitor check --probes` tells whether the model itself has changed"
_USERS = "`promptops monitor inputs NAME` lists inputs far from the cases; add some to the golden set"

_ALL = (
    Metric("errors", "quality", "calls that fail", f"{_LOOK}, then the provider's status page"),
    Metric("failed_checks", "quality", "answers that fail a check", _PROVIDER),
    Metric("refusals", "quality", "answers that decline", _PROVIDER),
    Metric("latency_ms", "quality", "latency", f"{_PROVIDER}; `runs stats` has p50 and p95", number=True),
    Metric("output_tokens", "quality", "tokens of answers", _PROVIDER, number=True),
    Metric("cost_usd", "quality", "cost of a call at list price", _LOOK, number=True),
    Metric("cache_hits", "quality", "answers from the cache", "`promptops cache stats`; did inputs change?"),
    Metric("judge", "outcomes", "scores of the judge", f"{_LOOK}; `review start --unsure`", number=True),
    Metric("thumbs_up", "outcomes", "thumbs that point up", f"{_LOOK}; `promptops review start NAME`"),
    Metric("input_chars", "inputs", "length of inputs", _USERS, number=True),
    Metric("empty_inputs", "inputs", "calls with an empty input", "does the caller fill all inputs?"),
    Metric("structured_inputs", "inputs", "inputs that are JSON or markup", _USERS),
    Metric("capitals", "inputs", "share of capital letters in inputs", _USERS, number=True),
    Metric("other_language", "inputs", "inputs in another language than most", _USERS),
    Metric("new_values", "inputs", "calls with a value never seen before", _USERS),
    Metric("novelty", "inputs", "new words and phrases in inputs", _USERS, number=True),
    Metric("semantic_distance", "inputs", "distance from what inputs usually mean", _USERS, number=True),
    Metric("probe_errors", "probes", "probes that fail", "is the provider up, and the key valid?"),
    Metric("probe_changed", "probes", "probes answered differently than before", _PROVIDER),
    Metric("probe_failed_checks", "probes", "probes that fail a check", f"{_LOOK}; eval another model"),
    Metric("probe_refusals", "probes", "probes that are declined", f"{_LOOK}; eval another model"),
    Metric("probe_chars", "probes", "length of answers to probes", _LOOK, number=True),
    Metric("probe_latency_ms", "probes", "latency of probes", "the provider's status page", number=True),
)  # fmt: skip
METRICS = MappingProxyType({metric.name: metric for metric in _ALL})


def _group(metric: Metric) -> str:
    return "main" if metric.name in MAIN else "probes" if metric.family == "probes" else "other"


_COUNTS = Counter(map(_group, _ALL))
_PARTS = {group: (part, _COUNTS[group]) for group, part in {"main": 0.6, "probes": 0.2, "other": 0.1}.items()}
"""Of the budget, and among how many."""
_OF_SLICES = 0.1


def slice_metric(name: str, tag: str) -> str:
    """The name of a metric of the runs with a tag."""
    return f"{name}[{tag}]"


@lru_cache(maxsize=256)
def find_metric(name: str) -> Metric | None:
    """One of all runs, or a main one of a slice."""
    base, bracket, rest = name.partition("[")
    if not bracket:
        return METRICS.get(name)
    if base not in MAIN or not rest.endswith("]"):
        return None
    tag = rest[:-1]
    return replace(METRICS[base], name=name, title=f"{METRICS[base].title} (tag {tag})", slice=tag)
