"""What a suite may say of a training run, section by section."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - read_settings resolves the annotations
from dataclasses import dataclass, field

from reward_scorers.router import POLICIES

ALGORITHMS = ("grpo", "ppo", "reinforce_plus_plus", "reinforce_plus_plus_baseline")
ORDERS = ("shuffled", "curriculum")
AGGREGATIONS = (
    "token-mean",
    "seq-mean-token-sum",
    "seq-mean-token-mean",
    "seq-mean-token-sum-norm",
)
KL_FORMS = ("k1", "k2", "k3", "abs", "low_var_kl")
DTYPES = ("float32", "bfloat16")
# Their advantages come from scores alone, so that a penalty in the rewards would be lost.
_WITHOUT_REWARDS = ("grpo", "reinforce_plus_plus_baseline")
_SEEDS = 2**32  # NumPy, which lm-eval seeds too, takes no other
_COLDEST, _HOTTEST = 0.01, 100.0  # beyond them a draw is the likeliest token, or any


@dataclass(frozen=True)
class Model:
    """A Qwen2 architecture with random or pinned weights, or a Hugging Face checkpoint.

    Attributes:
        data: name of a pinned data set: a safetensors file with weights of the architecture given,
            or, where none is given, a folder that is a Hugging Face checkpoint.
        hidden, layers, heads, kv_heads, intermediate: as in `Qwen2Config`; all or none.
        parameters: how many there are, embeddings included once; checked, so that the N of a curve
            is the N of the model that was trained. None is not checked.
        positions: longest sequence in tokens, the response included; a checkpoint has its own.
        dtype: of the weights and the computation.
    """

    data: str | None = None
    hidden: int = 0
    layers: int = 0
    heads: int = 0
    kv_heads: int = 0
    intermediate: int = 0
    parameters: int | None = None
    positions: int = 512
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _one_of("dtype", self.dtype, DTYPES)
        _positive(positions=self.positions)
        if self.parameters is not None:
            _positive(parameters=self.parameters)
        shape = (self.hidden, self.layers, self.heads, self.kv_heads, self.intermediate)
        if self.is_checkpoint:
            if self.data is None:
                raise ValueError("give `data`, a checkpoint, or all of hidden, layers, heads, ...")
            return
        if min(shape) < 1:
            raise ValueError("give all of hidden, layers, heads, kv_heads, intermediate, or none")
        if self.hidden % self.heads or self.heads % self.kv_heads:
            raise ValueError("heads must divide hidden, and kv_heads must divide heads")
        if self.hidden // self.heads % 2:
            raise ValueError("hidden / heads must be even: positions rotate pairs of dimensions")

    @property
    def is_checkpoint(self) -> bool:
        """Whether the architecture is that of a checkpoint."""
        return not any((self.hidden, self.layers, self.heads, self.kv_heads, self.intermediate))


@dataclass(frozen=True)
class Problems:
    """Which problems are trained on, in which order, how often.

    Attributes:
        data: name of a pinned data set in the Guru row schema.
        domains: ability -> weight of its share of every batch.
        order: `shuffled`, or `curriculum`: from easy to hard.
        tau: how often each problem is seen: a run of D samples has D / tau different ones.
    """

    data: str
    domains: Mapping[str, float]
    order: str = "shuffled"
    tau: int = 1

    def __post_init__(self) -> None:
        _one_of("order", self.order, ORDERS)
        _positive(tau=self.tau)
        _weights(self.domains)


@dataclass(frozen=True)
class WarmUp:
    """Supervised steps on reference solutions before reinforcement learning.

    They make of a random model one that answers in the right form and sometimes right: what
    pretraining is for the models of the papers.
    """

    steps: int = 0
    batch: int = 128
    lr: float = 2e-3
    domains: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        _positive(batch=self.batch, lr=self.lr)
        _not_negative(steps=self.steps)
        if self.domains is not None:
            _weights(self.domains)


@dataclass(frozen=True)
class Kl:
    """How far the policy may go from the one that training began with.

    Attributes:
        coef: its weight; 0 and no reference policy is kept.
        form: the estimator, see `kl.py`.
        place: `loss`, or `reward` for the algorithms that learn from rewards of single tokens: PPO
            and REINFORCE++.
    """

    coef: float = 0.0
    form: str = "low_var_kl"
    place: str = "loss"

    def __post_init__(self) -> None:
        _one_of("form", self.form, KL_FORMS)
        _one_of("place", self.place, ("loss", "reward"))
        _not_negative(coef=self.coef)
        if self.coef > 0 and self.place == "loss" and self.form == "k1":
            raise ValueError("k1 in the loss has no gradient but noise: use k2 or low_var_kl")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021) on all linear maps, trained in place of the weights."""

    r: int = 8
    alpha: float = 16.0

    def __post_init__(self) -> None:
        _positive(r=self.r, alpha=self.alpha)


