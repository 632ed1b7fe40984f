"""`score_batch`: many answers, in this process or in workers, each as `compute_score` scores it."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, overload

from reward_scorers import errors as our_errors
from reward_scorers.errors import ScorerError, WorkerCrashed, WorkerError
from reward_scorers.registry import Outcome, Scorer, scorer
from reward_scorers.router import STRICT
from reward_scorers.scoring import Scored, find_scorer, score_with, scored
from reward_scorers.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reward_scorers.judge import Judge

GRACE_S: Final = 1.0  # how long after its time an answer is waited for, before its worker is killed
_TRIES: Final = 3  # for rows of sandboxed scorers, of which no answer can end a worker
_CHUNK: Final = 32  # rows sent at once, so that a worker need not wait for the next
# Scorers keep little; what could grow is in workers of their own, which a replacement must start.
_MAX_CALLS: Final = 100_000
_COLUMNS: Final = "data_source, solution_str and ground_truth (or reward_model with it)"

Result = Scored | ScorerError


@overload
def score_batch(
    rows: Iterable[Mapping[str, Any]],
    *,
    workers: int = ...,
    compat: str = ...,
    partial: bool = ...,
    timeout_s: float | None = ...,
    judge: Judge | None = ...,
    errors: Literal["raise"] = ...,
) -> list[Scored]: ...
@overload
def score_batch(
    rows: Iterable[Mapping[str, Any]],
    *,
    workers: int = ...,
    compat: str = ...,
    partial: bool = ...,
    timeout_s: float | None = ...,
    judge: Judge | None = ...,
    errors: Literal["return"],
) -> list[Result]: ...
def score_batch(
    rows: Iterable[Mapping[str, Any]],
    *,
    workers: int = 1,
    compat: str = STRICT,
    partial: bool = False,
    timeout_s: float | None = None,
    judge: Judge | None = None,
    errors: Literal["raise", "return"] = "raise",
) -> Any:
    """Score many answers, in the order of their rows.

    Args:
        rows: mappings with `data_source`, `solution_str`, `ground_truth` and, if there is any,
            `extra_info`; a row of the Guru data, with the answer in `solution_str`, is one too.
        workers: 1 scores in this process; more are that many processes, which stay for the next
            batch and end with this process. One that hangs is killed; its row scores 0.
        compat, partial, timeout_s, judge: as for `compute_score`. A judge wants `workers=1`.
        errors: "raise" raises the first row's error when all rows are done; "return" puts each
            row's error in the place of its score.

    Raises:
        ScorerError: a row cannot be scored (its subclasses say why); the message names the row.
        WorkerError: a worker cannot start, or a scorer is broken.
        ValueError: an argument is not one of those above.
    """
    if errors not in ("raise", "return"):
        raise ValueError(f"errors must be 'raise' or 'return', found {errors!r}")
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, found {workers}")
    if workers > 1 and judge is not None:
        raise ValueError("a judge cannot be sent to other processes: use workers=1 with it")
    tasks = [_task(row, compat) for row in rows]
    limits = _Limits(partial=partial, timeout_s=timeout_s)
    if workers == 1:
        results = [_score_here(task, limits, judge) for task in tasks]
    else:
        results = _score_there(tasks, limits, workers)
    if errors == "raise":
        _raise_first(results)
    return results


class _Limits(NamedTuple):
    partial: bool
    timeout_s: float | None


class _Task(NamedTuple):
    """A row and its scorer, in the order of the arguments of `score_with`."""

    chosen: Scorer
    data_source: str
    text: str
    truth: Any
    extra: Mapping[str, Any] | None


def _task(row: object, compat: str) -> _Task | ScorerError:
    if not isinstance(row, Mapping):
        return ScorerError(f"a row must be a mapping with {_COLUMNS}; found {type(row).__name__}")
    try:
        holder = row if "ground_truth" in row else row["reward_model"]
        source, text, truth = row["data_source"], row["solution_str"], holder["ground_truth"]
    except (KeyError, TypeError):
        return ScorerError(f"a row must hold {_COLUMNS}; found {', '.join(map(str, row))}")
    try:
        return _Task(find_scorer(source, compat), source, text, truth, row.get("extra_info"))
    except ScorerError as error:
        return error


def _score_here(task: _Task | ScorerError, limits: _Limits, judge: Judge | None) -> Result:
    if isinstance(task, ScorerError):
        return task
    try:
        return score_with(*task, **limits._asdict(), judge=judge)
    except WorkerError:  # not of this row, but of the machine or the scorer
        raise
    except ScorerError as error:
        return error


def _score_there(
    tasks: Sequence[_Task | ScorerError], limits: _Limits, workers: int
) -> list[Result]:
    sent = [task if isinstance(task, ScorerError) else _payload(task, limits) for task in tasks]
    places = [place for place, payload in enumerate(sent) if isinstance(payload, dict)]
    size = max(1, min(_CHUNK, len(places) // (4 * workers)))
    chunks = [places[start : start + size] for start in range(0, len(places), size)]
    pool = _pools.setdefault(
        workers, WorkerPool("reward_scorers.batch:answer", workers, max_calls=_MAX_CALLS)
    )

    def ask(chunk: list[int]) -> list[Any]:
        patience = max(_seconds(tasks[place], limits) for place in chunk) + GRACE_S
        found: dict[int, Any] = {}
        left = chunk
        for _ in range(_TRIES):
            answers = pool.call_each([sent[place] for place in left], patience)
            found.update(zip(left, answers, strict=True))
            left = [place for place in left if _is_lost(found[place], tasks[place])]
            if not left:
                break
        return [found[place] for place in chunk]

    results: list[Any] = list(sent)
    with ThreadPoolExecutor(workers) as threads:
        try:
            for chunk, answers in zip(chunks, threads.map(ask, chunks), strict=True):
                for place, found in zip(chunk, answers, strict=True):
                    results[place] = _result(found, tasks[place])
        except BaseException:  # an interrupt shall not wait for answers that nobody wants any more
            _pools.pop(workers, None)
            pool.close()
            raise
    return results


def _seconds(task: _Task | ScorerError, limits: _Limits) -> float:
    if limits.timeout_s is not None or isinstance(task, ScorerError):
        return limits.timeout_s or 0.0
    return task.chosen.timeout_s


_pools: dict[int, WorkerPool] = {}  # by number of workers; they stay for the next batch


def _payload(task: _Task, limits: _Limits) -> dict[str, Any] | ScorerError:
    chosen, *arguments = task
    module = chosen.score.__module__
    if module == "__main__":
        return ScorerError(
            f"scorer {chosen.name!r} is defined in __main__, where worker processes cannot find it:"
            " move it to a module, or use workers=1"
        )
    try:
        # JSON would make lists of tuples and arrays, and texts of the keys of dicts.
        packed = base64.b64encode(pickle.dumps(arguments)).decode("ascii")
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        return ScorerError(f"the row cannot be sent to a worker ({error}): use workers=1")
    return {"name": chosen.name, "module": module, "arguments": packed, "limits": limits._asdict()}


def answer(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker does with a row."""
    import_module(payload["module"])  # registers also a scorer that no entry point offers
    arguments = pickle.loads(base64.b64decode(payload["arguments"]))  # noqa: S301 - from our parent
    task = _Task(scorer(payload["name"]), *arguments)
    result = _score_here(task, _Limits(**payload["limits"]), None)
    if isinstance(result, ScorerError):
        return {"error": type(result).__name__, "message": str(result)}
    return {"scored": result}


