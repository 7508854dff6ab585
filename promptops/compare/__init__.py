"""What differs between two prompts, or two texts (pure)."""

from promptops.compare.inputs import Effect
from promptops.compare.lines import Gap, Line, shown_lines
from promptops.compare.prefix import static_prefix
from promptops.compare.prompts import EFFECTS, KINDS, Change, TextDiff, compare_prompts, text_diff
from promptops.compare.readable import readable
from promptops.compare.words import Segment, count_words, word_diff

__all__ = [
    "EFFECTS",
    "KINDS",
    "Change",
    "Effect",
    "Gap",
    "Line",
    "Segment",
    "TextDiff",
    "compare_prompts",
    "count_words",
    "readable",
    "shown_lines",
    "static_prefix",
    "text_diff",
    "word_diff",
]
