"""``--provider-batch``: how calls go to a provider's batch service."""

from collections.abc import Callable, Sequence

from promptops.dataclass import dataclass
from promptops.registry import StoredJob

OnWaiting = Callable[[Sequence[StoredJob]], None]
"""Called with the jobs that are waited for whenever the provider was asked, and with none at the end."""


def _ignore(_: Sequence[StoredJob]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderBatch:
    """``command`` are the words that go on with it; ``detach``: submit, and do not wait for answers."""

    detach: bool = False
    command: Sequence[str] = ()
    on_waiting: OnWaiting = _ignore
    only: str | None = None  # the id of the work that is gone on with: there is to be no other
