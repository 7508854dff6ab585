"""Versions, runs, logs and releases prompt templates from your own git repository.

What applications import stands here, and nothing below this package is theirs: see docs/python.md.
"""

from promptops._version import __version__

__all__ = [
    "CheckResult",
    "Invalid",
    "Limits",
    "ModelError",
    "NotFound",
    "OverBudget",
    "PreparedCall",
    "PromptopsError",
    "Run",
    "Stream",
    "Unavailable",
    "Workspace",
    "__version__",
]

TYPE_CHECKING = False  # typing's own takes time to import, and type checkers know this one as well
if TYPE_CHECKING:
    from promptops.api import PreparedCall, Stream, Workspace
    from promptops.errors import Invalid, NotFound, OverBudget, PromptopsError, Unavailable
    from promptops.providers.types import ModelError
    from promptops.registry import CheckResult
    from promptops.runner.retry import Limits
    from promptops.runner.run import Run

_MODULES = {
    "CheckResult": "registry",
    "Invalid": "errors",
    "Limits": "runner.retry",
    "ModelError": "providers.types",
    "NotFound": "errors",
    "OverBudget": "errors",
    "PreparedCall": "api",
    "PromptopsError": "errors",
    "Run": "runner.run",
    "Stream": "api",
    "Unavailable": "errors",
    "Workspace": "api",
}


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for: the command line asks for none of them."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"promptops.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