def _result(found: Any, task: Any) -> Result:
    if _is_lost(found, task):
        return WorkerError(f"the worker was lost, which says nothing of the answer: {found}")
    if isinstance(found, TimeoutError):
        return _miss("out of time", task)
    if isinstance(found, ScorerError):  # WorkerCrashed
        return _miss(f"a worker died on it: {found}", task)
    if "error" in found:
        kind = getattr(our_errors, found["error"], ScorerError)
        error: ScorerError = kind(found["message"])
        return error
    result: Scored = found["scored"]
    return result


def _is_lost(found: Any, task: Any) -> bool:
    """Whether a worker was lost, and that says nothing of the answer."""
    return isinstance(found, TimeoutError | WorkerCrashed) and task.chosen.sandboxed


def _miss(reason: str, task: _Task) -> Scored:
    return scored(Outcome(score=0.0, acc=False, pred=None, reason=reason), task.chosen)


def _raise_first(results: Sequence[Result]) -> None:
    wrong = [
        (place, found) for place, found in enumerate(results) if isinstance(found, ScorerError)
    ]
    if wrong:
        place, error = wrong[0]
        more = f" ({len(wrong) - 1} more rows have errors)" if wrong[1:] else ""
        raise type(error)(f"row {place}: {error}{more}") from error
