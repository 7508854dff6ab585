"""What differs between two prompts, or two texts (pure)."""

from promptops.prompt.diff.hunks import DiffGap, DiffLine, hunk_lines
from promptops.prompt.diff.inputs import Effect
from promptops.prompt.diff.prompts import (
    EFFECT_LABELS,
    FIELD_LABELS,
    PromptFieldChange,
    TextDiff,
    compare_prompts,
    text_diff,
)
from promptops.prompt.diff.static_prefix import static_prefix
from promptops.prompt.diff.textconv import to_plain_text
from promptops.prompt.diff.word_diff import Segment, count_words, word_diff

__all__ = [
    "EFFECT_LABELS",
    "FIELD_LABELS",
    "DiffGap",
    "DiffLine",
    "Effect",
    "PromptFieldChange",
    "Segment",
    "TextDiff",
    "compare_prompts",
    "count_words",
    "hunk_lines",
    "static_prefix",
    "text_diff",
    "to_plain_text",
    "word_diff",
]
