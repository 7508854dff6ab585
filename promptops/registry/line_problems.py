"""What is wrong in the lines of a file that is taken in whole or not at all."""

from promptops.errors import Invalid

_MAX_SHOWN = 5


class LineProblems:
    """Every bad line is counted, the first few are named."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._shown: list[str] = []
        self._hint = ""

    def add(self, number: int, error: Invalid) -> None:
        self._count += 1
        self._hint = self._hint or error.hint
        if len(self._shown) < _MAX_SHOWN:
            self._shown.append(f"{self._name}:{number}: {error.message}")

    def refuse(self, lines: int) -> None:
        """Raise Invalid where a line was bad."""
        if not self._count:
            return
        more = (
            f" ({self._count:,} of {lines:,} lines are bad; nothing is taken in)" if self._count > 1 else ""
        )
        raise Invalid("\n".join(self._shown) + more, hint=self._hint)
