"""What a program may use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use; what goes beyond ends it.

    Args:
        time_s: seconds of the wall clock, for each input of a program that reads and writes, and
            for all calls and tests together of one whose functions are called.
        total_s: seconds for all inputs together.
        memory_bytes: address space of each of its processes; where a control group can be made,
            also the memory of all of them together.
        output_bytes: what it may write to standard output and error together, per input; and how
            large a result of a call may be.
        files_bytes: size of the folder that it may write to, and of each file in it.
        files: how many files and folders.
        open_files: open descriptors of each process.
        processes: processes and threads together.
    """

    time_s: float = 10.0
    total_s: float = 60.0
    memory_bytes: int = 1024 * _MIB
    output_bytes: int = 16 * _MIB
    files_bytes: int = 64 * _MIB
    files: int = 4096
    open_files: int = 256
    processes: int = 64

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"limit {name} must be positive, found {value!r}")

    def told(self) -> dict[str, Any]:
        """As the sandbox is told them."""
        return asdict(self)
