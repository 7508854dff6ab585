"""What differs between two prompts, or two texts (pure)."""

from promptops.prompt.diff.hunks import Gap, Line, shown_lines
from promptops.prompt.diff.inputs import Effect
from promptops.prompt.diff.prompts import EFFECTS, KINDS, Change, TextDiff, compare_prompts, text_diff
from promptops.prompt.diff.static_prefix import static_prefix
from promptops.prompt.diff.textconv import readable
from promptops.prompt.diff.word_diff import Segment, count_words, word_diff

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
