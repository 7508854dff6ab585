"""Values that options and arguments can have, found by what the help calls them, such as REF, RUN or FILE."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from promptops.config.settings import Settings, current_settings
from promptops.errors import PromptopsError

_MAX_RUNS = 50
_MAX_FILES = 1_000
_MAX_PROMPT_BYTES = 20_000  # of each file that is looked into for its model


class ValueRequest(NamedTuple):
    """``arguments``: the words before that belong to no option."""

    flag: str
    arguments: Sequence[str]
    word: str


def complete_value(metavar: str, flag: str, arguments: Sequence[str], word: str) -> Iterable[str]:
    """What could stand there; the caller takes what begins with ``word``. Nothing where that fails."""
    if flag == "--metric":  # a NAME that people make up
        return []
    asked = ValueRequest(flag, arguments, word)
    names = re.findall(r"[A-Z@][A-Z=@]*(?:\[:CHANNEL\])?", metavar)
    try:
        return [value for name in names if name in _SOURCES for value in _SOURCES[name](asked)]
    except (PromptopsError, OSError, ValueError):
        return []


def _references(asked: ValueRequest) -> list[str]:
    from promptops.versions.resolve import prompt_names

    settings = current_settings()
    name, at, _ = asked.word.partition("@")
    if at:
        return [f"{name}@{rev}" for rev in _revisions(asked)]
    name, colon, _ = asked.word.partition(":")
    if colon:
        return [f"{name}:{channel}" for channel in settings.channels]
    names = prompt_names(settings)
    return names if any(each.startswith(name) for each in names) else _files(asked)


def _revisions(_: ValueRequest) -> list[str]:
    from promptops.git.repo import GitRepo

    with GitRepo(current_settings()) as repo:
        refs = repo.refs("refs/heads", "refs/tags", "refs/remotes")
    return ["INDEX", "HEAD", *(ref.split("/", 2)[2] for ref in refs)]


def _channels(_: ValueRequest) -> Iterable[str]:
    return current_settings().channels


def _plans(_: ValueRequest) -> Iterable[str]:
    from promptops.release.plan.defaults import BUILT_IN

    return [*BUILT_IN, *current_settings().plans]


def _run_ids(asked: ValueRequest) -> list[str]:
    from promptops.cli.last_run import LAST
    from promptops.registry import RegistryDatabase, RunFilter, list_runs, short_ids

    with RegistryDatabase.open_existing(current_settings().registry) as registry:
        runs = list_runs(registry, RunFilter(), limit=_MAX_RUNS)
        ids = short_ids(registry, [run["run_id"] for run in runs])
    return [LAST, *(short if short.startswith(asked.word) else run_id for run_id, short in ids.items())]


def _shadow_ids(_: ValueRequest) -> list[str]:
    from promptops.registry import RegistryDatabase, list_shadow_runs

    with RegistryDatabase.open_existing(current_settings().registry) as registry:
        return [run.shadow_id for run in list_shadow_runs(registry, limit=_MAX_RUNS)]


def _job_ids(_: ValueRequest) -> list[str]:
    from promptops.registry import RegistryDatabase, open_provider_jobs

    with RegistryDatabase.open_existing(current_settings().registry) as registry:
        return [job.job_id for job in open_provider_jobs(registry)]


def _kinds(_: ValueRequest) -> Iterable[str]:
    return ("run", "batch", "eval", "shadow", "judge", "probe")


def _files(asked: ValueRequest) -> list[str]:
    """Files and folders; those hidden only where the word begins with a dot."""
    folder, name = os.path.split(asked.word)
    there = Path(folder).expanduser() if folder else Path()
    start = asked.word.removesuffix(name)
    with os.scandir(there) as entries:
        shown = [
            f"{start}{entry.name}{'/' if entry.is_dir() else ''}"
            for entry in entries
            if entry.name.startswith(name) and entry.name.isprintable() and (name or entry.name[0] != ".")
        ]
    return sorted(shown)[:_MAX_FILES]


def _folders(asked: ValueRequest) -> list[str]:
    return [path for path in _files(asked) if path.endswith("/")]


def _inputs(asked: ValueRequest) -> list[str]:
    """``ticket=`` of the prompt that is named; behind it a value that its schema lists, or a file's."""
    from promptops.versions.resolve import resolve_version

    name, equals, value = asked.word.partition("=")
    if value.startswith("@") and not value.startswith("@@"):
        return [f"{name}=@{path}" for path in _files(asked._replace(word=value[1:]))]
    inputs = resolve_version(asked.arguments[0], current_settings()).prompt.inputs if asked.arguments else {}
    if not equals:
        return [f"{each}=" for each in inputs]
    listed = inputs[name].schema.get("enum", ()) if name in inputs else ()
    return [f"{name}={each}" for each in listed if isinstance(each, str)]


