"""Values that a sandbox sends: builtin types, constructed here."""

from __future__ import annotations

from typing import Any

from reward_scorers.sandbox.guest import values


def read_value(data: bytes) -> Any:
    """The value of a text that a sandbox sends; None for what is no builtin value."""
    try:
        return _Reader().read(values.loads(data))
    except values.NoValue:
        return None


class _Reader(values.Reader):
    def read_other(self, tag: str, content: Any) -> None:
        """An object of another type has no value here."""
