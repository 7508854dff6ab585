"""Which types of errors, or which checks, have risen when an alarm says that failures have."""

from promptops.dataclass import dataclass
from promptops.monitoring.metrics import Metric
from promptops.registry import FailureKind, FailureWindow, RegistryDatabase, count_failures

_SHOWN = 5
_LONGEST = 80  # of a name
_WHAT: dict[str, FailureKind] = {
    "errors": "errors",
    "probe_errors": "errors",
    "failed_checks": "checks",
    "probe_failed_checks": "checks",
}


@dataclass(frozen=True, slots=True)
class RisenKind:
    """How many runs failed so, and of how many, before and now."""

    name: str
    before: int
    before_runs: int
    now: int
    now_runs: int

    def __str__(self) -> str:
        return f"{self.name} {self.before:,} of {self.before_runs:,} -> {self.now:,} of {self.now_runs:,}"

    @property
    def rise(self) -> float:
        """Of its share."""
        return self.now / self.now_runs - self.before / max(self.before_runs, 1)


def risen_kinds(
    registry: RegistryDatabase, target: tuple[str, str], version: tuple[str, str], metric: Metric, since: str
) -> tuple[RisenKind, ...]:
    """At most five, the largest rise first; ``version``: its digest and its name. None of other metrics."""
    what = _WHAT.get(metric.name.partition("[")[0])
    if what is None:
        return ()
    probes = metric.family == "probes"
    window = FailureWindow(*target, version[probes], since, tag=metric.slice or None, probes=probes)
    before, now = count_failures(registry, window, what)
    kinds = [
        RisenKind(name[:_LONGEST], before.kinds.get(name, 0), before.runs, count, now.runs)
        for name, count in now.kinds.items()
    ]
    risen = sorted((each for each in kinds if each.rise > 0.0), key=lambda each: (-each.rise, each.name))
    return tuple(risen[:_SHOWN])
