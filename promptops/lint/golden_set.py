"""Rules on the golden set: it can be read, fits the prompt, and reaches every branch of its templates."""

from collections.abc import Iterator

from promptops.config.text import Problem
from promptops.lint.context import LintContext


def bad_cases(subject: LintContext) -> Iterator[Problem]:
    return subject.golden.of("bad-cases")


def case_inputs(subject: LintContext) -> Iterator[Problem]:
    return subject.golden.of("case-inputs")


def case_fails(subject: LintContext) -> Iterator[Problem]:
    return subject.golden.of("case-fails")


def case_over_budget(subject: LintContext) -> Iterator[Problem]:
    return subject.golden.of("case-over-budget")


def unreached_branch(subject: LintContext) -> Iterator[Problem]:
    golden, name = subject.golden, subject.prompt.name
    missed = golden.coverage.missed
    if missed and not golden.size:
        if subject.prompt.cases is None:
            branches = f"{len(missed)} branches" if len(missed) > 1 else "a branch"
            message = f"the templates of {name} have {branches} that no cases reach"
            yield subject.at_line(missed[0].file, missed[0].line, message, "add a golden set: `cases: FILE`")
        return
    for branch in missed:
        message = f"no case of {name} reaches this `{branch.what}`"
        reached = f" ({golden.coverage} reached by {golden.size_text})"
        yield subject.at_line(branch.file, branch.line, message + reached, "add a case that does")
