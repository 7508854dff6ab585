"""Rules on lengths: the prompt against its own budget, prompt and answer against what the model holds."""

import json
from collections.abc import Iterator

from promptops.config.text import Problem
from promptops.errors import PromptopsError
from promptops.lint.context import Subject
from promptops.lint.models import known_as
from promptops.prompt import Prompt, texts_of
from promptops.prompt.render import estimate_tokens, least_tokens

_SMALLEST_WINDOW = 2_000  # tokens: no model that is served today holds less
_ANSWER = ("max_completion_tokens", "max_tokens")


def over_budget(subject: Subject) -> Iterator[Problem]:
    limit = subject.prompt.max_input_tokens
    if limit is not None and (tokens := _least(subject.prompt, limit)) > limit:
        message = f"the prompt has about {tokens:,} tokens before any input, above its limit of {limit:,}"
        yield subject.at(("max_input_tokens",), message, "shorten it, or raise max_input_tokens")


def over_window(subject: Subject) -> Iterator[Problem]:
    answer = _asked_answer(subject.prompt)
    if _bound(subject.prompt) + answer <= _SMALLEST_WINDOW:
        return
    tokens = _least(subject.prompt, 0)
    for path, model in subject.models():
        window = subject.project.catalog.window(known_as(model))
        if window is not None and tokens > window:
            message = f"the prompt has about {tokens:,} tokens before any input; `{model}` holds {window:,}"
            yield subject.at(path, message + subject.project.source, "shorten it, or choose another model")


def over_output(subject: Subject) -> Iterator[Problem]:
    """An answer longer than the model writes, or than its whole window."""
    for name in _ANSWER:
        asked = subject.prompt.parameters.get(name)
        if not isinstance(asked, int) or asked <= _SMALLEST_WINDOW:
            continue
        for _, model in subject.models():
            what, limit = _answer_limit(subject, model)
            if limit is not None and asked > limit:
                message = f"`{name}` is {asked:,}, and `{model}` {what} {limit:,}"
                yield subject.at(("parameters", name), message + subject.project.source, f"at most {limit}")


def _answer_limit(subject: Subject, model: str) -> tuple[str, int | None]:
    catalog = subject.project.catalog
    if (limit := catalog.max_output(known_as(model))) is not None:
        return "writes at most", limit
    return "has a window of", catalog.window(known_as(model))


def _asked_answer(prompt: Prompt) -> int:
    asked = [prompt.parameters.get(name) for name in _ANSWER]
    return max((value for value in asked if isinstance(value, int)), default=0)


def _least(prompt: Prompt, enough: int) -> int:
    """Tokens before any input; the templates are rendered only where they could exceed ``enough``."""
    bound = _bound(prompt)
    if bound <= enough:
        return bound
    try:
        return least_tokens(prompt)
    except PromptopsError:  # a template that needs its inputs
        return 0


def _bound(prompt: Prompt) -> int:
    """At least as many tokens as the prompt has before any input, without rendering it."""
    texts = [text.template for text in texts_of(prompt)]
    partials = list(prompt.partials.values())
    if any(word in text for text in (*texts, *partials) for word in ("{% ", "{%-", "{%+", "*")):
        partials *= len(texts)
        if any("for " in text or "macro " in text or "*" in text for text in (*texts, *partials)):
            return 1 << 30
    defaults = [json.dumps(one.default) for one in prompt.inputs.values() if not one.required]
    named = sum(text.count("{{") for text in (*texts, *partials))
    return estimate_tokens(
        {"role": "user", "content": text} for text in (*texts, *partials, *(defaults * named))
    )
