"""``dataclasses.dataclass``, which writes ``__init__`` when a first instance is made and shares the rest.

The standard library's compiles eight methods of every class as it is defined. That took a fifth of a
command's start, most of it for methods that nobody called.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]


def _dataclass(  # the name of the standard library's is its type as well, see the end
    cls: type | None = None, /, *, frozen: bool = False, eq: bool = True, **options: Any
) -> Any:
    if cls is None:
        return lambda later: _dataclass(later, frozen=frozen, eq=eq, **options)
    own = vars(cls)
    cls.__doc__ = cls.__doc__ or cls.__name__  # else it is made of the signature, which takes long
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, **options)(cls)
    shared: dict[str, Any] = {"__init__": _first_init(made), "__repr__": _repr}
    if eq:
        shared["__eq__"] = _eq
        shared["__hash__"] = _hash if frozen else None
        compared = [each.name for each in fields(made) if each.compare]
        made.__compared__ = staticmethod(attrgetter(*compared) if compared else type)
    if frozen:
        shared |= {"__setattr__": _refuse_change, "__delattr__": _refuse_change}
        shared |= {"__getstate__": _getstate, "__setstate__": _setstate}
    for name, method in shared.items():
        if name not in own or (name == "__hash__" and own[name] is None):
            setattr(made, name, method)
    return made


def _first_init(cls: Any) -> Callable[..., None]:
    def init(self: Any, *args: Any, **values: Any) -> None:
        cls.__init__ = _compiled_init(cls)
        cls.__init__(self, *args, **values)

    return init


def _compiled_init(cls: Any) -> Any:
    frozen = cls.__setattr__ is _refuse_change
    slots = getattr(cls, "__slots__", ())
    scope: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    taken: list[str] = []
    named: list[str] = []
    body: list[str] = []
    for each in fields(cls):
        name = value = each.name
        spelt = name
        if each.default_factory is not MISSING:
            scope[f"_new_{name}"] = each.default_factory
            spelt = f"{name}=_missing"
            value = f"_new_{name}() if {name} is _missing else {name}" if each.init else f"_new_{name}()"
        elif each.default is not MISSING:
            scope[f"_default_{name}"] = each.default
            spelt = f"{name}=_default_{name}"
            value = name if each.init else f"_default_{name}"
        elif not each.init:
            continue
        if each.init:
            (named if each.kw_only else taken).append(spelt)
        if frozen and name in slots:  # nothing to look up by name: half the time of a class of 30 fields
            scope[f"_set_{name}"] = getattr(cls, name).__set__
            body.append(f" _set_{name}(self, {value})")
        else:
            body.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append(" self.__post_init__()")
    parameters = ", ".join(["self", *taken, *(["*", *named] if named else [])])
    exec(f"def __init__({parameters}):\n" + ("\n".join(body) or " pass"), scope)  # noqa: S102 - of names of fields alone, as the standard library does
    init = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    compared = self.__compared__
    return compared(self) == compared(other)


def _hash(self: Any) -> int:
    return hash(self.__compared__(self))


def _refuse_change(self: Any, name: str, _value: object = None) -> None:
    raise FrozenInstanceError(f"cannot change {name!r} of a {type(self).__name__}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
