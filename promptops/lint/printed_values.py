"""The rule on values that become texts as JSON: often a member of them was meant, or a word of one's own."""

from collections.abc import Iterator

from promptops.config.text import Problem
from promptops.lint.context import LintContext
from promptops.prompt import PYTHON_FORMAT, text_parts
from promptops.prompt.value_types import ALL_TYPES, PLAIN_TYPES

_WORDS = {"array": "a list", "boolean": "true or false", "null": "null", "object": "a mapping"}
_HINTS = {
    "array": "`{{ xs | join(', ') }}` writes its items; ignore this where JSON is meant",
    "boolean": "`{{ 'yes' if x else 'no' }}` writes words of your own",
    "null": "`{{ x or '' }}` writes another text for it",
    "object": "`{{ x.member }}` writes one of its members; ignore this where JSON is meant",
}


def json_in_texts(subject: LintContext) -> Iterator[Problem]:
    """One finding a line, where the types of the inputs say what is written."""
    prompt = subject.prompt
    if prompt.format_of_files == PYTHON_FORMAT:
        return
    from promptops.prompt.printed_types import printed_values

    parts = text_parts(prompt)
    texts = [*(part.template for part in parts), *prompt.partials.values()]
    places = [("", part.template, part) for part in parts]
    for file, text, part in [*places, *((path, text, None) for path, text in prompt.partials.items())]:
        last = 0
        for line, types in printed_values(text, texts, prompt.value_schemas):
            if types != ALL_TYPES and line != last:
                last = line
                at = prompt.document.line_of(part.path, line) if part else line
                yield subject.at_line(file, at, *_finding(types))


def _finding(types: frozenset[str]) -> tuple[str, str]:
    kinds = sorted(types - PLAIN_TYPES)
    words = ", ".join(_WORDS[kind] for kind in kinds)
    verb = "can be" if types & PLAIN_TYPES or len(kinds) > 1 else "is"
    return f"a value that {verb} {words} becomes a text here, as JSON", _HINTS[kinds[-1]]
