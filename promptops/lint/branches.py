"""The branches of a prompt's templates. Jinja2 is imported only where there may be any."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptops.lint.branch_types import BranchCoverage, TemplateBranch
from promptops.prompt import Prompt, Text, text_parts
from promptops.prompt.templates import CompiledTemplate

_EXPRESSION_BRANCH = re.compile(r"\bif\b")


def find_branches(prompt: Prompt) -> Iterator[TemplateBranch]:
    """List the branches of a prompt's templates without compiling them."""
    for text in text_parts(prompt):
        for what, line in _branches(text.template):
            yield TemplateBranch("", prompt.document.line_of(text.path, line), what)
    for path, template in prompt.partials.items():
        for what, line in _branches(template):
            yield TemplateBranch(path, line, what)


def _branches(template: str) -> Iterator[tuple[str, int]]:
    if "{%" in template or ("{{" in template and _EXPRESSION_BRANCH.search(template)):
        from promptops.lint.branch_coverage import jinja_branches

        yield from jinja_branches(template)


class UnbranchedTemplates:
    """The templates of a prompt that has no branches: rendered without looking which are reached."""

    def __init__(self, prompt: Prompt) -> None:
        """Raises TemplateFault for a template that can be read and not compiled."""
        partials = tuple(sorted(prompt.partials.items()))
        self._templates = {
            text.path: CompiledTemplate(text.template, partials) for text in text_parts(prompt)
        }

    def render(self, text: Text, values: Mapping[str, Any]) -> str:
        return self._templates[text.path].render(values)

    def coverage(self) -> BranchCoverage:
        return BranchCoverage()
