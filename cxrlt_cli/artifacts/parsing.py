"""JSON from a file into frozen dataclasses: the type hints are the schema, checked once, where the file is read."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cxrlt_cli.errors import Stopped, UserError, reason

T = TypeVar("T")
Row = dict[str, str | int | float | bool | None]  # of a table of metrics


@contextmanager
def damage_reported(path: Path, hint: str) -> Iterator[None]:
    """Turns whatever reading a file raises into one message: "PATH is damaged: reason".

    A damaged file makes the libraries that read it raise nearly anything. A `UserError` goes through as it is.

    Raises:
        UserError: the block raised something else.
    """
    try:
        yield
    except (UserError, Stopped):
        raise
    except MemoryError as error:
        raise UserError(f"{path} needs more memory than there is, or it is damaged", hint) from error
    except Exception as error:
        raise UserError(f"{path} is damaged: {reason(error)}", hint) from error


def parse(kind: type[T], content: Any, path: Path, hint: str) -> T:
    """A dataclass from a JSON object.

    Args:
        kind: a frozen dataclass. Its hints may be `Any`, `str`, `int`, `float` (finite), `bool`, `None`, `Literal`, unions,
            `list`, `tuple[X, ...]` and `dict[str, X]` of these, and dataclasses of such fields. Ranges are checked in its
            `__post_init__`, which raises ValueError. A field with a default may be absent.
        content: what `json.loads` gave. Keys that are not fields are ignored: a later version may add some.
        path: of the file, for the message.
        hint: what to do about a damaged file.

    Raises:
        UserError: "PATH is damaged", with the field and the problem.
    """
    try:
        parsed: T = _dataclass(kind, content, "")
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}", hint) from error
    return parsed


@dataclass(frozen=True)
class ClassNames:
    """The classes that a table has a column for each of."""

    classes: list[str]

    def __post_init__(self) -> None:
        if not all(self.classes) or len(set(self.classes)) < len(self.classes):
            raise ValueError("classes has an empty name, or one twice")


def require_numbers(row: Row, names: tuple[str, ...], where: str) -> None:
    """Raises ValueError where a metric is not there, or is neither a number nor None (undefined)."""
    for name in names:
        if name not in row or isinstance(row[name], str):
            raise ValueError(f"{where}.{name} is {_shown(row.get(name, 'missing'))}, not a number")


def require_size(settings: dict[str, Any], where: str) -> None:
    """Raises ValueError if the pixel settings of an artifact do not give the side of the images, in pixels."""
    size = settings.get("size")
    if type(size) is not int or not 1 <= size <= 1 << 16:
        raise ValueError(f"{where}.size is {_shown(size)}, not a number of pixels")


def saved_as(key: str, default: Any = MISSING) -> Any:
    """A dataclass field whose key in the file differs from its name."""
    return field(default=default, metadata={"key": key})


def as_json(value: Any) -> Any:
    """Dataclasses as JSON objects, at any depth; everything else is kept."""
    if is_dataclass(value):
        return {_key(field): as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list | tuple) else value


def plain(header: Any) -> dict[str, Any]:
    """A header as JSON holds it; what is None is left out, and so is absent when it is read again."""
    return {key: value for key, value in as_json(header).items() if value is not None}


def _key(field: "Field[Any]") -> str:
    return str(field.metadata.get("key", field.name))


@cache
def _schema(kind: Any) -> list[tuple["Field[Any]", str, Any]]:
    hints = get_type_hints(kind)
    return [(field, _key(field), hints[field.name]) for field in fields(kind)]


def _dataclass(kind: Any, content: Any, where: str) -> Any:
    if not isinstance(content, dict):
        raise ValueError(f"{where or 'its header'} is {_shown(content)}, not an object")
    values = {}
    for entry, key, hint in _schema(kind):
        place = f"{where}.{key}" if where else key
        if key in content:
            values[entry.name] = _value(hint, content[key], place)
        elif entry.default is MISSING and entry.default_factory is MISSING:
            raise ValueError(f"{place} is missing")
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}" if where else str(error)) from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _one_of(arguments, value, where)
    if is_dataclass(hint):
        return _dataclass(hint, value, where)
    if origin in (list, tuple) and isinstance(value, list):
        return origin(_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if not _fits(hint, value):
        raise ValueError(f"{where} is {_shown(value)}, not {_named(hint)}")
    return float(value) if hint is float else value


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a hint that has no parts."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and abs(value) < 1e308 and math.isfinite(value)  # an integer may be larger than any float
    return hint is Any or type(value) is hint


def _one_of(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and NoneType in hints:
        return None
    others = [hint for hint in hints if hint is not NoneType]
    for hint in others[:-1]:
        try:
            return _value(hint, value, where)
        except ValueError:
            continue
    return _value(others[-1], value, where)


_NAMES = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false"}


def _named(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    return "an object" if origin is dict else "a list" if origin in (list, tuple) else _NAMES.get(hint, str(hint))


def _shown(value: Any) -> str:
    """A value in a message: the beginning of what it is."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
