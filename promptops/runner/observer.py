"""Who hears of calls as they are made: OpenTelemetry, where the settings say so."""

from typing import TYPE_CHECKING, Protocol

from promptops.config.settings import Settings

if TYPE_CHECKING:
    from promptops.registry import FinishedRun
    from promptops.runner.run import PreparedRun


class CallObserver(Protocol):
    """Neither method waits for anything, or raises."""

    def begun(self, prepared: "PreparedRun") -> None:
        """A model is about to be called, in the context that this is called in."""
        ...

    def ended(self, prepared: "PreparedRun", end: "FinishedRun") -> None: ...


def observer_for(settings: Settings) -> CallObserver | None:
    """Raises Invalid where the SDK that it needs is not installed."""
    if not settings.telemetry.otlp:
        return None
    from promptops.runner.traced_calls import TracedCalls

    return TracedCalls(settings.telemetry, settings.log)
