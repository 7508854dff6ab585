"""``promptops init``: what a repository needs to hold prompts."""

import os

from promptops.output import note, print_text
from promptops.scaffold import start_project
from promptops.settings import here


def init() -> None:
    """Start a prompts folder in this repository: a first prompt with cases, and what git should ignore.

    Safe to repeat: what exists is left as it is.
    """
    made = start_project(here())
    for path in made:
        print_text(f"wrote {os.path.relpath(path)}")
    if not made:
        print_text("nothing to do: this repository has all that it needs")
    first = any(path.name == "sentiment.yaml" for path in made)
    note("next: promptops " + ("run sentiment -i text='What a lovely evening.'" if first else "list"))
