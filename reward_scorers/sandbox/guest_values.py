"""Values that a sandbox sends: builtin types, constructed here."""

from __future__ import annotations

from typing import Any

from reward_scorers.sandbox.guest import values


def read_value(data: bytes) -> Any:
    """The value of a text; an object that is no builtin value is None.

    Raises:
        NoValue: it is no value.
    """
    return _Reader().read(values.loads(data))


class _Reader(values.Reader):
    def read_other(self, tag: str, content: Any) -> None:
        """An object of another type has no value here."""
