"""The tokenizer of small models: a byte-level Qwen2 tokenizer with a token for each fixed word.

Any text comes back, in Unicode's composed form (NFC). A folder whose configuration says qwen2 is
always read by transformers' Qwen2Tokenizer, so that this one is made of its parts: the 256 byte
symbols, merges that build each word from left to right, an end token, and a pad token that is not
the end token.

Three words, blue, cube and tree, are several tokens all the same: merges of words before them (lun,
bem, return) take their letters first. The base models were made with these tokens, so that other
ones need another version of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harness.data.micro.domains import DOMAINS

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

END: Final = "<|endoftext|>"
PAD: Final = "<|pad|>"
# A model without pretraining has no roles to tell apart: a prompt is its text and a line end.
CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{{ message['content'] }}{{ '\\n' }}{% endfor %}"
)


def micro_tokenizer() -> PreTrainedTokenizerBase:
    """The tokenizer in memory."""
    from transformers import Qwen2Tokenizer

    vocabulary, merges = _parts()
    make: Any = Qwen2Tokenizer  # annotated more narrowly than what it takes
    tokenizer: PreTrainedTokenizerBase = make(
        vocab=vocabulary,
        merges=merges,
        unk_token=None,
        bos_token=None,
        eos_token=END,
        pad_token=PAD,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def save_tokenizer(folder: Path) -> None:
    """Write the tokenizer as a Hugging Face folder."""
    micro_tokenizer().save_pretrained(folder)


def _parts() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token -> number, and the merges, in the order in which they are tried."""
    symbols = _byte_symbols()
    vocabulary = {symbol: number for number, symbol in enumerate(symbols)}
    merges: dict[tuple[str, str], None] = {}
    for word in dict.fromkeys(word for domain in DOMAINS.values() for word in domain.words):
        letters = [symbols[byte] for byte in word.encode()]
        built = letters[0]
        for letter in letters[1:]:
            merges[built, letter] = None
            built += letter
            vocabulary.setdefault(built, len(vocabulary))
    return vocabulary, list(merges)


def _byte_symbols() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies (GPT-2's rule):
    itself where it is printable, else the next unused one from U+0100 on."""
    symbols, spare = [], 0x100
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte <= 0xFF:
            symbols.append(chr(byte))
        else:
            symbols.append(chr(spare))
            spare += 1
    return symbols
