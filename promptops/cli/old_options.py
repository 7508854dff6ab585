"""Options of the version before, written as those of this one: they work for one more version.

``shadow run`` was four commands in one. What is translated here is deleted with the next version.
"""

import shlex
from collections.abc import Sequence

from promptops.cli.verbs import VerbPath
from promptops.console import note

_OPTIONS = {
    **{f"--{key}": ("--select", key) for key in (
        "since", "words", "channel", "tag", "error", "kind", "min-cost", "min-latency", "stratify",
    )},
    **{f"--{key}": ("-o", key) for key in (
        "retries", "timeout", "rpm", "tpm", "assume-cost", "seed", "margin", "semantic-from",
    )},
}  # fmt: skip
_VERBS: dict[str, VerbPath] = {
    "--all": ("shadow", "migrate"),
    "--aa": ("shadow", "noise"),
    "--rollout": ("release", "gate"),
}


def translate_shadow_run(arguments: Sequence[str]) -> tuple[VerbPath, list[str]]:
    """The verb and its arguments in the spelling of this version; says it where that differs."""
    path: VerbPath = ("shadow", "run")
    words: list[str] = []
    until = ""
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in _OPTIONS and (equals or rest):
            option, key = _OPTIONS[name]
            words += [option, f"{key}={value if equals else rest.pop(0)}"]
        elif name == "--rollout" and (equals or rest):
            path = _VERBS[name]
            words.append(value if equals else rest.pop(0))
        elif word in _VERBS:
            path = _VERBS[word]
        elif name == "--min-pairs" and (equals or rest):
            pairs = value if equals else rest.pop(0)
            until = until or pairs
        elif word == "--full":
            until = "all"
        else:
            words.append(word)
    stop = ["--until", until] if until else []
    translated = _of_noise(words) if path == ("shadow", "noise") else [*words, *stop]
    if (path, translated) != (("shadow", "run"), list(arguments)):
        note(f"promptops: from the next version on, write: promptops {shlex.join([*path, *translated])}")
    return path, translated


def _of_noise(words: list[str]) -> list[str]:
    """--aa compared the control with itself, and went through all inputs."""
    rest = [word for word in words if not word.startswith("--against=")]
    control = [word.partition("=")[2] for word in words if word.startswith("--against=")]
    if "--against" in rest[:-1]:
        at = rest.index("--against")
        control, rest = [rest[at + 1]], rest[:at] + rest[at + 2 :]
    if control and rest and not rest[0].startswith("-"):
        rest = rest[1:]
    return [*control, *rest]
