"""Checks that act: what comes in and what goes out is blocked, redacted or flagged."""

from promptops.guards.act import (
    GuardedAnswer,
    GuardedInputs,
    SpendingGrader,
    guard_answer,
    guard_inputs,
    guard_inputs_by_model,
    text_for_log,
)
from promptops.guards.compile import CompiledGuard, CompiledGuards, compile_guards
from promptops.guards.run_guards import Guarding, guarded_inputs, project_guards
from promptops.guards.stream import StreamGate
from promptops.guards.texts import AnswerTexts

__all__ = [
    "AnswerTexts",
    "CompiledGuard",
    "CompiledGuards",
    "GuardedAnswer",
    "GuardedInputs",
    "Guarding",
    "SpendingGrader",
    "StreamGate",
    "compile_guards",
    "guard_answer",
    "guard_inputs",
    "guard_inputs_by_model",
    "guarded_inputs",
    "project_guards",
    "text_for_log",
]
