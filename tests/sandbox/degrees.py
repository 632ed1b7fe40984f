"""A process in which system calls fail, as on machines that forbid them, and a sandbox in it.

    python -m tests.sandbox.degrees '{"backend": "native", "denied": {"unshare": 1}, ...}'

It prints, in JSON, how programs are confined, or why they are not, and what came of them. It needs
the standard library only, and so the Python of the machine will do, which every user may read.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from reward_scorers.sandbox import Inputs, Limits, Sandbox, SandboxUnavailable
from reward_scorers.sandbox.guest import kernel, seccomp


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Run programs where calls are denied: name -> error number."""
    if asked["denied"]:
        deny(asked["denied"])
    limits = Limits(time_s=2)
    with Sandbox(1, backend=asked["backend"], packages=(), limits=limits) as sandbox:
        try:
            isolation = sandbox.isolation()
        except SandboxUnavailable as error:
            return {"unavailable": str(error)}
        ran = [sandbox.run(program, Inputs([""])) for program in asked["programs"]]
    found = [[one.ending, one.inputs[0].stdout.decode() if one.inputs else ""] for one in ran]
    return {"isolation": isolation, "found": found, "died": sandbox.died}


def deny(calls: dict[str, int]) -> None:
    """Let calls of this process and its children fail."""
    lines = [seccomp._load(seccomp._AT_NUMBER)]
    for name, error in calls.items():
        lines += [seccomp._if_equal(kernel.number(name), 0, 1), seccomp._return(0x50000 | error)]
    kernel.no_new_privileges()
    kernel.filter_calls(b"".join([*lines, seccomp._return(seccomp._ALLOW)]))


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
