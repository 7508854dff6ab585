"""Starts a drain that nobody waits for."""

import os
import subprocess
import sys
from contextlib import suppress

from promptops.config.registry_location import exact_text
from promptops.config.settings import Settings
from promptops.errors import PromptopsError
from promptops.evaluation.shadow.live.lock import exclusive_lock


def start_drain_if_due(settings: Settings) -> None:
    """Where something waits for a shadow."""
    from promptops.registry import RegistryDatabase, next_live_shadow

    with suppress(PromptopsError), RegistryDatabase.open_existing(settings.registry) as registry:
        if next_live_shadow(registry):
            start_drain(settings)


def start_drain(settings: Settings) -> bool:
    """Whether one was started; not where one is at work, which finds the new job before it ends.

    It has a session of its own and none of this process's streams. Raises nothing: what is not begun now
    waits for the next.
    """
    command = [sys.executable, "-P", "-m", "promptops", "-C", str(settings.root)]
    command += ["shadow", "drain"]
    try:
        with exclusive_lock(settings.registry) as free:
            if not free:
                return False
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PROMPTOPS_REGISTRY": exact_text(settings.registry)},
        )
    except OSError:
        return False
    child.returncode = 0  # else its end would be asked for
    return True
