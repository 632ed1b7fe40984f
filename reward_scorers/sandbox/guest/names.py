"""Names that stand in code on both sides."""

from __future__ import annotations

FILE = "<tests>"  # where test code says that it comes from
COUNTER = "__counter__"  # a context manager that counts the assertions in it
