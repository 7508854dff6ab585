"""Whether two answers mean the same by their vectors, of a model that the user names."""

import os
from dataclasses import dataclass

from promptops.checks.similarity import cosine
from promptops.errors import Invalid
from promptops.providers.embeddings import embed

THRESHOLD = 0.9
_LONGEST = 20_000  # characters of an answer; models take about 8,000 tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic:
    """``threshold``: the cosine from which two answers are alike."""

    model: str
    threshold: float = THRESHOLD


def semantic_of(model: str | None, threshold: float | None) -> Semantic | None:
    if model is None:
        if threshold is not None:
            raise Invalid("--semantic-from needs a model", hint="--semantic openai/text-embedding-3-small")
        return None
    if "/" not in model:
        raise Invalid(f"--semantic {model}: which provider?", hint="--semantic openai/text-embedding-3-small")
    return Semantic(model=model, threshold=THRESHOLD if threshold is None else threshold)


async def similarity_of(model: str, one: str, other: str) -> float:
    """Raises ModelError."""
    vectors = await embed(model, [one[:_LONGEST], other[:_LONGEST]], os.environ)
    return cosine(*vectors)
