"""What code has on it: names that stand in it on both sides, and its lines."""

from __future__ import annotations

FILE = "<tests>"  # where test code says that it comes from
COUNTER = "__counter__"  # a context manager that counts the assertions in it


def line_in(file: str, error: BaseException) -> int | None:
    """The line of a file in which an exception came up, the innermost; None if none is of it."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found
