"""One part of a job that several processes share: the first of every four lines, the second, and so on."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from promptops.dataclass import dataclass
from promptops.errors import WrongUsage

Thing = TypeVar("Thing")
_MOST = 10_000  # shards of one job
_FORM = re.compile(r"([0-9]{1,5})/([0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` of ``count``, from 1. Of things in order it takes each ``count``-th.

    So results of all parts, one of each in turn, are in order again.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``2/8``. Raises WrongUsage."""
        found = _FORM.fullmatch(text)
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count <= _MOST:
            raise WrongUsage(
                f"--shard {text}: not I/N with I from 1 to N, and N at most {_MOST:,}",
                hint="of eight shards they are 1/8 to 8/8",
            )
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def suffix(self) -> str:
        """What files of this part have in their names: ``02-of-16``, so that they sort as they count."""
        return f"{self.number:0{len(str(self.count))}d}-of-{self.count}"

    def take(self, things: Iterable[Thing]) -> Iterator[Thing]:
        return islice(things, self.number - 1, None, self.count)

    def has(self, place: int) -> bool:
        """Whether the thing at this place is of this part; from 0."""
        return place % self.count == self.number - 1

    def file(self, path: Path) -> Path:
        """Where this part writes what the whole would write to ``path``: ``answers-2-of-8.jsonl``.

        A device or a pipe stays what it is.
        """
        if path.exists() and not path.is_file():
            return path
        return path.with_name(f"{path.stem}-{self.suffix}{path.suffix}")


def take_shard(shard: Shard | None, things: Sequence[Thing]) -> Sequence[Thing]:
    """All things where there is one part."""
    return things if shard is None else tuple(shard.take(things))
