"""Static rules on prompts, their partials, schemas and golden sets. Nothing is called or logged."""

from promptops.lint.linter import lint
from promptops.lint.report import Coverage, Finding, Report
from promptops.lint.rules import RULES, Rule
from promptops.lint.scope import Scope, staged_scope, working_tree_scope

__all__ = [
    "RULES",
    "Coverage",
    "Finding",
    "Report",
    "Rule",
    "Scope",
    "lint",
    "staged_scope",
    "working_tree_scope",
]
