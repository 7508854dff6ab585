"""Help for the whole program and for groups of verbs, printed from the table of verbs without Typer."""

from collections.abc import Callable

from promptops.cli.verbs import BUILT_IN, GROUPS, VERBS

PROGRAM = "promptops"
GLOBAL_OPTIONS = (
    ("-C DIR", "Run as if started in DIR"),
    ("--registry FILE", "Use this registry instead of the project's"),
    ("--version", "Print the version"),
    ("-h, --help", "Print this help, or a verb's"),
)
Write = Callable[[str], object]


def print_help(write: Write, *, everything: bool = False) -> None:
    """The verbs that people need most, or all of them with those below them."""
    write(f"Usage: {PROGRAM} [-C DIR] [--registry FILE] VERB [ARGS]...\n\n")
    write("Version, run, log and release prompts from your own git repository.\n")
    for group in GROUPS:
        _print_group(group, write, everything=everything)
    write("\nOptions\n")
    for option, meaning in GLOBAL_OPTIONS:
        write(f"  {option:<16} {meaning}\n")
    if not everything:
        write(f"\n{PROGRAM} help --all lists every verb.")
    write(f"\n{PROGRAM} help VERB explains a verb.\n")


def _print_group(group: str, write: Write, *, everything: bool) -> None:
    verbs = [(name, verb) for name, verb in VERBS.items() if verb.group == group]
    lines = [(name, verb) for name, verb in verbs if everything or verb.common]
    if not lines:
        return
    write(f"\n{group}\n")
    for name, verb in lines:
        write(f"  {name:<12} {verb.summary}\n")
        for part, summary in verb.parts.items() if everything else ():
            write(f"    {part:<10} {summary}\n")
    for name, summary in BUILT_IN.items() if everything and group == GROUPS[-1] else ():
        write(f"  {name:<12} {summary}\n")


def print_group_help(name: str, write: Write) -> None:
    write(f"Usage: {PROGRAM} {name} VERB [ARGS]...\n\n{VERBS[name].summary}.\n\n")
    for part, summary in VERBS[name].parts.items():
        write(f"  {part:<12} {summary}\n")
    write(f"\n{PROGRAM} help {name} VERB explains a verb.\n")
