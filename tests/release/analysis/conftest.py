"""What is made of the log is the same on each engine."""

from support.engines import location, new_location, registry

__all__ = ["location", "new_location", "registry"]
