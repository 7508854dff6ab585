"""promptops.dataclass against the standard library's: whatever is done with a class, both do the same."""

import copy
import dataclasses
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import promptops
from promptops.dataclass import dataclass


def _classes(decorate: Callable[..., Any]) -> dict[str, Any]:
    @decorate(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 2
        tags: list[str] = dataclasses.field(default_factory=list, compare=False, repr=False)

    @decorate(frozen=True, slots=True, kw_only=True)
    class Named:
        """With words of its own."""

        name: str
        count: int = 0

    @decorate(slots=True)
    class Counter:
        hits: int = 0
        seen: int = dataclasses.field(default=7, init=False)
        rest: int = dataclasses.field(init=False)
        names: dict[str, int] = dataclasses.field(init=False, default_factory=dict)

        def __post_init__(self) -> None:
            self.rest = self.hits + 1

    @decorate(frozen=True)
    class Clean:
        text: str

        def __post_init__(self) -> None:
            object.__setattr__(self, "text", self.text.strip())

    @decorate(frozen=True, slots=True)
    class Further(Point):
        z: int = 3

        def __repr__(self) -> str:
            return "its own"

    @decorate(frozen=True, eq=False)
    class Alone:
        x: int = 1

    @decorate(frozen=True, slots=True)
    class Empty:
        pass

    return {name: kind for name, kind in locals().items() if isinstance(kind, type)}


OURS, THEIRS = _classes(dataclass), _classes(dataclasses.dataclass)
USES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "repr": lambda of: [
        repr(of["Point"](1, tags=["a"])), repr(of["Counter"](3)), repr(of["Further"](1)), repr(of["Empty"]())
    ],
    "defaults": lambda of: (of["Point"](1).y, of["Point"](1).tags),
    "made later": lambda of: (of["Counter"]().names, of["Counter"]().seen, of["Counter"]().rest),
    "a list of its own": lambda of: of["Point"](1).tags is of["Point"](1).tags,
    "post init": lambda of: of["Clean"](" a ").text,
    "keywords": lambda of: repr(of["Named"](count=2, name="a")),
    "equal": lambda of: [of["Point"](1) == of["Point"](1, 2, ["b"]), of["Point"](1) != of["Point"](1)],
    "unequal": lambda of: [
        of["Point"](1) == of["Point"](2),
        of["Point"](1) == of["Further"](1),
        of["Point"](1) == (1, 2),
        of["Counter"](1) == of["Counter"](2),
        of["Alone"]() == of["Alone"](),
        of["Empty"]() == of["Empty"](),
    ],
    "hash": lambda of: [
        len({of["Point"](1), of["Point"](1), of["Point"](3)}),
        len({of["Clean"]("a"), of["Clean"]("a")}),
        len({of["Alone"](), of["Alone"]()}),
        len({of["Empty"](), of["Empty"]()}),
    ],
    "no hash": lambda of: hash(of["Counter"]()),
    "set a field": lambda of: setattr(of["Point"](1), "x", 2),
    "set another": lambda of: setattr(of["Clean"]("a"), "other", 2),
    "delete a field": lambda of: delattr(of["Named"](name="a"), "name"),
    "set where it may change": lambda of: setattr(of["Counter"](), "hits", 2),
    "too few": lambda of: of["Point"](),
    "too many": lambda of: of["Point"](1, 2, [], 4),
    "unknown": lambda of: of["Named"](name="a", other=1),
    "by position": lambda of: of["Named"]("a"),
    "not to be given": lambda of: of["Counter"](seen=1),
    "replace": lambda of: repr(dataclasses.replace(of["Point"](1), y=5)),
    "asdict": lambda of: dataclasses.asdict(of["Further"](1, tags=["a"])),
    "fields": lambda of: [each.name for each in dataclasses.fields(of["Further"])],
    "match": lambda of: of["Point"].__match_args__,
    "slots": lambda of: (of["Point"].__slots__, hasattr(of["Point"](1), "__dict__")),
    "no slots": lambda of: vars(of["Clean"]("a")),
    "copy": lambda of: repr([copy.copy(of["Point"](1)), copy.deepcopy(of["Counter"](4))]),
    "copy without slots": lambda of: repr(copy.deepcopy(of["Clean"]("a"))),
}  # fmt: skip


def _outcome(use: Callable[[dict[str, Any]], Any], kinds: dict[str, Any]) -> Any:
    try:
        return use(kinds)
    except (AttributeError, TypeError) as error:
        message = "" if isinstance(error, AttributeError) else str(error).replace("_classes.<locals>.", "")
        return type(error), message


@pytest.mark.parametrize("use", USES)
def test_it_does_what_the_one_of_the_standard_library_does(use: str) -> None:
    for _ in range(2):  # what makes the first instance also writes how the next are made
        assert _outcome(USES[use], OURS) == _outcome(USES[use], THEIRS)


@dataclass(frozen=True, slots=True)
class Kept:
    x: int
    y: tuple[int, ...] = ()


def test_an_instance_is_pickled() -> None:
    assert pickle.loads(pickle.dumps(Kept(1, (2,)))) == Kept(1, (2,))  # noqa: S301 - our own


def test_nothing_is_compiled_before_the_first_instance() -> None:
    @dataclass(frozen=True, slots=True)
    class Waiting:
        x: int

    assert vars(Waiting)["__init__"].__code__.co_filename.endswith("dataclass.py")
    Waiting(1)
    assert vars(Waiting)["__init__"].__code__.co_filename == "<string>"


def test_the_package_uses_it() -> None:
    """But for options, whose classes are read by their signatures."""
    top = Path(promptops.__file__).parent
    theirs = [
        file.relative_to(top).as_posix()
        for file in top.rglob("*.py")
        if re.search(r"^from dataclasses import .*\bdataclass\b", file.read_text("utf-8"), re.MULTILINE)
    ]
    assert sorted(theirs) == ["cli/options/pages.py", "cli/options/release.py", "cli/options/replay.py"]