@dataclass(frozen=True)
class Critic:
    """PPO's value model, a copy of the policy with a scalar head (Schulman et al. 2017).

    Attributes:
        lr: its own learning rate.
        clip: range in which values may move in one step; 0 does not clip.
        gamma, lam: discount, and the lambda of generalised advantage estimation.
        warm_up: first steps in which the critic alone learns.
    """

    lr: float = 1e-3
    clip: float = 0.5
    gamma: float = 1.0
    lam: float = 1.0
    warm_up: int = 0

    def __post_init__(self) -> None:
        _positive(lr=self.lr)
        _not_negative(clip=self.clip, warm_up=self.warm_up)
        _share(gamma=self.gamma, lam=self.lam)


@dataclass(frozen=True)
class Algorithm:
    """The policy gradient.

    Attributes:
        name: one of grpo, ppo, reinforce_plus_plus, reinforce_plus_plus_baseline.
        rollout_n: responses to each problem: the group.
        prompts: problems in a step.
        minibatches: optimiser updates that the responses of a step are split into.
        epochs: how often they are gone through.
        clip_low, clip_high: PPO's clip range, 1 - clip_low to 1 + clip_high; clip_c the dual clip's
            bound (0: none).
        aggregation: how token losses become one, see `losses.py`.
        normalise_std: GRPO divides by the group's standard deviation (False: Dr. GRPO).
        entropy: weight of the entropy bonus.
    """

    name: str
    rollout_n: int = 8
    prompts: int = 32
    minibatches: int = 4
    epochs: int = 1
    clip_low: float = 0.2
    clip_high: float = 0.2
    clip_c: float = 3.0
    aggregation: str = "token-mean"
    normalise_std: bool = True
    entropy: float = 0.0
    kl: Kl = field(default_factory=Kl)
    critic: Critic = field(default_factory=Critic)

    def __post_init__(self) -> None:
        _one_of("name", self.name, ALGORITHMS)
        _one_of("aggregation", self.aggregation, AGGREGATIONS)
        _positive(
            rollout_n=self.rollout_n,
            prompts=self.prompts,
            minibatches=self.minibatches,
            epochs=self.epochs,
        )
        _share(clip_low=self.clip_low)
        _not_negative(clip_high=self.clip_high, clip_c=self.clip_c, entropy=self.entropy)
        self._check_together()

    def _check_together(self) -> None:
        if 0 < self.clip_c <= 1:
            raise ValueError(
                "`clip_c` bounds from above what is already clipped: 0, or more than 1"
            )
        if self.rollout_n * self.prompts % self.minibatches:
            raise ValueError("`minibatches` must divide prompts x rollout_n")
        if self.name in ("grpo", "reinforce_plus_plus_baseline") and self.rollout_n < 2:
            raise ValueError(f"{self.name} compares responses of one group: rollout_n >= 2")
        if self.kl.coef > 0 and self.kl.place == "reward" and self.name in _WITHOUT_REWARDS:
            raise ValueError(
                f"{self.name} learns from scores, not from rewards of single tokens, and would drop"
                " the penalty: write `kl: {place: loss, ...}`"
            )


