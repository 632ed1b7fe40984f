"""The policy: a causal language model of Hugging Face's with its tokenizer, loaded or made.

Heavy: imports torch and transformers.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from harness.cell.contract import host_failure
from harness.cell.train.rl.flops import Shape, pass_flops, step_flops
from harness.cell.train.rl.losses import entropy_from_logits, logp_from_logits
from harness.cell.train.rl.transformer import Plan, is_plain, plain_states
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.cell.contract import PinnedFile
    from harness.cell.train.rl.settings import Lora, Model

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Batch:
    """Prompts with their responses, padded to one rectangle: prompts left, responses right.

    Attributes:
        ids: (B, P + T) token ids.
        attended: (B, P + T) bool, False on padding.
        positions: (B, P + T) int, counted over attended tokens only: a prompt padded on its left
            has the positions that it would have alone.
        mask: (B, T) bool, the response's tokens with its end token.
        prompt: P, the width of the prompts' part.
        same: (B,) int, equal for equal prompts.
    """

    ids: Tensor
    attended: Tensor
    positions: Tensor
    mask: Tensor
    prompt: int
    same: Tensor

    @property
    def responses(self) -> Tensor:
        """(B, T) ids of the responses."""
        return self.ids[:, self.prompt :]

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: Tensor) -> Batch:
        """The batch of these rows, without columns that are padding in all of them."""
        attended, mask = self.attended[rows], self.mask[rows]
        used = attended.any(dim=0)
        first = int(used.to(torch.uint8).argmax())
        last = self.prompt + max(1, int(mask.sum(dim=1).max()))
        return Batch(
            self.ids[rows, first:last],
            attended[:, first:last],
            self.positions[rows, first:last],
            mask[:, : last - self.prompt],
            self.prompt - first,
            self.same[rows],
        )


def make_batch(
    prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]], pad: int, device: str
) -> Batch:
    """Pad prompts on the left and responses on the right.

    Args:
        prompts, responses: B lists of token ids each; a response holds its end token if it ended.
    """
    width, length = max(map(len, prompts)), max(1, *map(len, responses))
    ids = torch.full((len(prompts), width + length), pad, dtype=torch.long)
    attended = torch.zeros_like(ids, dtype=torch.bool)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        start, end = width - len(prompt), width + len(response)
        ids[row, start:end] = torch.tensor([*prompt, *response], dtype=torch.long)
        attended[row, start:end] = True
    positions = (attended.cumsum(dim=1) - 1).clamp(min=0)
    mask = attended[:, width:].clone()
    numbers: dict[tuple[int, ...], int] = {}
    same = torch.tensor([numbers.setdefault(tuple(one), len(numbers)) for one in prompts])
    ids, attended, positions, mask, same = (
        one.to(device) for one in (ids, attended, positions, mask, same)
    )
    return Batch(ids, attended, positions, mask, width, same)


class Meter:
    """Counts the FLOPs of matrix products: 2 m n k each, and what follows for a gradient.

    Attributes:
        total: so far.
        backward: FLOPs of a backward pass, in forward passes: 2, or 1 where adapters alone are
            trained: the frozen weights need no gradient, and the adapters' own is left out.
    """

    def __init__(self, shape: Shape) -> None:
        self.total = 0.0
        self.backward = 2.0
        self._shape = shape
        self._is_on = True

    def read(self, tokens: int, pairs: int, logits: int, *, is_full: bool = False) -> None:
        """A pass over tokens that makes so many query-key pairs and logits, padding included.

        Args:
            is_full: whether all weights are trained, whatever the policy's are.
        """
        times = 1.0 + (2.0 if is_full else self.backward) * torch.is_grad_enabled()
        self._add(times * pass_flops(self._shape, tokens, pairs, logits))

    def step(self, rows: int, length: int) -> None:
        """One token more for each of `rows` sequences that have `length` with it."""
        self._add(float(rows) * step_flops(self._shape, length))

    def _add(self, flops: float) -> None:
        if self._is_on:
            self.total += flops

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing for the block: evaluations are no cost of training."""
        before, self._is_on = self._is_on, False
        try:
            yield
        finally:
            self._is_on = before


