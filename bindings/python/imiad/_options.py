"""Options by keyword, checked by the library against the schema that each thing carries."""
from __future__ import annotations

import ctypes
import inspect
from enum import Enum
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Sequence

from . import _abi
from ._library import Error, Status, lib, made, name_of, text


class Option(NamedTuple):
    """One line of a schema."""

    name: str
    type: str  # "int", "real", "bool", "choice" or "text"
    default: str
    range: str
    help: str


_TYPES = {value: key[len("IMIAD_OPTION_"):].lower()
          for key, value in _abi.ENUMS["imiad_option_type"].items()}
_NUMBERS = {name: number for number, name in _TYPES.items()}
_PYTHON = {"int": int, "real": float, "bool": "true".__eq__, "choice": str, "text": str}


def read_schema(ask: Callable[..., Any], *arguments: Any) -> list[Option]:
    """Every line that a function such as imiad_detector_option_info gives, from 0 on."""
    lines: list[Option] = []
    while True:
        info = made(_abi.imiad_option_info)
        try:
            ask(info, *arguments, len(lines))
        except Error as error:
            if error.status == Status.OUT_OF_RANGE:
                return lines
            raise
        lines.append(Option(text(info.name), _TYPES[info.type], text(info.default_value),
                            text(info.range), text(info.help)))


def written(value: Any) -> str:
    """A value as the library reads it: True is "true", 0.1 is "0.1", a list "a,b"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(written(one) for one in value)
    if isinstance(value, Enum):
        return str(value.value)
    return str(value)


def packed(options: Mapping[str, Any]) -> tuple[Any, int]:
    """The array of imiad_option that the library takes, and its length."""
    array = (_abi.imiad_option * max(1, len(options)))()
    for place, (name, value) in zip(array, options.items()):
        place.name, place.value = name_of(name), name_of(written(value))
    return array, len(options)


def python_value(type: str, value: str) -> Any:
    """What the text of an option stands for."""
    return _PYTHON[type](value)


def packed_schema(options: Sequence[Option]) -> tuple[Any, int]:
    """The array of imiad_option_info that registering takes, and its length."""
    array = (_abi.imiad_option_info * max(1, len(options)))()
    for place, line in zip(array, options):
        place.struct_size = ctypes.sizeof(_abi.imiad_option_info)
        place.type, place.name = _NUMBERS[line.type], name_of(line.name)
        place.default_value = name_of(written(line.default))
        place.range, place.help = name_of(line.range), name_of(line.help)
    return array, len(options)


def names(count: Callable[[], int], name: Callable[[int], bytes]) -> list[str]:
    return [text(name(i)) for i in range(count())]


def unpacked(array: Any, count: int) -> dict[str, str]:
    return {text(array[i].name): text(array[i].value) for i in range(count)}


class Registry:
    """What a module such as imiad.detectors offers: one callable for each registered name."""

    def __init__(self, what: str, count: Any, name: Any, title: Any, ask: Any,
                 make: Callable[..., Any], first: list[inspect.Parameter]):
        self._what, self._count, self._name, self._title = what, count, name, title
        self._ask, self._make, self._first = ask, make, first

    def names(self) -> list[str]:
        """The registered names."""
        return names(self._count, self._name)

    def schema(self, name: str) -> list[Option]:
        """The options of a registered name."""
        return read_schema(self._ask, name_of(name))

    def title(self, name: str) -> str:
        """What a registered name is, in a line."""
        known = self.names()
        if name not in known:
            raise Error(Status.UNKNOWN_OPTION, f"no {self._what} is named {name!r}: "
                                               f"there are {', '.join(known)}")
        return text(self._title(known.index(name)))

    def factory(self, name: str) -> Callable[..., Any]:
        """A callable with the signature and the help of the name's schema."""
        lines = self.schema(name)

        def create(*arguments: Any, **options: Any) -> Any:
            return self._make(name, *arguments, **options)

        parameters = []
        for line in lines:
            default = python_value(line.type, line.default)
            parameters.append(inspect.Parameter(line.name, inspect.Parameter.KEYWORD_ONLY,
                                                default=default, annotation=type(default)))
        create.__name__ = create.__qualname__ = name
        create.__signature__ = inspect.Signature(self._first + parameters)  # type: ignore[attr-defined]
        create.__doc__ = f"{self.title(name)}\n\n" + "\n".join(_help(lines))
        return create

    def attribute(self, module: str, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self.names():
            raise AttributeError(f"module {module!r} has no attribute {name!r}: "
                                 f"{self._what}s are {', '.join(self.names())}")
        return self.factory(name)


def _help(lines: list[Option]) -> Iterator[str]:
    for line in lines:
        bounds = f", {line.range}" if line.range else ""
        yield f"{line.name} ({line.type}{bounds}; default {line.default!r}): {line.help}"


def parameter(name: str, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)

