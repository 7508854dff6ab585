"""Versions, runs, logs and releases prompt templates from your own git repository."""

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__"]

TYPE_CHECKING = False  # typing's own takes time to import, and type checkers know this one as well
if TYPE_CHECKING:
    from promptops.api import Workspace


def __getattr__(name: str) -> object:
    if name == "Workspace":  # loaded by who uses it: the command line does not
        from promptops import api

        return api.Workspace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