@dataclass(frozen=True)
class Train:
    """Optimisation and sampling.

    Attributes:
        steps: steps of reinforcement learning.
        lr: AdamW's learning rate, reached linearly over the first `lr_warm_up` steps.
        micro_batch: responses in one forward pass; 0: a whole minibatch.
        temperature: at which responses are drawn; their probabilities are taken at it too.
        max_new_tokens: a longer response is cut off, and counts as not finished.
    """

    steps: int
    lr: float
    lr_warm_up: int = 0
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    micro_batch: int = 0
    temperature: float = 1.0
    max_new_tokens: int = 64
    lora: Lora | None = None

    def __post_init__(self) -> None:
        _positive(
            lr=self.lr,
            grad_clip=self.grad_clip,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
        )
        _not_negative(
            steps=self.steps,
            micro_batch=self.micro_batch,
            lr_warm_up=self.lr_warm_up,
            weight_decay=self.weight_decay,
        )
        _temperature(self.temperature)


@dataclass(frozen=True)
class Evaluation:
    """What is measured, on which split, how often.

    Attributes:
        every: steps between evaluations on the held-out problems; also before the first step and
            after the last.
        domains: abilities whose held-out problems are asked.
        questions: of each ability; samples: responses to each.
        temperature: of these responses; 0 takes the likeliest token.
        final_samples: responses to each question after the last step, stored as generations; 0 asks
            and stores none.
        final_questions: of each ability then; 0: as many as `questions`.
        final_splits: which splits are asked then.
        lm_eval: tasks of lm-eval run on the last checkpoint.
    """

    every: int = 10
    domains: tuple[str, ...] = ()
    questions: int = 128
    samples: int = 4
    temperature: float = 1.0
    final_samples: int = 0
    final_questions: int = 0
    final_splits: tuple[str, ...] = ("heldout",)
    lm_eval: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _positive(every=self.every, questions=self.questions, samples=self.samples)
        _not_negative(final_samples=self.final_samples, final_questions=self.final_questions)
        if self.temperature != 0:
            _temperature(self.temperature)
        for name in ("domains", "final_splits", "lm_eval"):
            given = getattr(self, name)
            if len(set(given)) < len(given):
                raise ValueError(f"`{name}` names one twice")
        if self.final_samples and not self.final_splits:
            raise ValueError("`final_samples` are asked for, and `final_splits` is empty")


@dataclass(frozen=True)
class TrainingSettings:
    """All of `settings` for engine `torch_rl`.

    Attributes:
        seed: all random numbers of the run follow from it; 0 to 2^32 - 1.
        compat: the policy by which reward_scorers score.
    """

    model: Model
    problems: Problems
    algorithm: Algorithm
    train: Train
    seed: int = 0
    compat: str = "strict"
    warm_up: WarmUp = field(default_factory=WarmUp)
    evaluation: Evaluation = field(default_factory=Evaluation)

    def __post_init__(self) -> None:
        _one_of("compat", self.compat, POLICIES)
        if not 0 <= self.seed < _SEEDS:
            raise ValueError(f"`seed` must be 0 to {_SEEDS - 1}")
        if self.model.is_checkpoint:
            return
        if self.train.max_new_tokens >= self.model.positions:
            raise ValueError(
                f"responses of `train.max_new_tokens` ({self.train.max_new_tokens}) and a prompt do"
                f" not go into `model.positions` ({self.model.positions})"
            )
        if self.train.lora is not None and self.train.lora.r > self.model.hidden:
            raise ValueError("`train.lora.r` must be at most `model.hidden`: no rank is higher")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"`{name}` must be one of {', '.join(known)}")


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"`{name}` must be positive")


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"`{name}` must not be negative")


def _share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ValueError(f"`{name}` must be from 0 to 1")


def _temperature(value: float) -> None:
    if not _COLDEST <= value <= _HOTTEST:
        raise ValueError(f"`temperature` must be from {_COLDEST:g} to {_HOTTEST:g}")


def _weights(domains: Mapping[str, float]) -> None:
    """Refuse none, and those whose sum or smallest share floating point cannot tell from others."""
    if not domains or min(domains.values()) <= 0:
        raise ValueError("`domains` needs at least one ability with a positive weight")
    if not all(1e-9 <= weight <= 1e9 for weight in domains.values()):
        raise ValueError("weights of `domains` must be from 1e-9 to 1e9")
