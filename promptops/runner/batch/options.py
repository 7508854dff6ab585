"""How the calls of a batch are made."""

from typing import Literal

from promptops.dataclass import dataclass
from promptops.runner.batch.provider_jobs.options import ProviderBatch
from promptops.runner.retry import Limits

CacheUse = Literal["use", "refresh", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    concurrency: int = 16  # calls in flight at most
    limits: Limits = Limits(retries=5)
    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None  # dollars
    assume_cost: float | None = None  # dollars a call, where the price is unknown
    cache: CacheUse = "use"  # refresh: ask again, and let later runs find that; off: neither
    wait_on_rate_limit: bool = (
        True  # wait when the provider says that it is too much (429), and go on; else stop
    )
    on: str | None = None  # the address of the Ray cluster whose machines make the calls
    provider: ProviderBatch | None = None  # calls go to the provider's batch service; None: they are made now
