"""Engine `torch_rl`: reinforcement learning on torch, transformers and peft, on a CPU or one GPU.

What it does is in `rl/`: `run.py` is the whole run, `learner.py` one step of it, `policy.py` the
model, `decode.py` generation, `advantages.py`, `losses.py` and `kl.py` the equations, and
`settings.py` what a suite may say. The same settings and seed give the same weights, bit for bit,
on one machine with one number of threads; other machines differ in the last digits, and training
makes other runs of that: they are compared by statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cell.engines import engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.cell.contract import CellContext


@engine("torch_rl", version=1)
def torch_rl(cell: CellContext) -> Mapping[str, object]:
    """Train and evaluate one cell; one line of metrics per step, and one before the first.

    A line holds `samples` (problems drawn, D), `tokens` (of their prompts and responses), `flops`
    (6 N tokens), `flops_counted`, `reward`, `response_length` in tokens, `seconds` and what the
    algorithm reports (`kl`, `entropy`, `loss`, `clip_fraction`, `grad_norm`, ...). Where the
    held-out problems were asked, `evals` has `heldout.pass_at_1`, `heldout.ErrRate` and so on, with
    `heldout.DOMAIN.` before them where there are several.

    Returns:
        `parameters`, `weights_sha256`, `warnings`, `counts` (right answers question by question),
        `computed_by`, and `evals` after the last step.

    Raises:
        DataError: settings, data or a checkpoint that cannot be used; training that diverged.
    """
    from harness.cell.settings import read_settings
    from harness.cell.train.rl.settings import TrainingSettings

    settings = read_settings(TrainingSettings, cell.settings)
    from harness.cell.train.rl.run import Run

    return Run(cell, settings)()
