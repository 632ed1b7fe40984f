"""The programs that build and move images: run, and told what is missing."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from harness.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SHOWN: Final = 12  # lines of what a program that failed said last


def require(*programs: str) -> None:
    """Refuse to begin without a program.

    Raises:
        InfrastructureError: one is not installed.
    """
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        raise InfrastructureError(
            f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed",
            hint=f"apt-get install {' '.join(absent)}   (Debian, Ubuntu)",
        )


def ran(
    command: Sequence[str | Path],
    *,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program and return what it printed.

    Args:
        log: where its output goes beside, so that a long build can be watched.

    Raises:
        InfrastructureError: it failed; the last lines that it printed are told.
    """
    words = [str(word) for word in command]
    if log is None:
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        said, printed = done.stderr or done.stdout, done.stdout
    else:
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ {' '.join(words)}\n")
            file.flush()
            done = subprocess.run(
                words,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                env=environment,
            )
        said = log.read_text(encoding="utf-8", errors="replace")
        printed = ""
    if done.returncode:
        lines = said.strip().splitlines()[-_SHOWN:]
        raise InfrastructureError(
            f"{words[0]} failed:\n    " + "\n    ".join(lines),
            where=None if log is None else str(log),
            hint="mend what it says, then give the same command again",
        )
    return printed
