"""Whether two answers mean the same by their vectors, of a model that the user names."""

import os

from promptops.checks.similarity import cosine
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.providers.embeddings import embed

THRESHOLD = 0.9
_MAX_CHARS = 20_000  # characters of an answer; models take about 8,000 tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingOptions:
    """``threshold``: the cosine from which two answers are alike."""

    model: str
    threshold: float = THRESHOLD


def embedding_options(model: str | None, threshold: float | None) -> EmbeddingOptions | None:
    if model is None:
        if threshold is not None:
            raise Invalid("-o semantic-from needs a model", hint="--semantic openai/text-embedding-3-small")
        return None
    if "/" not in model:
        raise Invalid(f"--semantic {model}: which provider?", hint="--semantic openai/text-embedding-3-small")
    return EmbeddingOptions(model=model, threshold=THRESHOLD if threshold is None else threshold)


async def compute_similarity(model: str, one: str, other: str) -> float:
    """Raises ModelError."""
    vectors = await embed(model, [one[:_MAX_CHARS], other[:_MAX_CHARS]], os.environ)
    return cosine(*vectors)
