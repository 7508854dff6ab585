"""``promptops completions``: the completion script of a shell; ``cli/completion.py`` answers it."""

from enum import StrEnum
from typing import Annotated

import typer

from promptops.console import print_text

# bash ends a word before @ and after : and =; it replaces only its second argument, what follows the last end
BASH = """\
_promptops() {
    local line=${COMP_LINE:0:COMP_POINT} words word
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    word=${words[${#words[@]}-1]}
    local kept=${word%"$2"} answer
    COMPREPLY=()
    while IFS= read -r answer; do
        answer=${answer#"$kept"}
        [[ $answer == *[[:space:]\\'\\"\\\\\\$\\&\\;\\(\\)]* ]] && printf -v answer %q "$answer"
        COMPREPLY+=("$answer")
    done < <(_PROMPTOPS_COMPLETE=1 "${words[0]}" "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} != *[@:=/] ]] && compopt +o nospace 2>/dev/null
    return 0
}
complete -o nospace -F _promptops promptops git-promptops
"""
ZSH = """\
#compdef promptops git-promptops
_promptops() {
    local -a answers
    answers=("${(@f)$(_PROMPTOPS_COMPLETE=1 ${words[1]} "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    compadd -S '' -- ${(M)answers:#*[@:=/]}
    compadd -- ${answers:#*[@:=/]}
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then  # as the file _promptops of a folder in fpath
    _promptops
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
    compdef _promptops promptops git-promptops
fi
"""
FISH = """\
function __promptops
    set -l words (commandline -opc) (commandline -ct)
    env _PROMPTOPS_COMPLETE=1 $words 2>/dev/null
end
complete -c promptops -f -a '(__promptops)'
complete -c git-promptops -f -a '(__promptops)'
"""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


SCRIPTS = {Shell.BASH: BASH, Shell.ZSH: ZSH, Shell.FISH: FISH}


def completions(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print the completion script of a shell: eval "$(promptops completions bash)" in ~/.bashrc."""
    print_text(SCRIPTS[shell], end="")
