"""Rules on lengths: the prompt against its own budget, prompt and answer against what the model holds."""

import json
from collections.abc import Iterator

from promptops.config.text import Problem
from promptops.errors import PromptopsError
from promptops.lint.context import LintContext
from promptops.lint.models import catalog_name
from promptops.prompt import Prompt, text_parts
from promptops.prompt.render import estimate_tokens, min_tokens

_SMALLEST_WINDOW = 2_000  # tokens: no model that is served today holds less
_OUTPUT_LIMIT_KEYS = ("max_completion_tokens", "max_tokens")


def over_budget(subject: LintContext) -> Iterator[Problem]:
    limit = subject.prompt.max_input_tokens
    if limit is not None and (tokens := _min_prompt_tokens(subject.prompt, limit)) > limit:
        message = f"the prompt has about {tokens:,} tokens before any input, above its limit of {limit:,}"
        yield subject.at(("max_input_tokens",), message, "shorten it, or raise max_input_tokens")


def over_window(subject: LintContext) -> Iterator[Problem]:
    answer = _requested_output_tokens(subject.prompt)
    if _token_upper_bound(subject.prompt) + answer <= _SMALLEST_WINDOW:
        return
    tokens = _min_prompt_tokens(subject.prompt, 0)
    for path, model in subject.models():
        window = subject.project.catalog.window(catalog_name(model))
        if window is not None and tokens > window:
            message = f"the prompt has about {tokens:,} tokens before any input; `{model}` holds {window:,}"
            yield subject.at(path, message + subject.project.source, "shorten it, or choose another model")


def over_output(subject: LintContext) -> Iterator[Problem]:
    """An answer longer than the model writes, or than its whole window."""
    for name in _OUTPUT_LIMIT_KEYS:
        asked = subject.prompt.parameters.get(name)
        if not isinstance(asked, int) or asked <= _SMALLEST_WINDOW:
            continue
        for _, model in subject.models():
            what, limit = _output_limit(subject, model)
            if limit is not None and asked > limit:
                message = f"`{name}` is {asked:,}, and `{model}` {what} {limit:,}"
                yield subject.at(("parameters", name), message + subject.project.source, f"at most {limit}")


def _output_limit(subject: LintContext, model: str) -> tuple[str, int | None]:
    catalog = subject.project.catalog
    if (limit := catalog.max_output(catalog_name(model))) is not None:
        return "writes at most", limit
    return "has a window of", catalog.window(catalog_name(model))


def _requested_output_tokens(prompt: Prompt) -> int:
    asked = [prompt.parameters.get(name) for name in _OUTPUT_LIMIT_KEYS]
    return max((value for value in asked if isinstance(value, int)), default=0)


def _min_prompt_tokens(prompt: Prompt, enough: int) -> int:
    """Tokens before any input; the templates are rendered only where they could exceed ``enough``."""
    bound = _token_upper_bound(prompt)
    if bound <= enough:
        return bound
    try:
        return min_tokens(prompt)
    except PromptopsError:  # a template that needs its inputs
        return 0


def _token_upper_bound(prompt: Prompt) -> int:
    """At least as many tokens as the prompt has before any input, without rendering it."""
    texts = [text.template for text in text_parts(prompt)]
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
