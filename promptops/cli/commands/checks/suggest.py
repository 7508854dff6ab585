"""``promptops checks suggest``: drafts of checks and of a judge, for a person to accept."""

import os
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import yaml

from promptops.checks.suggest import SuggestedCheck, judge_draft, judge_name, suggest_checks
from promptops.cli.options.cases import NameArgument
from promptops.cli.options.common import JsonOption
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import Invalid
from promptops.prompt import Prompt, load_prompt
from promptops.versions.resolve import resolve_version
from promptops.versions.working_tree import working_tree_reader

WriteOption = Annotated[
    bool,
    typer.Option("--write", help="Put the checks into the prompt file and the judge beside the prompts."),
]


def checks_suggest(name: NameArgument, write: WriteOption = False, as_json: JsonOption = False) -> None:
    """Draft checks and a judge from a prompt's own words: schema, parameters, examples, instructions.

    They are guesses. Nothing is written without --write, and then only what keeps the version as it is.
    """
    settings = current_settings()
    version = resolve_version(name, settings)
    prompt = version.prompt
    drafts = suggest_checks(prompt)
    if write and version.source != "working tree":
        raise Invalid(f"{name} is not in the working tree", hint=f"checks are written into {prompt.name}")
    if as_json:
        print_json(
            {
                "checks": [{"check": each.entry, "reason": each.reason} for each in drafts],
                "judge": {"name": judge_name(prompt), "prompt": judge_draft(prompt)},
            }
        )
    else:
        _print(prompt, drafts)
    if write:
        _write(settings, prompt, drafts)


def _print(prompt: Prompt, drafts: Sequence[SuggestedCheck]) -> None:
    print_text(f"# in {prompt.document.path}\nchecks:")
    print_text(_entries(drafts) if drafts else "  []  # nothing in the prompt's words asks for more", end="")
    print_text(f"\n# a judge: prompts/{judge_name(prompt)}.yaml; use it as `- judge: {judge_name(prompt)}`")
    print_text(_yaml(judge_draft(prompt)), end="")


def _entries(drafts: Sequence[SuggestedCheck], indent: str = "  ") -> str:
    return "".join(f"{indent}- {_inline(each.entry)} # {each.reason}\n" for each in drafts)


def _inline(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    return yaml.safe_dump(
        entry, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    ).strip()


class _BlockStyleDumper(yaml.SafeDumper):
    """Texts of several lines as blocks, as people write them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockStyleDumper.add_representer(str, _text)


def _yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_BlockStyleDumper, sort_keys=False, allow_unicode=True, width=100))


def _write(settings: Settings, prompt: Prompt, drafts: Sequence[SuggestedCheck]) -> None:
    judge = WriteTarget.inside(settings.prompts / f"{judge_name(prompt)}.yaml", settings.inside)
    if judge.real.exists():
        note(f"{os.path.relpath(judge.path)} is there already, and stays as it is")
    else:
        judge.write(_yaml(judge_draft(prompt)).encode(), new=True)
        note(f"wrote {os.path.relpath(judge.path)}")
    if drafts:
        file = WriteTarget.inside(settings.prompts / prompt.path, settings.inside)
        file.write(_with_checks(settings, prompt, drafts, file.read().decode()).encode())
        note(f"added {len(drafts)} checks to {os.path.relpath(file.path)}")


def _with_checks(settings: Settings, prompt: Prompt, drafts: Sequence[SuggestedCheck], before: str) -> str:
    """The file with the drafts at the end of its checks, tried out before it is written."""
    lines = before.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    at, indent = _end_of_checks(prompt, lines)
    new = ([] if prompt.document.data.get("checks") else ["checks:\n"]) + [_entries(drafts, indent)]
    text = "".join([*lines[:at], *new, *lines[at:]])
    _verify_edit(settings, prompt, drafts, text)
    return text


def _end_of_checks(prompt: Prompt, lines: Sequence[str]) -> tuple[int, str]:
    """The line after the last check, and how far checks are indented; the end of the file without any."""
    checks = prompt.document.data.get("checks")
    if not checks:
        return len(lines), "  "
    first = prompt.document.position(("checks", 0))
    indent = len(lines[first.line - 1]) - len(lines[first.line - 1].lstrip(" "))
    at = prompt.document.position(("checks", len(checks) - 1)).line
    while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > indent):
        at += 1
    while at and not lines[at - 1].strip():
        at -= 1
    return at, " " * indent


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _verify_edit(settings: Settings, prompt: Prompt, drafts: Sequence[SuggestedCheck], text: str) -> None:
    read = working_tree_reader(settings)
    try:
        new = load_prompt(prompt.name, lambda path: text.encode() if path == prompt.path else read(path))
        fits = new.digest == prompt.digest and len(new.checks) == len(prompt.checks) + len(drafts)
    except Invalid:
        fits = False
    if not fits:
        raise Invalid(
            f"the checks of {prompt.document.path} cannot be added to as they are written",
            hint="paste them by hand; they are printed above",
        )
