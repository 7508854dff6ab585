"""What is closed at the end of a ``with`` block."""

from typing import Self


class Closing:
    def close(self) -> None:
        """Let go of what is held; may be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