class Policy:
    """A model and the tokenizer that goes with it.

    Attributes:
        model: the module whose parameters are trained; with adapters, peft's wrapper.
        tokenizer: with a pad token and an end token.
        device: "cpu" or "cuda".
        meter: counts what is computed through this object.
    """

    def __init__(
        self, model: nn.Module, tokenizer: Any, device: str, meter: Meter | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.device = device
        self.meter = meter or Meter(Shape.of(model.config))

    @property
    def eos(self) -> int:
        """The token that ends a response."""
        return int(self.tokenizer.eos_token_id)

    @property
    def pad(self) -> int:
        """The token that fills rectangles; never attended to."""
        return int(self.tokenizer.pad_token_id)

    @property
    def causal_lm(self) -> Any:
        """The Hugging Face model itself, without peft's wrapper."""
        model: Any = self.model
        return model.get_base_model() if self.has_adapters else model

    @property
    def has_adapters(self) -> bool:
        """Whether adapters are trained in place of the weights."""
        return hasattr(self.model, "peft_config")

    def trainable(self) -> list[nn.Parameter]:
        """The parameters that an optimiser may change."""
        return [one for one in self.model.parameters() if one.requires_grad]

    def n_parameters(self) -> int:
        """How many parameters the model has without adapters, tied embeddings counted once."""
        named = self.causal_lm.named_parameters()
        return sum(one.numel() for name, one in named if "lora_" not in name)

    def encode(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Token ids of a prompt, as the tokenizer's chat template writes it.

        Raises:
            DataError: the template is broken, or refuses the messages.
        """
        try:
            text = self.tokenizer.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # noqa: BLE001 - a template raises what its author likes
            raise DataError(
                "the tokenizer's chat template cannot be applied",
                where=str(self.tokenizer.name_or_path),
                found=_first_line(error),
                hint="correct `chat_template` in tokenizer_config.json, or chat_template.jinja",
            ) from None
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a response, without its end token."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def log_probs(
        self,
        batch: Batch,
        temperature: float,
        *,
        with_entropy: bool = False,
        entropy_gradient: bool = True,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T) log-probabilities of the responses' tokens and, if asked, entropies of the draws.

        Both are of the distribution at `temperature`, from which the responses were drawn, and 0
        outside the mask.
        """
        states = predicting_states(self.causal_lm.model, batch, self.meter)
        logits = self.causal_lm.lm_head(states).float()
        if temperature != 1.0:
            logits = logits / temperature
        logp = logp_from_logits(logits, batch.responses[batch.mask])
        entropy = None
        if with_entropy:
            with torch.set_grad_enabled(torch.is_grad_enabled() and entropy_gradient):
                entropy = _spread(entropy_from_logits(logits), batch)
        return _spread(logp, batch), entropy

    def frozen_copy(self) -> Policy:
        """A copy that is never trained: the reference."""
        model = copy.deepcopy(self.model).requires_grad_(requires_grad=False)
        return Policy(model.eval(), self.tokenizer, self.device, self.meter)

    def save(self, folder: Path) -> None:
        """Write a Hugging Face checkpoint with its tokenizer; adapters are merged into the weights.

        The folder must be empty or absent.
        """
        model: Any = self.model
        if self.has_adapters:
            model = copy.deepcopy(model).merge_and_unload()
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def predicting_states(
    backbone: nn.Module, batch: Batch, meter: Meter, *, is_critic: bool = False
) -> Tensor:
    """(M, H) hidden states from which the M tokens of `batch.mask` are predicted, row by row."""
    logits = 0 if is_critic else int(batch.mask.sum())
    if _has_short_way(backbone, batch):
        plan = Plan.of(batch)
        meter.read(len(plan.ids), plan.pairs, logits, is_full=is_critic)
        return plain_states(backbone, plan)
    rows, width = batch.ids.shape
    meter.read(rows * width, rows * width**2, logits, is_full=is_critic)
    states: Tensor = backbone(
        input_ids=batch.ids,
        attention_mask=batch.attended.long(),
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    return states[:, batch.prompt - 1 : -1][batch.mask]


def _has_short_way(backbone: Any, batch: Batch) -> bool:
    """Whether states are computed without the module: on a CPU, where that was measured.

    Gradients of adapters are cheaper than those of the weights that they are merged into.
    """
    if batch.ids.device.type != "cpu" or not is_plain(backbone.config):
        return False
    return not hasattr(backbone.layers[0].self_attn.q_proj, "lora_A")


def _spread(values: Tensor, batch: Batch) -> Tensor:
    """(B, T) with the M values at their places in the mask, 0 elsewhere."""
    return values.new_zeros(batch.mask.shape).masked_scatter(batch.mask, values)


class Critic(nn.Module):
    """A value model: the policy's backbone, copied, with a scalar head that begins at 0."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(policy.causal_lm.model)
        self.backbone.requires_grad_(requires_grad=True)
        self.head = nn.Linear(policy.causal_lm.config.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(policy.device)
        self._meter = policy.meter

    def values(self, batch: Batch) -> Tensor:
        """(B, T) expected score, in the state before each token of the responses."""
        states = predicting_states(self.backbone, batch, self._meter, is_critic=True)
        return _spread(self.head(states).squeeze(-1).float(), batch)


def open_policy(
    settings: Model, seed: int, device: str, source: PinnedFile | Path | None = None
) -> Policy:
    """Make the model of `settings`, or load its checkpoint.

    Args:
        seed: of random weights.
        source: what `settings.data` names: weights, or the folder of a checkpoint.

    Raises:
        DataError: a checkpoint that is missing, truncated, or no causal language model; a
            tokenizer without end token; another number of parameters than the suite says.
        InfrastructureError: the machine cannot read it.
    """
    if settings.is_checkpoint:
        policy = load_policy(_folder(source), settings.dtype)
    else:
        policy = _new(settings, seed)
        if source is not None:
            _load_weights(policy, _file(source))
    policy.model.to(device)
    policy.device = device
    found = policy.n_parameters()
    if settings.parameters is not None and found != settings.parameters:
        raise DataError(
            "the model has another size than the suite says",
            where="settings.model.parameters",
            expected=f"{settings.parameters} parameters",
            found=f"{found}",
            hint=f"write `parameters: {found}`, or correct the architecture",
        )
    return policy


def _folder(source: PinnedFile | Path | None) -> Path:
    if isinstance(source, Path):
        return source
    raise DataError(
        "a file of weights, and no architecture for them",
        where="settings.model",
        expected="hidden, layers, heads, kv_heads and intermediate, or a folder under `data`",
        hint="name the folder of the checkpoint as a data set, then `harness lock`",
    )


def _file(source: PinnedFile | Path) -> PinnedFile:
    if not isinstance(source, Path):
        return source
    raise DataError(
        "a checkpoint, and another architecture for it",
        where="settings.model",
        expected="hidden, layers, heads, kv_heads and intermediate, or a folder under `data`",
        hint="leave the architecture out: the checkpoint has its own",
    )


def _new(settings: Model, seed: int) -> Policy:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from harness.data.micro import micro_tokenizer

    tokenizer = micro_tokenizer()
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=_vocabulary(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.kv_heads,
        max_position_embeddings=settings.positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    make: Any = Qwen2ForCausalLM
    return Policy(make(config).to(getattr(torch, settings.dtype)), tokenizer, "cpu")


def _load_weights(policy: Policy, file: PinnedFile) -> None:
    """Put stored weights, of any precision, in the place of the model's own."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    model = policy.causal_lm
    try:
        told = model.load_state_dict(load(file.content), strict=False)
    except (SafetensorError, RuntimeError) as error:
        raise DataError(
            "the weights cannot be loaded into the model",
            where=file.path,
            found=_first_line(error),
            hint="correct hidden, layers, heads, kv_heads and intermediate of settings.model",
        ) from None
    # The head is tied to the embeddings and not stored.
    wrong = [*(set(told.missing_keys) - {"lm_head.weight"}), *told.unexpected_keys]
    if wrong:
        raise DataError(
            "the weights are not those of the model",
            where=file.path,
            found=f"missing or unexpected: {', '.join(sorted(wrong)[:3])}",
            hint="correct settings.model.layers",
        )


def _vocabulary(tokenizer: Any) -> int:
    """The tokenizer's size, up to a multiple of 32."""
    return -(-len(tokenizer) // 32) * 32


def load_policy(folder: Path, dtype: str = "float32") -> Policy:
    """Load a Hugging Face checkpoint with its tokenizer.

    A tokenizer without pad token pads with its end token: padding is never attended to, and a
    response's end is known by its mask.

    Raises:
        DataError: missing, truncated, no causal language model, or a tokenizer without end token or
            chat template.
        InfrastructureError: the machine cannot read it.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where = str(folder)
    if not (folder / CONFIG_FILE).is_file():
        raise DataError(
            "no checkpoint stands there",
            where=where,
            expected=f"a Hugging Face folder with {CONFIG_FILE}, weights and a tokenizer",
            hint="correct the data set that settings.model.data names",
        )
    load: Any = AutoModelForCausalLM.from_pretrained
    try:
        model, told = load(
            folder, dtype=getattr(torch, dtype), local_files_only=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        if (failure := host_failure(error)) is not None:
            raise failure from error
        raise DataError(
            "the checkpoint cannot be loaded",
            where=where,
            found=f"{type(error).__name__}: {_first_line(error)}",
            hint="copy the checkpoint again: a file may be truncated, or of another architecture",
        ) from error
    _check_model(model, told, where)
    _check_tokenizer(tokenizer, model.config.vocab_size, where)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Policy(model, tokenizer, "cpu")


def _check_model(model: Any, told: Mapping[str, Any], where: str) -> None:
    """Refuse what has no backbone and head apart, and weights of another model."""
    if not (hasattr(model, "model") and hasattr(model, "lm_head")):
        raise DataError(
            f"the architecture {type(model).__name__} cannot be trained here",
            where=where,
            expected="a causal language model of a backbone `model` and a head `lm_head`",
            hint="take a checkpoint of Qwen2, Llama, Mistral or one that is built like them",
        )
    # Tied heads are not stored, and are told neither as missing nor as unexpected.
    for kind in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if names := sorted(map(str, told[kind])):
            raise DataError(
                f"the checkpoint's weights are not those of its {CONFIG_FILE}",
                where=where,
                found=f"{kind.replace('_', ' ')}: {', '.join(names[:3])}",
                hint=f"use the {CONFIG_FILE} that was saved with the weights",
            )


def _check_tokenizer(tokenizer: Any, embeddings: int, where: str) -> None:
    # transformers makes an empty one, silently, where the files are missing.
    if not tokenizer("1 + 1", add_special_tokens=False)["input_ids"]:
        raise DataError(
            "the tokenizer has no vocabulary",
            where=where,
            hint="copy tokenizer.json or vocab.json from where the weights came from",
        )
    if tokenizer.eos_token_id is None:
        raise DataError(
            "the tokenizer has no end token, so that no response could end",
            where=where,
            hint="set eos_token in tokenizer_config.json",
        )
    if tokenizer.chat_template is None:
        raise DataError(
            "the tokenizer has no chat template, which writes prompts",
            where=where,
            hint="add chat_template.jinja: for a base model, the contents of the messages",
        )
    if len(tokenizer) > embeddings:
        raise DataError(
            "the tokenizer has more tokens than the model has embeddings",
            where=where,
            expected=f"at most {embeddings}",
            found=str(len(tokenizer)),
            hint="use the tokenizer that was saved with the weights",
        )


def add_adapters(policy: Policy, settings: Lora, seed: int) -> Policy:
    """The policy with fresh adapters on every linear map but the head; only they are trained."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    make: Any = LoraConfig  # a fractional alpha is fine
    config = make(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(policy.model, config)
    policy.meter.backward = 1.0
    return Policy(model, policy.tokenizer, policy.device, policy.meter)


def micro_batches(count: int, size: int) -> Iterator[range]:
    """`count` rows in ranges of at most `size`; 0: all at once."""
    size = size or count
    for start in range(0, count, size):
        yield range(start, min(count, start + size))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
