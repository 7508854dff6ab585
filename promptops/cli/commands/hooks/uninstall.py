"""``promptops hooks uninstall``: as it was before ``hooks install``."""

from promptops.console import note, print_text
from promptops.git.hooks import find_repository_settings, uninstall_hooks


def hooks_uninstall() -> None:
    """Take the hooks out again and put back those that they ran first. Other hooks stay as they are."""
    steps = uninstall_hooks(find_repository_settings())
    for step in steps:
        print_text(str(step))
    if not steps:
        note("nothing to do: no hook of promptops is installed")
