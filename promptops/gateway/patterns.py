"""What a key may call, as patterns of references and of models: one that can match nothing is a mistake."""

import re
from fnmatch import fnmatchcase

from promptops.errors import Invalid, NotFound
from promptops.gateway.references import check_served_reference
from promptops.providers.parameters import model_name_problem

WILDCARD = re.compile(r"[*?[]")
_OF_REFERENCES = re.compile(r"[\w./:@~^*?!\[\]-]+", re.ASCII)
_OF_MODELS = re.compile(r"[\w./:@+~*?!\[\]-]+", re.ASCII)


def matches(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def check_reference_pattern(pattern: str, *, revisions: bool) -> None:
    """Raises Invalid where no reference that is served is one of these."""
    if WILDCARD.search(pattern):
        if not _OF_REFERENCES.fullmatch(pattern):
            raise _matches_nothing("--allow", pattern, "names hold letters, digits and . _ - /")
        return
    try:
        check_served_reference(pattern, revisions=revisions)
    except NotFound:
        nearer = f"{pattern}:*" if re.fullmatch(r"\w[\w./-]*", pattern, re.ASCII) else "NAME:CHANNEL"
        revision = "" if revisions else ", and NAME@REV with --revisions"
        raise _matches_nothing(
            "--allow", pattern, f"write '{nearer}': a channel, a number (@v3){revision}"
        ) from None


def check_model_pattern(pattern: str) -> None:
    """Raises Invalid where no model is one of these."""
    if WILDCARD.search(pattern):
        problem = "" if _OF_MODELS.fullmatch(pattern) else "a model's name holds no such characters"
    elif "/" not in pattern:
        problem = f"models are written provider/model, such as openai/{pattern}"
    else:
        problem = model_name_problem(pattern)
    if problem:
        raise _matches_nothing("--models", pattern, problem)


def _matches_nothing(option: str, pattern: str, hint: str) -> Invalid:
    return Invalid(f"{option} '{pattern}' matches nothing that can be called", hint=hint)