def _keys(asked: ValueRequest) -> list[str]:
    from promptops.cli.options.replay import LogSelection, ReplaySettings
    from promptops.prompt.overrides import SETTABLE
    from promptops.providers.parameters import sendable_parameters

    if asked.flag == "--set":
        key, _, value = asked.word.partition("=")
        if key == "model":
            return [f"model={name}" for name in _models(asked._replace(word=value))]
        parameters = sorted(sendable_parameters(direct=True))
        return [*(f"{name}=" for name in SETTABLE[:-1]), *(f"parameters.{name}=" for name in parameters)]
    kind = {"--select": LogSelection, "-o": ReplaySettings, "--option": ReplaySettings}.get(asked.flag)
    return [f"{each.name.replace('_', '-')}=" for each in fields(kind)] if kind else []


def _models(asked: ValueRequest) -> list[str]:
    """Models that the project uses, providers, and behind a provider's name what lint finds nothing in."""
    settings = current_settings()
    own = _own_models(settings)
    provider, slash, _ = asked.word.partition("/")
    return [*own, *(_listed_models(provider, settings) if slash else _providers(settings))]


def _own_models(settings: Settings) -> list[str]:
    models = set(settings.models)
    for file in settings.prompts.rglob("*.y*ml"):
        with file.open("rb") as stream:
            text = stream.read(_MAX_PROMPT_BYTES).decode("utf-8", "replace")
        models.update(re.findall(r"(?m)^model:\s*[\"']?([^\s\"'#]+)", text))
    return sorted(models)


def _providers(settings: Settings) -> list[str]:
    from promptops.providers.catalog import Catalog

    catalog = Catalog.load(settings)
    names = catalog.names()
    providers = {name.partition("/")[0] if "/" in name else catalog.provider(name) for name in names}
    return sorted(f"{each}/" for each in providers if each)


def _listed_models(provider: str, settings: Settings) -> list[str]:
    from promptops.config.clock import local_day
    from promptops.lint.context import LintProject
    from promptops.lint.models import recommended_models

    project = LintProject(settings, local_day())
    return recommended_models(provider, project)


def _model_pairs(asked: ValueRequest) -> list[str]:
    old, equals, new = asked.word.partition("=")
    if not equals:
        return [f"{name}=" for name in _own_models(current_settings())]
    return [f"{old}={name}" for name in _models(asked._replace(word=new))]


_SOURCES: dict[str, Callable[[ValueRequest], Iterable[str]]] = {
    "A": _references,
    "BRANCH": _revisions,
    "CHANNEL": _channels,
    "DIR": _folders,
    "FILE": _files,
    "JOB": _job_ids,
    "KEY=VALUE": _keys,
    "KIND": _kinds,
    "MODEL": _models,
    "NAME": _references,
    "NAME=VALUE": _inputs,
    "NAME[:CHANNEL]": _references,
    "OLD=NEW": _model_pairs,
    "PLAN": _plans,
    "PROMPT": _references,
    "REF": _references,
    "REV": _revisions,
    "RUN": _run_ids,
    "SHADOW": _shadow_ids,
}
