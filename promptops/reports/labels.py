"""What stands for a side, a verdict and a phase, in every form."""

PAIR = ("control", "candidate")
"""The two sides of a comparison."""

VERDICT_SYMBOLS = {"worse": "❌", "better": "✅", "not worse": "✅", "undecided": "❔"}  # in comments
VERDICT_MARKS = {  # in a terminal, with their colour
    "worse": ("✗", "red"),
    "better": ("✓", "green"),
    "not worse": ("✓", "green"),
    "undecided": ("?", "yellow"),
}
VERDICT_ORDER = {"worse": 0, "undecided": 1, "not worse": 2, "better": 3}

PHASE_SYMBOLS = {
    "progressing": "🟢",
    "paused": "🟡",
    "awaiting": "🟡",
    "inconclusive": "🟡",
    "invalid": "🔴",
}
PHASE_COLOURS = {
    "progressing": "green",
    "paused": "yellow",
    "awaiting": "yellow",
    "inconclusive": "yellow",
    "invalid": "red",
}
