"""EvalPlus on its own data sets, run by a Python that has it: evalplus_peer.py NAME base|plus.

NAME is humaneval or mbpp. The rows' own solutions are checked by two processes, as
`evalplus.evaluate` does; what they should return is computed before. Says so in JSON:
how many passed, of how many, wall and CPU seconds.
"""

import json
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from evalplus.data import get_human_eval_plus, get_mbpp_plus
from evalplus.eval._special_oracle import MBPP_OUTPUT_NOT_NONE_TASKS
from evalplus.evaluate import check_correctness, get_groundtruth


def main(name: str, tests: str) -> None:
    """Check the rows' own solutions."""
    problems = get_human_eval_plus() if name == "humaneval" else get_mbpp_plus()
    if tests == "base":
        for problem in problems.values():
            problem["plus_input"] = []
    special = MBPP_OUTPUT_NOT_NONE_TASKS if name == "mbpp" else []
    expected = get_groundtruth(problems, f"{name}-{tests}", special)
    start, cpu = time.perf_counter(), _cpu()
    with ProcessPoolExecutor(2) as pool:
        futures = [
            pool.submit(
                check_correctness,
                *(name, 0, problem, problem["prompt"] + problem["canonical_solution"]),
                *(expected[task], tests == "base", True),
            )
            for task, problem in problems.items()
        ]
        found = [future.result() for future in futures]
    seconds = time.perf_counter() - start
    kinds = ["base"] if tests == "base" else ["base", "plus"]
    failed = [one["task_id"] for one in found if any(one[kind][0] != "pass" for kind in kinds)]
    told = {"passed": len(found) - len(failed), "total": len(found), "failed": failed[:20]}
    print(json.dumps({**told, "seconds": seconds, "cpu_s": _cpu() - cpu}))


def _cpu() -> float:
    both = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


if __name__ == "__main__":
    main(*sys.argv[1:])
