"""``promptops completions``: the completion script of a shell, and the answers to it.

The scripts call promptops itself with ``_PROMPTOPS_COMPLETE`` set and the words so far as arguments; what
could stand in place of the last word comes back, a line each.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, get_args

import typer

from promptops.cli.usage_hint import declared_flags
from promptops.cli.verbs import BUILT_IN
from promptops.console import print_text
from promptops.errors import PromptopsError

FindVerb = Callable[[Sequence[str]], Callable[..., int | None]]
"""The function of a verb, given as its words."""

# bash ends a word at @, : and =, and replaces only what follows the last of them
BASH = """\
_promptops() {
    local line=${COMP_LINE:0:COMP_POINT} words word
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]}-1]}
    local kept=${word%"${word##*[@:=]}"} answer
    COMPREPLY=()
    while IFS= read -r answer; do
        COMPREPLY+=("${answer#"$kept"}")
    done < <(_PROMPTOPS_COMPLETE=1 "${words[0]}" "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} != *[@:=/] ]] && compopt +o nospace 2>/dev/null
    return 0
}
complete -o nospace -o default -F _promptops promptops git-promptops
"""
ZSH = """\
#compdef promptops git-promptops
_promptops() {
    local -a answers
    answers=("${(@f)$(_PROMPTOPS_COMPLETE=1 ${words[1]} "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    [[ -n ${answers[1]} ]] && compadd -- "${answers[@]}" || _files
}
compdef _promptops promptops git-promptops
"""
FISH = """\
function __promptops
    set -l words (commandline -opc) (commandline -ct)
    env _PROMPTOPS_COMPLETE=1 $words 2>/dev/null
end
complete -c promptops -a '(__promptops)'
complete -c git-promptops -a '(__promptops)'
"""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {Shell.BASH: BASH, Shell.ZSH: ZSH, Shell.FISH: FISH}


def completions(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print the completion script of a shell: eval "$(promptops completions bash)" in ~/.bashrc."""
    print_text(SCRIPTS[shell], end="")


def print_completions(words: Sequence[str], verbs: Mapping[str, Iterable[str]], find: FindVerb) -> None:
    """Print what the last word could be. ``verbs`` maps each verb to the verbs below it."""
    *before, word = words or [""]
    before = _without_global_options(before)
    for candidate in _candidates(before, word, verbs, find):
        if candidate.startswith(word):
            print_text(candidate)


def _without_global_options(words: list[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in ("-C", "--registry") else words[1:]
    return words


def _candidates(
    before: list[str], word: str, verbs: Mapping[str, Iterable[str]], find: FindVerb
) -> Iterable[str]:
    if not before:
        return ("--help", "--version", "--registry") if word.startswith("-") else [*verbs, *BUILT_IN]
    if before[0] == "help":
        return ("--all",) if word.startswith("-") else _verbs_to_explain(before[1:], verbs)
    parts = list(verbs.get(before[0], ()))
    if parts and len(before) == 1:
        return parts
    if before[0] not in verbs or (parts and before[1] not in parts):
        return ()
    return _arguments(find(before[: 2 if parts else 1]), word)


def _arguments(verb: Callable[..., int | None], word: str) -> Iterable[str]:
    parameters = list(inspect.signature(verb).parameters.values())
    if word.startswith("-"):
        return declared_flags(parameters)
    if parameters and parameters[0].name == "reference":
        return _references(word)
    return _choices(parameters)


def _verbs_to_explain(before: Sequence[str], verbs: Mapping[str, Iterable[str]]) -> Iterable[str]:
    if not before:
        return verbs
    return verbs.get(before[0], ()) if len(before) == 1 else ()


def _choices(parameters: list[inspect.Parameter]) -> list[str]:
    kind: Any = get_args(parameters[0].annotation)[0] if parameters else None
    return list(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else []


def _references(word: str) -> list[str]:
    from promptops.config.settings import current_settings
    from promptops.git.repo import GitRepo
    from promptops.versions.resolve import prompt_names

    try:
        settings = current_settings()
        name, at, _ = word.partition("@")
        if at:
            with GitRepo(settings) as repo:
                refs = repo.refs("refs/heads", "refs/tags", "refs/remotes")
                short = [ref.split("/", 2)[2] for ref in refs]
                return [f"{name}@{rev}" for rev in ("INDEX", "HEAD", *short)]
        name, colon, _ = word.partition(":")
        if colon:
            return [f"{name}:{channel}" for channel in settings.channels]
        return prompt_names(settings)
    except (PromptopsError, OSError):
        return []
