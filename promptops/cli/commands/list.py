"""``promptops list``: the prompts of this project."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.reports.run_tables import eval_cell, format_age
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_table
from promptops.errors import PromptopsError
from promptops.prompt import Prompt
from promptops.registry import LatestEval, RegistryDatabase, last_runs, latest_evals
from promptops.versions.release_state import ChannelState
from promptops.versions.resolve import live_channels, prompt_names, resolve_version

_DIGEST_LENGTH = len("sha256:") + 7
WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORD]...", help="Only prompts with these words in name or text."),
]


def _registry(settings: Settings) -> RegistryDatabase:
    """The project's; one in memory where a branch puts it outside, as prompts are listed all the same."""
    if settings.registry_problem:
        note(f"the registry {settings.registry_problem}; last runs are left out")
        return RegistryDatabase.in_memory()
    return RegistryDatabase.open_existing(settings.registry)


def list_(words: WordsArgument = None, as_json: JsonOption = False) -> None:
    """List the prompts: what each is for, its model, where it is live, when it last ran."""
    settings = current_settings()
    with _registry(settings) as registry:
        latest = last_runs(registry)
        evals = latest_evals(registry)
    live = live_channels(settings)
    entries = [
        _with_eval(_entry(name, settings, live.get(name, {}), latest.get(name)), evals)
        for name in prompt_names(settings)
    ]
    entries = [entry for entry in entries if _matches_words(entry, words or [])]
    if as_json:
        print_json(entries)
    elif not entries:
        note(_why_none(settings, words or []))
    else:
        print_table(
            ("PROMPT", "DIGEST", "MODEL", "OWNER", "LIVE", "RAN", "EVAL", "DESCRIPTION"),
            [_row(entry) for entry in entries],
        )


def _why_none(settings: Settings, words: list[str]) -> str:
    if settings.top is None:
        return "a bare repository has no working tree: promptops history NAME lists versions of a prompt"
    if words:
        return f"no prompt matches {' '.join(words)}: promptops list shows all"
    return f"no prompts below {os.path.relpath(settings.prompts)}: promptops init"


def _entry(
    name: str, settings: Settings, live: Mapping[str, ChannelState], last: dict[str, Any] | None
) -> dict[str, Any]:
    try:
        facts = _prompt_data(resolve_version(name, settings).prompt)
    except PromptopsError as error:
        facts = {"description": None, "owner": None, "model": None, "digest": None, "problem": error.message}
    return {
        "prompt": name,
        **facts,
        "channels": {channel: _channel_data(state) for channel, state in live.items()},
        "last_run": {"run_id": last["run_id"], "started_at": last["started_at"]} if last else None,
    }


def _channel_data(state: ChannelState) -> dict[str, Any]:
    rollout = state.rollout
    return {
        "version": state.stable.version if state.stable else None,
        "canary": rollout.canary.version if rollout else None,
        "weight_bp": rollout.weight_bp if rollout else None,
    }


def _channels_cell(channels: Mapping[str, Mapping[str, Any]]) -> str:
    """``production v3, canary v4 5%; staging v4``."""
    canary = ", canary {canary} {share:g}%"
    return "; ".join(
        f"{channel} {each['version']}"
        + (canary.format(canary=each["canary"], share=each["weight_bp"] / 100) if each["canary"] else "")
        for channel, each in channels.items()
    )


def _with_eval(entry: dict[str, Any], evals: Mapping[tuple[str, str], LatestEval]) -> dict[str, Any]:
    """Of the version in the working tree."""
    latest = evals.get((entry["prompt"], (entry["digest"] or "").removeprefix("sha256:")))
    return {**entry, "latest_eval": asdict(latest) if latest else None}


def _prompt_data(prompt: Prompt) -> dict[str, Any]:
    return {
        "description": prompt.description,
        "owner": prompt.metadata.get("owner"),
        "model": prompt.model,
        "digest": f"sha256:{prompt.digest}",
        "problem": None,
    }


def _matches_words(entry: dict[str, Any], words: list[str]) -> bool:
    text = f"{entry['prompt']} {entry['description'] or ''}".casefold()
    return all(word.casefold() in text for word in words)


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    last, latest = entry["last_run"], entry["latest_eval"]
    return (
        entry["prompt"],
        (entry["digest"] or "invalid")[:_DIGEST_LENGTH],
        entry["model"],
        entry["owner"],
        _channels_cell(entry["channels"]) or None,
        format_age(last["started_at"]) if last else None,
        eval_cell(latest["rate"], latest["cases"], latest["finished_at"]) if latest else None,
        entry["problem"] or entry["description"],
    )
