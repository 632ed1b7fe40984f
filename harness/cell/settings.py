"""Settings of an engine as frozen dataclasses: what the suite wrote, checked key by key.

A dataclass's field with a default may be left out; its annotation says what may stand there. The
annotations used are bool, int, float, str, `X | None`, tuples of one type, mappings from text to
numbers, and other such dataclasses.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

from harness.errors import DataError

_T = TypeVar("_T")
_LARGEST = 10**18  # more than anything is counted to, and within 64 bits


def read_settings(cls: type[_T], section: object, where: str = "settings") -> _T:
    """Make `cls` of a section of the settings.

    Raises:
        DataError: a key that is unknown or missing, or a value of another type or range; a
            ValueError of the class's own `__post_init__` is told at the section's place.
    """
    if not isinstance(section, Mapping):
        raise _refusal(where, "a mapping", section)
    hints = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in section:
        if key not in fields:
            near = get_close_matches(str(key), fields, n=1)
            raise DataError(
                f"unknown setting {where}.{key}",
                where="spec.json",
                expected=f"one of {', '.join(fields)}",
                hint=f"write `{near[0]}` in suite.yaml" if near else "remove it from suite.yaml",
            )
    values = {}
    for name, field in fields.items():
        if name in section:
            values[name] = _read(hints[name], section[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise DataError(
                f"{where}.{name} is missing",
                where="spec.json",
                hint=f"add `{name}: ...` under `{where}` in suite.yaml",
            )
    try:
        return cls(**values)
    except ValueError as error:
        raise DataError(
            f"{where}: {error}",
            where="spec.json",
            found=repr(dict(section)),
            hint=f"correct `{where}` in suite.yaml",
        ) from None


def _read(hint: Any, value: object, where: str) -> object:
    if get_origin(hint) in (Union, types.UnionType):
        return _read_union(hint, value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return read_settings(hint, value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise _refusal(where, "a list", value)
        return tuple(_read(get_args(hint)[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if get_origin(hint) is Mapping:
        if not isinstance(value, Mapping):
            raise _refusal(where, "a mapping", value)
        return {str(k): _read(get_args(hint)[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(hint, value, where)


def _read_union(hint: Any, value: object, where: str) -> object:
    """The value as the first of the alternatives that it fits; `None` stands for nothing."""
    inner = [arg for arg in get_args(hint) if arg is not type(None)]
    if value is None and len(inner) < len(get_args(hint)):
        return None
    for alternative in inner[:-1]:
        try:
            return _read(alternative, value, where)
        except DataError:
            continue
    return _read(inner[-1], value, where)


def _scalar(hint: type, value: object, where: str) -> object:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= sys.float_info.max:  # a whole number may have any number of digits
            raise _refusal(where, "a finite number", value)
        return float(value)
    if hint is int and _is_whole(value):
        if abs(value) >= _LARGEST:
            raise _refusal(where, "a whole number of at most 18 digits", value)
        return int(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    raise _refusal(where, names.get(hint, hint.__name__), value)


def _is_whole(value: object) -> TypeGuard[int | float]:
    """Canonical JSON writes whole numbers of any type alike."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _refusal(where: str, expected: str, value: object) -> DataError:
    return DataError(
        f"{where} is wrong",
        where="spec.json",
        expected=expected,
        found=f"{value!r:.80}",
        hint=f"correct `{where}` in suite.yaml",
    )
