"""Which prompts survive the retirement of a model: a shadow run for each that is pinned to it."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from promptops.cli.options.replay import ReplayOptions
from promptops.cli.shadow_requests import build_shadow_requests
from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.prompt import Prompt
from promptops.versions.resolve import prompt_names, resolve_version


def build_migration_requests(
    names: str | None, models: Sequence[str], settings: Settings, options: ReplayOptions
) -> list[ShadowRequest]:
    """``names`` may hold wildcards; ``models`` are OLD=NEW each."""
    moves = [_parse_model_move(each) for each in models]
    if not moves:
        raise Invalid("there is no model to move from and to", hint="--model OLD=NEW")
    requests = []
    for name in prompt_names(settings):
        if names is None or fnmatchcase(name, names):
            pinned = resolve_version(name, settings).prompt
            targets = [new for old, new in moves if _is_pinned_to(pinned, old)]
            if targets and not _is_pairwise_judge(pinned):
                requests += build_shadow_requests(name, None, targets, settings, options)
    if not requests:
        raise NotFound(
            f"no prompt is pinned to {', '.join(old for old, _ in moves)}",
            hint="promptops list shows the models",
        )
    return requests


def _parse_model_move(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise Invalid(f"--model {text}: a move is OLD=NEW", hint=f"--model {old or 'OLD'}=NEW")
    return old, new


def _is_pinned_to(prompt: Prompt, model: str) -> bool:
    return prompt.model == model or prompt.model.partition("/")[2] == model


def _is_pairwise_judge(prompt: Prompt) -> bool:
    return {"a", "b"} <= prompt.inputs.keys()
