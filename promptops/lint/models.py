"""Rules on the model: is it known, does its name stay the same model, is it about to be retired."""

import re
from collections.abc import Iterator
from datetime import date
from difflib import get_close_matches

from promptops.config.text import Problem
from promptops.config.yaml import YamlPath
from promptops.lint.context import LintContext, LintProject

_DATED = re.compile(r"[-@.](?:\d{4}-\d\d-\d\d|\d{8}|\d\d-\d{4}|\d\d-\d\d|\d{4}|\d{3})(?=$|[-:@])")
_MIN_SIMILARITY = 0.8  # how much a name resembles one that is meant
_LOCAL = "local/"  # embedded models: their weights' hash is logged with every run


def catalog_name(model: str) -> str:
    """The name a model has in the catalogue, which lists the base of a fine-tuned one."""
    provider, slash, rest = model.rpartition("/")
    return f"{provider}{slash}{':'.join(rest.split(':')[:2])}" if rest.startswith("ft:") else model


def is_pinned(model: str, project: LintProject) -> bool:
    return (
        model.startswith(_LOCAL)
        or _DATED.search(model) is not None
        or bool(project.declared(model).get("pinned_by"))
    )


def is_unknown(model: str, project: LintProject) -> bool:
    return not model.startswith(_LOCAL) and project.catalog.entry(catalog_name(model)) is None


def _unknown_base(model: str, project: LintProject) -> str:
    """The base model that the settings name and nothing is known of; empty where there is none."""
    base = str(project.declared(catalog_name(model)).get("base_model", ""))
    return base if base and project.catalog.entry(base) is None else ""


def unknown_model(subject: LintContext) -> Iterator[Problem]:
    project = subject.project
    for path, model in subject.models():
        if base := _unknown_base(model, project):
            message = f"the base model `{base}` of `{model}` is not in the catalogue{_nearest(base, project)}"
            yield subject.at(path, message + project.source, "prices and limits are those of a listed model")
        elif is_unknown(model, project):
            message = f"the catalogue has no model `{model}`{_nearest(model, project)}{project.source}"
            hint = "declare a custom or self-hosted model in promptops.yaml: "
            yield subject.at(path, message, f"{hint}models: {{{model}: {{max_input_tokens: 8192}}}}")


def _nearest(model: str, project: LintProject) -> str:
    provider, _, rest = model.partition("/")
    same = [name.partition("/")[2] for name in _models_of(provider, project)]
    near = get_close_matches(rest, same, 1, _MIN_SIMILARITY)
    if not near:
        return ""
    name = f"{provider}/{near[0]}"
    return f" (did you mean `{name}`{_until(name, project)}?)"


def _models_of(provider: str, project: LintProject) -> Iterator[str]:
    for name in project.catalog.names():
        if name.startswith(f"{provider}/"):
            yield name
        elif "/" not in name and project.catalog.provider(name) == provider:
            yield f"{provider}/{name}"


def recommended_models(provider: str, project: LintProject) -> list[str]:
    """Models of a provider that stay: those with a dated name, or all where there is none."""
    staying = [name for name in _models_of(provider, project) if _days_left(name, project) is None]
    return [name for name in staying if is_pinned(name, project)] or staying


def floating_model(subject: LintContext) -> Iterator[Problem]:
    project = subject.project
    for path, model in subject.models():
        if not is_pinned(model, project) and (dated := project.catalog.dated_ids(model)):
            newest = _newest(dated, project)
            message = f"`{model}` is an alias that moves; its newest dated name is `{newest}`"
            stays = _days_left(newest, project) is None
            hint = f"pin it: {newest}" if stays else "pin a model that is served for longer"
            yield subject.at(path, message + _until(newest, project) + project.source, hint)


def _newest(dated: list[str], project: LintProject) -> str:
    """The newest that stays; where all retire soon or have, the newest."""
    staying = [name for name in dated if _days_left(name, project) is None]
    return (staying or dated)[-1]


def unpinnable_model(subject: LintContext) -> Iterator[Problem]:
    project = subject.project
    for path, model in subject.models():
        if is_pinned(model, project) or is_unknown(model, project) or project.catalog.dated_ids(model):
            continue
        message = f"`{model}` has no dated name: its provider may change what answers to it{project.source}"
        hint = f"say what holds it in promptops.yaml: models: {{{model}: {{pinned_by: …}}}}"
        yield subject.at(path, message, hint)


def retired_model(subject: LintContext) -> Iterator[Problem]:
    project = subject.project
    for path, model in subject.models():
        left = _days_left(model, project)
        if left is not None and left <= 0:
            message = f"`{model}` was retired on {_retirement_date(model, project)}{project.source}"
            yield subject.at(path, message, "move to a model that is still served")


def retiring_model(subject: LintContext) -> Iterator[Problem]:
    project = subject.project
    for path, model in subject.models():
        left = _days_left(model, project)
        if left is not None and left > 0:
            days = "1 day" if left == 1 else f"{left} days"
            message = f"`{model}` retires on {_retirement_date(model, project)}, in {days}{project.source}"
            yield subject.at(path, message, "try its successor before then")


def _days_left(model: str, project: LintProject) -> int | None:
    """Days until the model retires, at most 0 where it has; None while that is far off or not announced."""
    day = _retirement_date(model, project)
    left = (day - project.today).days if day else None
    return None if left is None or left > project.retirement_days else left


def _until(model: str, project: LintProject) -> str:
    """The provider's own date for the model's end, where one is known, as part of a sentence."""
    day = _retirement_date(model, project)
    return f", which {'retires' if day > project.today else 'was retired'} on {day}" if day else ""


def _retirement_date(model: str, project: LintProject) -> date | None:
    written = project.catalog.deprecation_date(catalog_name(model))
    try:
        return date.fromisoformat(written) if written else None
    except ValueError:
        return None


def missing_ability(subject: LintContext) -> Iterator[Problem]:
    prompt, catalog = subject.prompt, subject.project.catalog
    needed: list[tuple[str, str, YamlPath]] = []
    if prompt.tools or prompt.takes_caller_tools:
        needed.append(("function_calling", "tools", ("tools" if prompt.tools else "caller_tools",)))
    if images := _first_image(subject):
        needed.append(("vision", "images", images))
    for ability, what, path in needed:
        for _, model in subject.models():
            if not model.startswith(_LOCAL) and catalog.supports(catalog_name(model), ability) is False:
                message = f"`{model}` is not known to take {what}{subject.project.source}"
                hint = f"declare it in promptops.yaml: models: {{{model}: {{supports_{ability}: true}}}}"
                yield subject.at(path, message, hint)


def _first_image(subject: LintContext) -> YamlPath | None:
    for index, message in enumerate(subject.prompt.document.data["messages"]):
        content = message.get("content")
        for at, part in enumerate(content if isinstance(content, list) else ()):
            if "text" not in part:
                return ("messages", index, "content", at)
    return None
