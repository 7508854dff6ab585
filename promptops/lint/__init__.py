"""Static rules on prompts, their partials, schemas and golden sets. Nothing is called or logged."""

from promptops.lint.linter import lint_prompts
from promptops.lint.report import LintFinding, LintReport, PromptCoverage
from promptops.lint.rules import RULES, Rule
from promptops.lint.scope import Scope, staged_scope, working_tree_scope

__all__ = [
    "RULES",
    "LintFinding",
    "LintReport",
    "PromptCoverage",
    "Rule",
    "Scope",
    "lint_prompts",
    "staged_scope",
    "working_tree_scope",
]
