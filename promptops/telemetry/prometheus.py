"""Lines of Prometheus' text format."""

from collections.abc import Mapping

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def sample_line(name: str, labels: Mapping[str, str], value: float) -> str:
    """One value: ``name{label="value"} 1.5``. A label's value may be any text."""
    shown = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels.items())
    return f"{name}{{{shown}}} {value!r}" if shown else f"{name} {value!r}"
