"""What a shadow run is asked for."""

from pathlib import Path

from promptops.dataclass import dataclass
from promptops.evaluation.engine import DEFAULT_MARGIN, SEED
from promptops.evaluation.shadow.embedding_similarity import EmbeddingOptions
from promptops.evaluation.shadow.input_sampling import SamplingPlan
from promptops.evaluation.variants import Variant
from promptops.runner.batch import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRequest:
    """What is asked for. With ``aa`` the candidate is the control once more."""

    control: Variant
    candidate: Variant
    choice: SamplingPlan | None = None  # of the log
    file: Path | None = None
    recorded: bool = False  # the control's side is what was answered then
    aa: bool = False
    full: bool = False  # go on when the verdict is in
    min_pairs: int = 0  # go on until then, unless it is worse
    margin: float = DEFAULT_MARGIN
    seed: int = SEED  # of which inputs are drawn, their order, and the order of the two calls
    judge: str | None = None
    semantic: EmbeddingOptions | None = None
    restart: bool = False
    shard: Shard | None = None  # the part of the pairs that is made; the verdict is of all

    @property
    def one_look(self) -> bool:
        """Whether all pairs are made, whatever they say on the way."""
        return self.full or self.aa

    @property
    def mode(self) -> str:
        return "aa" if self.aa else "recorded" if self.recorded else "replay"
