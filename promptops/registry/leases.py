"""Who holds a lease: a process of some host. The lease of one that has died is nobody's."""

import os
import socket

from promptops.config.locks import is_process_alive
from promptops.config.text import whole_number


def new_lease_holder() -> str:
    """The name of this process in leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


def is_holder_dead(who: str) -> bool:
    """Whether a process of this host has died; of another host nobody knows."""
    host, _, rest = who.partition(":")
    pid = whole_number(rest.partition(":")[0])
    return host == socket.gethostname() and pid is not None and not is_process_alive(pid)
