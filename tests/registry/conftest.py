"""The conformance suite."""

from support.engines import location, new_location, registry

__all__ = ["location", "new_location", "registry"]
