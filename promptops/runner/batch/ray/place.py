"""``--on``: which Ray cluster makes the calls."""

import importlib.util
import re

from promptops.errors import Invalid, WrongUsage

LOCAL = "local"
_PLACE = re.compile(
    r"ray(?:(://[A-Za-z0-9._-]+(?::[0-9]{1,5})?)|:(auto|[A-Za-z0-9._-]+:[0-9]{1,5}))?", re.ASCII
)


def ray_address(text: str) -> str:
    """What ``ray.init`` takes: of ``ray`` a cluster of this machine alone, that ends with the command.

    Raises WrongUsage for what is no place, and Invalid where Ray is not installed.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise WrongUsage(
            f"--on {text}: not a place to make calls on",
            hint="ray, ray://HOST:10001, or on a machine of the cluster ray:auto or ray:HOST:6379",
        )
    if importlib.util.find_spec("ray") is None:
        raise Invalid(f"--on {text} needs Ray", hint="pip install 'git-promptops[ray]'")
    client, member = found.groups()
    return f"ray{client}" if client else member or LOCAL
