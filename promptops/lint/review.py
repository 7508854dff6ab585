"""Rules on answers that a person has to release."""

from collections.abc import Iterator

from promptops.config.text import Problem
from promptops.lint.context import LintContext


def review_without_outputs(subject: LintContext) -> Iterator[Problem]:
    kept = subject.project.settings.log.outputs
    if subject.prompt.review == "required" and kept != "full":
        message = f"nobody can release the answers of {subject.prompt.name}: the log keeps them as {kept}"
        yield subject.at(("review",), message, "promptops.yaml: log: {outputs: full}")
