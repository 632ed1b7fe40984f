"""micro-Guru: verifiable problems in the Guru row schema, small enough for a model of 0.05M.

Which split a problem belongs to follows from its prompt alone, so that no split shares a prompt
with another, whatever the seeds of the two data sets.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from harness.data.micro.domains import DOMAINS
from harness.data.micro.problems import Domain, Draws, Problem
from harness.errors import SuiteError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Raised when a single byte of what a seed gives can change.
VERSION: Final = 1

SIZES: Final[Mapping[str, int]] = {"train": 2400, "validation": 96, "heldout": 192, "ood": 96}
_HELD_OUT, _VALIDATION = 12, 18  # percentiles of the prompt's hash
_TRIES: Final = 60  # draws for each problem wanted, before a grade is taken to be exhausted


def generate(
    seed: int,
    *,
    domains: tuple[str, ...] = tuple(DOMAINS),
    sizes: Mapping[str, int] = SIZES,
) -> list[dict[str, object]]:
    """The rows of a data set: split by split, the domains after each other, grades mixed.

    Args:
        seed: of the draws.
        domains: abilities.
        sizes: problems of each split and domain, as evenly over the grades as there are different
            ones; a grade that runs out is made up for by the others.

    Raises:
        SuiteError: no such domain or split, or more problems than a domain has.
    """
    for kind, names, known in (("domain", domains, DOMAINS), ("split", tuple(sizes), SIZES)):
        for name in names:
            if name not in known:
                raise SuiteError(f"micro-Guru has no {kind} {name!r}", expected=", ".join(known))
    rows: list[dict[str, object]] = []
    for split, size in sizes.items():
        for name in domains:
            found = _problems(DOMAINS[name], seed, split, size)
            rows.extend(
                _row(DOMAINS[name], problem, grade, split, index)
                for index, (grade, problem) in enumerate(found)
            )
    return rows


def data_bytes(seed: int) -> bytes:
    """The default data set as JSON lines."""
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in generate(seed))
    return "".join(f"{line}\n" for line in lines).encode()


def _problems(domain: Domain, seed: int, split: str, size: int) -> list[tuple[int, Problem]]:
    """`size` different problems with their grades, ordered by the hash of their prompts."""
    grades = [domain.grades + 1] if split == "ood" else list(range(1, domain.grades + 1))
    found: dict[str, tuple[int, Problem]] = {}
    while grades and len(found) < size:
        share = -(-(size - len(found)) // len(grades))
        for grade in list(grades):
            share = min(share, size - len(found))
            if _add(domain, seed, split, grade, share, found) < share:
                grades.remove(grade)
    if len(found) < size:
        raise SuiteError(
            f"micro-Guru has only {len(found)} problems of {domain.ability} for split {split}",
            expected=f"{size}",
            hint="ask for fewer",
        )
    return [found[prompt] for prompt in sorted(found, key=_hash)]


def _add(
    domain: Domain,
    seed: int,
    split: str,
    grade: int,
    count: int,
    found: dict[str, tuple[int, Problem]],
) -> int:
    """Add up to `count` problems of a grade that are not there yet; returns how many."""
    draws = Draws(f"micro-Guru/{VERSION}/{seed}/{domain.ability}/{split}/{grade}/{len(found)}")
    added = 0
    for _ in range(_TRIES * count):
        if added == count:
            break
        problem = domain.make(draws, grade)
        if problem.prompt not in found and split in ("ood", _split_of(problem.prompt)):
            found[problem.prompt] = (grade, problem)
            added += 1
    return added


def _split_of(prompt: str) -> str:
    place = int(_hash(prompt)[:8], 16) % 100
    if place < _HELD_OUT:
        return "heldout"
    return "validation" if place < _VALIDATION else "train"


def _hash(prompt: str) -> str:
    return hashlib.sha256(prompt.encode()).hexdigest()


def _row(domain: Domain, problem: Problem, grade: int, split: str, index: int) -> dict[str, object]:
    return {
        "data_source": domain.source,
        "prompt": [{"role": "user", "content": problem.prompt}],
        "ability": domain.ability,
        "reward_model": {"style": "rule", "ground_truth": problem.truth},
        "extra_info": {
            "split": split,
            "index": index,
            "difficulty": grade,
            "solution": problem.solution,
        },
    }
