"""Whether a command line that is written somewhere is one: its verb, options and choices exist."""

import functools
import re
import shlex
from collections.abc import Iterator, Sequence

import click
import typer

from promptops.cli.main import find_verb
from promptops.cli.verbs import BUILT_IN, VERBS, VerbPath

GLOBAL = {"-C": 1, "--registry": 1, "--version": 0, "--help": 0, "-h": 0}
_ENDS = re.compile(r"(?<!\S)(?:\||&&|;|\|\||>|<|2>&1)(?!\S)|[;)](?=\s|$)|\s#\s")


@functools.cache
def click_command(path: VerbPath) -> click.Command:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(find_verb(list(path)))
    return typer.main.get_command(app)


def options_of(path: VerbPath) -> set[str]:
    parameters = click_command(path).params
    return {"-h", "--help"} | {flag for each in parameters for flag in (*each.opts, *each.secondary_opts)}


def command_lines(text: str) -> Iterator[str]:
    """Each ``promptops …`` of a text, up to a pipe, a redirection, a comment or the end of its line."""
    joined = re.sub(r"\\\n\s*", "", text)
    inner = r"\$\((promptops [^()\n]*)\)"
    joined = "\n".join([re.sub(inner, "VALUE", joined), *re.findall(inner, joined)])
    for match in re.finditer(r"(?<![\w./-])(?:git )?promptops (?P<rest>[^\n`]+)", joined):
        yield _ENDS.split(match["rest"], maxsplit=1)[0].strip().rstrip(".,;:")


def fault_of(line: str) -> str | None:
    """What is wrong with a command line (without the program's name), or None."""
    words = _words(line)
    while words and words[0] in GLOBAL:
        words = words[1 + GLOBAL[words[0]] :]
    if not words or words[0] in BUILT_IN:
        return None
    if words[0] not in VERBS:
        return f"no verb {words[0]}"
    parts = VERBS[words[0]].parts
    if not parts:
        return _option_fault((words[0],), words[1:])
    if len(words) == 1 or words[1] in GLOBAL:
        return None
    names = words[1].split("|")
    unknown = [name for name in names if name not in parts]
    return f"no verb {words[0]} {unknown[0]}" if unknown else _option_fault((words[0], names[0]), words[2:])


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _option_fault(path: VerbPath, words: Sequence[str]) -> str | None:
    known = options_of(path)
    for word in words:
        flag = re.match(r"\[?(--?[A-Za-z][\w-]*)", word)
        if flag and flag[1] not in known and not re.fullmatch(r"-[a-z]\d+", flag[1]):
            return f"{' '.join(path)} has no option {flag[1]}"
    return None
