"""The identity of a cell: one canonical text per JSON value, and its SHA-256.

Two values that a reader of the suite would call equal have one text: key order does not count, and
neither does whether a number is written `7e9` or `7000000000`. Values of different JSON types never
share a text (`"1"`, `1` and `true` are three values). The text is valid JSON in UTF-8.

Stored results are found again by these hashes. The rules below never change; a different rule is a
new version of the document (its key `schema`).
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from json.encoder import encode_basestring
from math import isfinite

from harness.errors import SuiteError

DOCUMENT_SCHEMA = 1


def canonical_json(value: object) -> bytes:
    """The one UTF-8 text of a JSON value: sorted keys (by code point), no spaces.

    Integral floats are written as integers and `-0.0` as `0`; other floats as the shortest decimal
    that reads back as the same double.

    Raises:
        SuiteError: a NaN or infinity, a key that is not a string, text that UTF-8 cannot hold, a
            value that contains itself, or a type that JSON does not know. `where` is the key path.
    """
    parts: list[str] = []
    try:
        _write(value, parts, ())
        return "".join(parts).encode()
    except RecursionError:
        raise SuiteError("a value is nested too deeply, or contains itself") from None
    except UnicodeEncodeError as error:
        raise SuiteError(
            "text that UTF-8 cannot hold", expected="Unicode text", found=ascii(error.object[:80])
        ) from None
    except ValueError:  # CPython refuses to print integers beyond sys.get_int_max_str_digits()
        raise SuiteError("an integer with thousands of digits") from None


def cell_id(document: Mapping[str, object]) -> str:
    """The 64 hexadecimal digits that name a cell: SHA-256 of its document's canonical JSON."""
    return sha256(canonical_json(document)).hexdigest()


def _write(value: object, parts: list[str], path: tuple[str, ...]) -> None:
    if isinstance(value, str):
        parts.append(encode_basestring(value))
    elif value is None:
        parts.append("null")
    elif isinstance(value, bool):
        parts.append("true" if value else "false")
    elif isinstance(value, int):
        parts.append(int.__repr__(value))
    elif isinstance(value, float):
        parts.append(_number(value, path))
    elif isinstance(value, Mapping):
        _write_mapping(value, parts, path)
    elif isinstance(value, list | tuple):
        opening = "["
        for index, item in enumerate(value):
            parts.append(opening)
            _write(item, parts, (*path, f"[{index}]"))
            opening = ","
        parts.append("]" if value else "[]")
    else:
        raise SuiteError(
            "a value that has no canonical JSON",
            where=_dotted(path),
            expected="text, a number, true, false, null, a list or a mapping",
            found=f"{type(value).__name__}: {value!r:.80}",
        )


def _write_mapping(
    mapping: Mapping[object, object], parts: list[str], path: tuple[str, ...]
) -> None:
    for key in mapping:
        if not isinstance(key, str):
            raise SuiteError(
                "a key that is not text", where=_dotted(path), expected="text", found=repr(key)
            )
    opening = "{"
    for key in sorted(mapping):  # type: ignore[type-var]
        assert isinstance(key, str)
        parts += (opening, encode_basestring(key), ":")
        _write(mapping[key], parts, (*path, key))
        opening = ","
    parts.append("}" if mapping else "{}")


def _number(value: float, path: tuple[str, ...]) -> str:
    if not isfinite(value):
        raise SuiteError(
            "a number that is not finite",
            where=_dotted(path),
            expected="a finite number",
            found=float.__repr__(value),
        )
    # The subclass's own repr may differ (NumPy's names its type), hence float.__repr__.
    return int.__repr__(int(value)) if value.is_integer() else float.__repr__(value)


def _dotted(path: tuple[str, ...]) -> str | None:
    return ".".join(path).replace(".[", "[") or None
