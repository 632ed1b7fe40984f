"""The reference of speed: programs run by bare forks of a warm process, without any isolation.

Reads a list of programs in JSON from standard input; says how many ended well, and seconds.
Run by itself, so that what it forks is as small as the sandbox's warm parent.
"""

import collections  # noqa: F401 - what the sandbox's warm parent has imported, too
import functools  # noqa: F401
import gc
import heapq  # noqa: F401
import itertools  # noqa: F401
import json
import math  # noqa: F401
import os
import re  # noqa: F401
import string  # noqa: F401
import sys
import time
import typing  # noqa: F401


def main(workers: int) -> None:
    """Run the programs by so many processes, each of which forks for every program."""
    programs = json.load(sys.stdin)
    gc.collect()
    gc.freeze()
    start = time.perf_counter()
    children = [_fork(_work, programs[number::workers]) for number in range(workers)]
    passed = sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    print(json.dumps({"passed": passed, "seconds": time.perf_counter() - start}))


def _work(programs: list[str]) -> int:
    passed = 0
    for program in programs:
        child = _fork(_run, program)
        passed += os.waitpid(child, 0)[1] == 0
    return passed  # fewer than 256


def _run(program: str) -> int:
    exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    return 0


def _fork(work, argument):  # type: ignore[no-untyped-def]
    child = os.fork()
    if child:
        return child
    code = 255
    try:
        gc.disable()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)
        os.dup2(null, 2)
        code = work(argument)
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
