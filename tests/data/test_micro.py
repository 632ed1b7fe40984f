"""micro-Guru: bytes that never change, splits that share nothing, problems that their scorers know.

The base models and the tokenizer that go with it are held against what they are made for.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reward_scorers
from harness.data import micro
from harness.data.micro import base_bytes, data_bytes, generate, micro_tokenizer, save_tokenizer
from harness.data.micro.domains import DOMAINS
from harness.data.micro.generator import SIZES
from harness.errors import DataError, SuiteError

# The bytes of a version never change: whoever needs others raises VERSION and adds a line.
PINNED = {1: "d98b5832ec4310fbddada7441288d973b5cc3100d2a35b16954d6fe51d93ab7b"}
TOKENS = {1: "5aef3a171c0e7534d1efd13ae63bd4ef7486e0c547a7a224e7715cf1f18e7f2f"}
WEIGHTS = Path(micro.__file__).parent / "weights"
SMALL = {"train": 20, "validation": 6, "heldout": 6, "ood": 6}


def prompt_of(row) -> str:
    return row["prompt"][0]["content"]


def prompts(rows, split: str) -> list[tuple[str, str]]:
    return [(row["ability"], prompt_of(row)) for row in rows if row["extra_info"]["split"] == split]


@pytest.fixture(scope="module")
def default() -> bytes:
    return data_bytes(0)


@pytest.fixture(scope="module")
def rows(default) -> list[dict]:
    return [json.loads(line) for line in default.splitlines()]


def test_a_version_is_its_bytes(default) -> None:
    assert hashlib.sha256(default).hexdigest() == PINNED[micro.VERSION]


def test_the_default_set_has_every_size_without_duplicates(rows) -> None:
    for split, size in SIZES.items():
        found = prompts(rows, split)
        assert len(found) == len(set(found)) == size * len(DOMAINS)
    assert [tuple(row) for row in rows[:1]] == [
        ("data_source", "prompt", "ability", "reward_model", "extra_info")
    ]


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.integers(0, 2**31), st.sampled_from(sorted(DOMAINS)))
def test_no_split_shares_a_prompt_whatever_the_seeds(one, other, domain) -> None:
    first, second = (generate(seed, domains=(domain,), sizes=SMALL) for seed in (one, other))
    assert first == generate(one, domains=(domain,), sizes=SMALL)
    for split in SMALL:
        found = prompts(first, split)
        assert len(found) == len(set(found)) == SMALL[split]
        for another in SMALL:
            if another != split:
                assert not set(found) & set(prompts(second, another)), (split, another)


def test_seeds_differ() -> None:
    sizes = {"train": 20}
    for domain in DOMAINS:
        first, second = (generate(seed, domains=(domain,), sizes=sizes) for seed in (0, 1))
        assert set(prompts(first, "train")) != set(prompts(second, "train"))


def test_only_what_is_asked_for_in_that_order() -> None:
    found = generate(3, domains=("stem", "math"), sizes={"ood": 2, "train": 1})
    told = [(row["extra_info"]["split"], row["ability"]) for row in found]
    assert told == [("ood", "stem")] * 2 + [("ood", "math")] * 2 + [
        ("train", "stem"),
        ("train", "math"),
    ]
    assert [row["extra_info"]["index"] for row in found] == [0, 1, 0, 1, 0, 0]


# The same problem with another answer, or with none that a scorer reads.
BROKEN = {
    "math": lambda text: text.replace("{", "{1"),
    "logic": lambda text: text.replace("{", "{1,"),
    "codegen": lambda text: text + "+1",
    "stem": lambda text: text.replace("{", "{E"),
}


def score(row, response: str) -> float:
    found = reward_scorers.compute_score(
        row["data_source"], response, row["reward_model"]["ground_truth"], row["extra_info"]
    )
    return float(found["score"])


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_solutions_score_one_and_broken_ones_nothing(rows, domain) -> None:
    of_grade: dict[int, list[dict]] = {}
    for row in rows:
        if row["ability"] == domain:
            of_grade.setdefault(row["extra_info"]["difficulty"], []).append(row)
    assert sorted(of_grade) == list(range(1, DOMAINS[domain].grades + 2))
    for sample in of_grade.values():
        # Running a program takes a process, so that there are few of them.
        for row in sample[:3] if domain == "codegen" else sample[:40]:
            solution = row["extra_info"]["solution"]
            assert score(row, solution) == 1, row
            assert score(row, BROKEN[domain](solution)) == 0, row
            assert score(row, "") == 0, row


def hardness(row) -> int:
    """What a grade counts: steps, digits, operations, options."""
    text = prompt_of(row)
    return {
        "math": lambda: text.count("+1") + text.count("-1"),
        "logic": lambda: len(text.removeprefix("sort ")),
        "codegen": lambda: len(text.split()) // 2,
        "stem": lambda: text.count(":"),
    }[row["ability"]]()


# domain -> grade -> what a problem of it may count; the last grade is out of the domain.
GRADES = {
    "math": {1: {3, 4}, 2: {5}, 3: {6}, 4: {7}, 5: {8}, 6: {9, 10}},
    "logic": {1: {2}, 2: {3}, 3: {4}, 4: {5}, 5: {6, 7}},
    "codegen": {1: {1}, 2: {2}, 3: {3}, 4: {4}, 5: {5}, 6: {6, 7}},
    "stem": {1: {2}, 2: {3}, 3: {4}, 4: {4}},
}


def test_grades_are_as_documented_and_out_of_the_domain_is_harder(rows) -> None:
    found: dict[str, dict[int, set[int]]] = {}
    for row in rows:
        extra = row["extra_info"]
        grade = extra["difficulty"]
        found.setdefault(row["ability"], {}).setdefault(grade, set()).add(hardness(row))
        assert (extra["split"] == "ood") == (grade == DOMAINS[row["ability"]].grades + 1)
        # Out of this domain, a question is for the thing that has two properties at once.
        if row["ability"] == "stem":
            assert (" and " in prompt_of(row)) == (extra["split"] == "ood")
    assert found == GRADES


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ({"domains": ("physics",)}, ("no domain 'physics'", "math, logic, codegen, stem")),
        ({"sizes": {"test": 3}}, ("no split 'test'", "train, validation, heldout, ood")),
        (
            {"domains": ("stem",), "sizes": {"ood": 9, "validation": 400}},
            ("of stem for split", "400"),
        ),
    ],
)
def test_what_cannot_be_made_is_told(asked, parts) -> None:
    with pytest.raises(SuiteError) as caught:
        generate(0, **asked)
    for part in parts:
        assert part in str(caught.value)


@pytest.fixture(scope="module")
def tokenizer():
    pytest.importorskip("transformers")
    return micro_tokenizer()


@settings(max_examples=200)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_in_its_composed_form(tokenizer, text) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    read = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    assert normalize("NFC", read) == normalize("NFC", text)


def test_a_folder_reads_as_the_tokenizer_in_memory(tokenizer, rows, tmp_path) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    read = AutoTokenizer.from_pretrained(tmp_path)
    texts = [prompt_of(row) for row in rows[::97]]
    texts += [row["extra_info"]["solution"] for row in rows[::97]]
    for text in [*texts, "e\u0301 \u4e2d\n\n  x\t1234 don't"]:
        assert read.encode(text) == tokenizer.encode(text)
    ends = (read.eos_token_id, read.pad_token_id, len(read), read.chat_template)
    assert ends == (
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
        len(tokenizer),
        tokenizer.chat_template,
    )


def test_fixed_words_are_single_tokens_but_for_three(tokenizer) -> None:
    words = {word for domain in DOMAINS.values() for word in domain.words}
    cut = {word for word in words if len(tokenizer.encode(word, add_special_tokens=False)) > 1}
    assert cut == {"blue", "cube", "tree"}


def test_the_pad_is_not_the_end(tokenizer) -> None:
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert max(tokenizer.pad_token_id, tokenizer.eos_token_id) < len(tokenizer)


def test_the_tokens_are_those_that_the_base_models_were_made_with(tokenizer, rows) -> None:
    texts = [f"{prompt_of(row)}\n{row['extra_info']['solution']}" for row in rows[::23]]
    ids = json.dumps([tokenizer.encode(text, add_special_tokens=False) for text in texts])
    ends = (tokenizer.eos_token_id, tokenizer.pad_token_id, len(tokenizer))
    assert ends == (380, 381, 382)
    assert hashlib.sha256(ids.encode()).hexdigest() == TOKENS[micro.BASES_VERSION]


def test_a_prompt_is_its_text_and_a_line_end(tokenizer) -> None:
    messages = [{"role": "user", "content": "3+1="}]
    asked = {"tokenize": False, "add_generation_prompt": True}
    assert tokenizer.apply_chat_template(messages, **asked) == "3+1=\n"


# What tools/make_micro_bases.py makes: hidden, layers, heads, kv_heads, intermediate.
SHAPES = {
    "31K": (32, 2, 4, 2, 64),
    "60K": (48, 2, 4, 2, 96),
    "107K": (56, 3, 4, 2, 112),
    "205K": (80, 3, 4, 2, 160),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in WEIGHTS.glob("*.safetensors")))
def test_a_base_model_has_the_shape_of_its_name(name, tokenizer) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load

    hidden, layers, heads, kv_heads, intermediate = SHAPES[name.split("-")[1]]
    state = load(base_bytes(name))
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    keys = hidden // heads * kv_heads
    layer = {
        "self_attn.q_proj.weight": (hidden, hidden),
        "self_attn.k_proj.weight": (keys, hidden),
        "self_attn.v_proj.weight": (keys, hidden),
        "self_attn.o_proj.weight": (hidden, hidden),
        "mlp.gate_proj.weight": (intermediate, hidden),
        "mlp.down_proj.weight": (hidden, intermediate),
    }
    for number in range(layers):
        for key, shape in layer.items():
            assert shapes[f"model.layers.{number}.{key}"] == shape
    assert not any(key.startswith(f"model.layers.{layers}.") for key in shapes)
    rows, width = shapes["model.embed_tokens.weight"]  # rows are padded to a round number
    assert (rows >= len(tokenizer), width) == (True, hidden)
    assert "lm_head.weight" not in shapes  # tied
    assert all(tensor.dtype == torch.bfloat16 for tensor in state.values())
    assert all(bool(tensor.isfinite().all()) for tensor in state.values())


def test_a_base_model_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(DataError, match="math-61K") as caught:
        base_bytes("math-61K")
    assert "math-60K, math-60K-instruct" in str(caught.value)


def test_the_name_of_a_base_model_is_no_path() -> None:
    with pytest.raises(DataError):
        base_bytes("../weights/math-60K")
